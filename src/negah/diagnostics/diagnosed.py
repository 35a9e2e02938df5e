"""The input of ``negah diagnose``: a training run or a bundle, and photos.

Photos and clips pass the encoder as they do in training, trunk by trunk of a feature store that is
thrown away afterwards; captions are decoded as the model's own options say.

Axes: B photos or clips, K captions of each, T words.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from negah.bundle import read_bundle
from negah.bundle.schema import CONFIG_FILE
from negah.data import Example, build_features
from negah.decoding import DecodingOptions
from negah.diagnostics.layers import still_rows
from negah.diagnostics.walk import CaptionSample
from negah.errors import DataError, UsageError
from negah.export.restore import load_captioner
from negah.export.run import Run, load_run
from negah.media import MAX_PIXELS
from negah.models import CaptionModel, Encoder, load_encoder
from negah.models.adapter import best_captions
from negah.models.seeding import seeded
from negah.run_folder import RUN, RunFolder
from negah.runtime import find_bundle
from negah.split import TrainingSplit
from negah.text import Tokenizer
from negah.training.clips import ClipOptions
from negah.training.concepts import add_concepts
from negah.training.features import feature_key, item_of
from negah.training.inputs import Stored, regions_of
from negah.training.learner import Learner
from negah.training.padding import TrunkOutput, pad_captions, pad_clips, unpad_clips
from negah.training.validation import validation_options

#: Longer captions are truncated here: the measurements concern about ten words.
_MOST_TOKENS = 30
#: Captions of a photo that are walked over.
_MOST_CAPTIONS = 5


@dataclass(frozen=True, slots=True)
class DiagnosedModel:
    """A model to be diagnosed.

    Attributes:
        name: of the recipe or of the bundle.
        kind: what it was read from.
        path: the folder.
        encoder: in evaluation mode.
        captioner: in evaluation mode.
        tokenizer: of its words.
        decoding: how it captions.
        frames: most frames of a clip that it sees.
        dead: share of the words whose vector never moved since the run began; None of a bundle,
            and of a run that began with given vectors or weights: neither knows where it began.
        split: how its data were divided; None where that is not recorded.
    """

    name: str
    kind: Literal["run", "bundle"]
    path: Path
    encoder: Encoder
    captioner: CaptionModel
    tokenizer: Tokenizer
    decoding: DecodingOptions
    frames: int
    dead: float | None = None
    split: TrainingSplit | None = None


def load_subject(model: str | Path) -> DiagnosedModel:
    """Read a training run's folder, a bundle's folder, or a bundled model by its name.

    Raises:
        UsageError: it is none of them, or a run that has kept no weights yet.
        BundleError, CheckpointError: it is damaged.
    """
    path = Path(model)
    if RunFolder(path).is_run:
        run = load_run(path)
        recipe = run.recipe
        return DiagnosedModel(
            recipe.name, "run", path, run.encoder, run.captioner, run.tokenizer,
            recipe.decoding, recipe.clips.frames, _never_moved(run),
            run.data.training_split if run.data else None,
        )  # fmt: skip
    path = find_bundle(model)
    if path.is_dir() and not (path / CONFIG_FILE).is_file():
        raise UsageError(
            f"{path} is neither a training run (it holds no {RUN}) nor a bundle (it holds no "
            f"{CONFIG_FILE}): give the folder that 'negah train' or 'negah export' wrote"
        )
    bundle = read_bundle(path)
    encoder, captioner = load_captioner(bundle)
    config = bundle.config
    return DiagnosedModel(
        config.name, "bundle", path, encoder, captioner, bundle.tokenizer,
        config.decoding, config.clip_frames, None,
        config.provenance.split,
    )  # fmt: skip


def _never_moved(run: Run) -> float | None:
    """The run begins again from its seed; rows that still point where they did never learned.

    A run that began with the weights or vectors of another cannot be begun again from its seed.
    """
    if run.recipe.text.vectors or (run.data is not None and run.data.initial is not None):
        return None
    with seeded(run.recipe.training.seed):
        encoder = load_encoder(run.recipe.encoder)
        add_concepts(encoder, run.tokenizer)
        first = Learner(run.recipe.model, encoder, len(run.tokenizer))
    before, after = (_table(captioner) for captioner in (first.captioner, run.captioner))
    # padding stays 0, and nothing is read after the end
    return float(still_rows(before[3:], after[3:]).double().mean())


def _table(captioner: CaptionModel) -> Tensor:
    embedding = captioner.get_submodule("embedding")
    return embedding.get_parameter("weight").detach()


@dataclass(frozen=True, slots=True)
class CaptionedInputs:
    """Photos or clips as the encoder's tail reads them, with their captions.

    Attributes:
        examples: those that could be read.
        read: their stored trunk output, by position.
        failed: how many could not be read.
    """

    examples: list[Example]
    read: Callable[[npt.NDArray[np.int64]], TrunkOutput]
    failed: int


def choose(examples: Sequence[Example], count: int) -> list[Example]:
    """Photos of the first existing part of dev, test, none and train, evenly spaced in its list.

    Raises:
        DataError: no photo has a caption.
    """
    for split in ("dev", "test", "none", "train"):
        part = [e for e in examples if e.split == split and e.captions]
        if part:
            places = np.unique(np.linspace(0, len(part) - 1, min(count, len(part))).astype(int))
            return [part[place] for place in places]
    raise DataError("no photo of the data has a caption, so there is no data for a diagnosis")


def read_photos(
    subject: DiagnosedModel,
    examples: Sequence[Example],
    progress: Callable[[int, int], None] | None = None,
    *,
    max_pixels: int = MAX_PIXELS,
) -> CaptionedInputs:
    """Pass photos or clips through the encoder's trunk.

    A picture that would be decoded to more than ``max_pixels`` cannot be read.

    Raises:
        UsageError: photos for a model of motion, which sees clips alone.
        DataError: none of them can be read.
    """
    encoder = subject.encoder
    if encoder.options.motion is not None and not all(e.is_clip for e in examples):
        raise UsageError(f"{subject.name} sees motion: give --data with clips, not photos")
    clips = ClipOptions(
        frames=subject.frames if all(e.is_clip for e in examples) else 1, montage=None
    )

    def encode(pixels_N3HW: npt.NDArray[np.float32]) -> npt.NDArray[np.floating]:
        with torch.inference_mode():
            return np.asarray(encoder.trunk(torch.from_numpy(pixels_N3HW)).numpy())

    with tempfile.TemporaryDirectory(prefix="negah-diagnose-") as folder:
        key = feature_key(encoder, "plain", clips)
        items = [item_of(example) for example in examples]
        store = build_features(items, encode, key, folder, max_pixels=max_pixels, progress=progress)
        known = [e for e in examples if store.row(item_of(e)) is not None]
        if not known:
            reason = next((failure.reason for failure in store.failures), "not there")
            raise DataError(f"none of the {len(examples)} photos can be read ({reason})")
        # small enough to keep: a folder that is gone cannot be read from
        stored = Stored(store, known)
        kept = [stored(np.array([position])) for position in range(len(known))]
    failed = len(examples) - len(known)
    return CaptionedInputs(known, lambda positions: _join([kept[p] for p in positions]), failed)


def _join(stored: list[TrunkOutput]) -> TrunkOutput:
    """Stored output of single photos or clips as a batch, padded to the longest clip."""
    if stored[0].real_BF is None:
        return TrunkOutput(torch.cat([one.trunk for one in stored]))
    return pad_clips([clip for one in stored for clip in unpad_clips(one)])


def samples(
    subject: DiagnosedModel, photos: CaptionedInputs, *, batches: int, batch_size: int = 8
) -> list[Callable[[], CaptionSample]]:
    """The first batches, made when they are called for; features carry the tail's graph."""

    def make(positions: npt.NDArray[np.int64]) -> CaptionSample:
        stored = photos.read(positions)
        ids = [
            [
                subject.tokenizer.encode(caption)[:_MOST_TOKENS]
                for caption in photos.examples[position].captions[:_MOST_CAPTIONS]
            ]
            for position in positions
        ]
        inputs, targets = map(torch.from_numpy, pad_captions(ids))
        features_BFRC = regions_of(subject.encoder, stored.trunk, stored.real_BF)
        return CaptionSample(features_BFRC, inputs, targets, stored.real_BF)

    count = min(batches * batch_size, len(photos.examples))
    chunks = [
        np.arange(first, min(first + batch_size, count)) for first in range(0, count, batch_size)
    ]
    return [lambda chunk=chunk: make(chunk) for chunk in chunks]  # type: ignore[misc]


