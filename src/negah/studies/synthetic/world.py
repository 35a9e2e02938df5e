"""The study's clips, their features and their captions as numbers, made once and kept.

Axes: N clips, F frames, R regions, C channels, K captions of each, T words.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from negah.data.synth import SynthClip, make_clip
from negah.errors import UsageError
from negah.files import atomic_path
from negah.studies.study import Progress, key_of
from negah.studies.synthetic.options import WorldOptions
from negah.studies.synthetic.vision import STRIDE, learn_to_see
from negah.text import EOS, PAD, SOS, WordTokenizer

logger = logging.getLogger(__name__)

_VISION_SEED_STEP = 1  # the network that sees learns from clips of another seed


@dataclass(frozen=True, slots=True)
class World:
    """What every captioner of the study learns from and is measured on.

    Attributes:
        features_NFRC: float16, of the training clips, then of the test clips.
        inputs_NKT: of the training clips, ``<SOS> w1 ...``, int64, padded.
        targets_NKT: ``w1 ... <EOS>``.
        test: the held-out clips.
        tokenizer: made from the training captions.
        accuracy: what the features know of held-out cells, by question.
    """

    features_NFRC: npt.NDArray[np.float16]
    inputs_NKT: npt.NDArray[np.int64]
    targets_NKT: npt.NDArray[np.int64]
    test: tuple[SynthClip, ...]
    tokenizer: WordTokenizer
    accuracy: dict[str, float]

    @property
    def test_features_NFRC(self) -> npt.NDArray[np.float16]:  # noqa: N802 - ends in its axes
        """Those of the held-out clips."""
        return self.features_NFRC[len(self.inputs_NKT) :]


def make_world(options: WorldOptions, folder: Path, progress: Progress) -> World:
    """Make the clips and their features, or read the features that an earlier run kept.

    Args:
        options: of the study.
        folder: where features are kept; those of other options are left alone.
        progress: told of clips and steps.

    Raises:
        UsageError: the size of the frames does not fit the grid.
    """
    size, grid = options.synth.size, options.synth.grid
    if size != grid * STRIDE:
        raise UsageError(
            f"frames of {size} pixels do not fit a grid of {grid}: the features' cells are "
            f"{STRIDE} pixels wide, so set size to {grid * STRIDE}"
        )
    path = folder / f"world-{_key(options)}.npz"
    if path.is_file():
        logger.info("clips and features are those of %s", path)
    else:
        _make(options, path, progress)
    test = []
    for number in range(options.test_clips):
        test.append(make_clip(options.data_seed, options.clips + number, options.synth))
        progress("drawing test clips", number + 1, options.test_clips)
    with np.load(path, allow_pickle=False) as kept:
        return World(
            features_NFRC=kept["features"],
            inputs_NKT=kept["inputs"],
            targets_NKT=kept["targets"],
            test=tuple(test),
            tokenizer=WordTokenizer(kept["tokens"].tolist()),
            accuracy=dict(zip(kept["questions"].tolist(), kept["accuracy"].tolist(), strict=True)),
        )


def _make(options: WorldOptions, path: Path, progress: Progress) -> None:
    """Draw all clips, train the network that sees, and keep what it sees and the captions."""
    vision = options.vision
    needed, total = vision.clips + vision.held_out, options.clips + options.test_clips
    lessons = []
    for number in range(needed):
        lessons.append(make_clip(options.data_seed + _VISION_SEED_STEP, number, options.synth))
        progress("drawing clips for the features", number + 1, needed)
    eyes = learn_to_see(
        lessons[: vision.clips],
        lessons[vision.clips :],
        vision,
        options.synth.grid,
        lambda done, steps: progress("training the features", done, steps),
    )
    features, captions = [], []
    for number in range(total):
        clip = make_clip(options.data_seed, number, options.synth)
        features.append(eyes.see(clip.rendered.pixels_FHW3))
        captions.append([one.text for one in clip.captions])
        progress("drawing clips", number + 1, total)
    learnt = captions[: options.clips]
    tokenizer = WordTokenizer.build([text for texts in learnt for text in texts], min_count=1)
    inputs_NKT, targets_NKT = _numbers(learnt, tokenizer)
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(
            file,
            features=np.stack(features),
            inputs=inputs_NKT,
            targets=targets_NKT,
            tokens=np.array(tokenizer.tokens),
            questions=np.array(list(eyes.accuracy)),
            accuracy=np.array(list(eyes.accuracy.values())),
        )


def _numbers(
    captions: list[list[str]], tokenizer: WordTokenizer
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    ids = [[tokenizer.encode(text) for text in texts] for texts in captions]
    longest = max(len(one) for some in ids for one in some) + 1
    shape = (len(ids), max(map(len, ids)), longest)
    inputs_NKT, targets_NKT = np.full(shape, PAD), np.full(shape, PAD)
    for n, some in enumerate(ids):
        for k, one in enumerate(some):
            inputs_NKT[n, k, : len(one) + 1] = [SOS, *one]
            targets_NKT[n, k, : len(one) + 1] = [*one, EOS]
    return inputs_NKT, targets_NKT


def _key(options: WorldOptions) -> str:
    """A name for all that decides the features."""
    decides = {"clips", "test_clips", "data_seed", "synth", "vision"}
    return key_of(options.model_dump(mode="json", include=decides))