def write_captions(
    subject: DiagnosedModel,
    photos: CaptionedInputs,
    progress: Callable[[int, int], None] | None = None,
    batch_size: int = 16,
) -> list[str]:
    """One free-running caption for each photo or clip."""
    total = len(photos.examples)

    def batches() -> Iterator[tuple[Tensor, Tensor | None]]:
        for first in range(0, total, batch_size):
            stored = photos.read(np.arange(first, min(first + batch_size, total)))
            yield regions_of(subject.encoder, stored.trunk, stored.real_BF), stored.real_BF

    found = best_captions(
        subject.captioner,
        batches(),
        subject.tokenizer,
        validation_options(subject.decoding, subject.decoding.beam),
        concepts=subject.encoder.concepts,
        progress=None if progress is None else lambda done: progress(done, total),
    )
    return [subject.tokenizer.decode(best.tokens) for best in found]


def made_sample(subject: DiagnosedModel, count: int = 8) -> CaptionSample:
    """A sample without photos: coloured noise, with the model's own captions.

    The measurements of the recurrent network need plausible word sequences, not true ones.
    """
    height, width = subject.encoder.preprocessing.size
    random = torch.Generator().manual_seed(0)
    coarse_N3HW = torch.randn(count, 3, 7, 7, generator=random)
    pixels_N3HW = torch.nn.functional.interpolate(
        coarse_N3HW, size=(height, width), mode="bilinear"
    )
    features_BFRC = subject.encoder(pixels_N3HW)[:, None]
    found = best_captions(
        subject.captioner,
        [(features_BFRC.detach(), None)],
        subject.tokenizer,
        validation_options(subject.decoding, subject.decoding.beam),
        concepts=subject.encoder.concepts,
    )
    ids = [[list(best.tokens)] for best in found]
    inputs, targets = map(torch.from_numpy, pad_captions(ids))
    return CaptionSample(features_BFRC, inputs, targets)
