"""Recipes: everything that decides a training, in one validated file with a stable name.

A recipe is YAML with the sections ``encoder``, ``model``, ``text``, ``clips``, ``training`` and
``decoding``; each section is an options class, and options that a recipe does not set have their
defaults. ``extends`` starts from another recipe. The resolved recipe is saved with every run and
inside every bundle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, SerializeAsAny, model_validator

from negah.decoding import DecodingOptions
from negah.errors import UnknownNameError, UsageError
from negah.models import CAPTIONERS, CaptionerOptions, EncoderOptions
from negah.options import Options
from negah.training.augment import AugmentOptions
from negah.training.clips import ClipOptions
from negah.training.initial import Initial, InitialOptions
from negah.training.objectives import OBJECTIVES, ObjectiveOptions
from negah.training.objectives.cross_entropy import CrossEntropyOptions
from negah.training.schedule import Schedule
from negah.training.text_options import TextOptions
from negah.yaml_core import YamlError, read_yaml


class TrainingOptions(Options):
    """Options of the training."""

    objective: Annotated[SerializeAsAny[ObjectiveOptions], OBJECTIVES.validator()] = Field(
        CrossEntropyOptions(),
        description="the objective: its kind, or a section of options including the kind",
    )
    epochs: int = Field(8, ge=1, le=10_000, description="number of passes over the training photos")
    photos: int = Field(16, ge=1, le=4096, description="photos in a batch, all captions of each")
    captions: int = Field(5, ge=1, le=64, description="captions of one photo used in an epoch")
    optimizer: Literal["adam", "adamw"] = Field(
        "adamw",
        description="adamw decouples weight decay from the gradient (Loshchilov, Hutter 2019)",
    )
    learning_rate: float = Field(
        6e-4, gt=0, lt=1, description="peak learning rate of the captioner"
    )
    encoder_learning_rate: float = Field(
        1e-4,
        ge=0,
        lt=1,
        description="peak learning rate of the encoder's tail; 0 keeps it unchanged",
    )
    weight_decay: float = Field(0.01, ge=0, lt=1, description="decoupled with adamw")
    warmup_steps: int = Field(400, ge=0, description="steps of linear warm-up")
    schedule: Literal["constant", "cosine", "linear"] = Field(
        "cosine", description="decay after the warm-up"
    )
    final_rate: float = Field(0.01, ge=0, le=1, description="share of the peak rate at the end")
    label_smoothing: float = Field(0.1, ge=0, lt=1, description="(Szegedy et al. 2016)")
    gradient_clip: float = Field(5.0, ge=0, description="maximum gradient norm; 0: no limit")
    scheduled_sampling: float = Field(
        0.0,
        ge=0,
        le=1,
        description="at the end of training, the share of input words that are the model's own "
        "(Bengio et al. 2015, in the parallel form of Duckworth et al. 2019); grows linearly",
    )
    concept_weight: float = Field(
        0.1,
        ge=0,
        description="weight of the loss of encoder.concepts, added to the objective; 0: the "
        "concepts of the initial model are kept unchanged",
    )
    encoder_learns_from: Literal["everything", "concepts"] = Field(
        "everything",
        description="concepts: only their loss trains the encoder, not that of captions",
    )
    average: float = Field(
        0.998, ge=0, lt=1, description="decay of the running mean of the weights; 0: no mean"
    )
    flips: bool = Field(
        True,
        description="mirror half of the photos (with augment, its option flip is used instead)",
    )
    augment: AugmentOptions | None = Field(
        None,
        description="decode and augment the training photos anew in every epoch, while the steps "
        "run, without storing features; null: use stored features",
    )
    validation_beam: int = Field(3, ge=1, le=64, description="beam of the free-running validation")
    patience: int = Field(
        4, ge=0, description="stop after this number of epochs without improvement; 0: never"
    )
    compile: Literal["off", "auto", "on"] = Field(
        "off",
        description="compile the loop over words (auto: on a GPU only); captions are padded to "
        "few lengths. If no compiler is available, the log says so",
    )
    checkpoint_minutes: float = Field(5.0, gt=0, description="minutes between checkpoints, at most")
    seed: int = Field(
        0, ge=0, lt=2**31, description="random seed of weights, order, flips and dropout"
    )

    @property
    def stored_parts(self) -> tuple[str, ...]:
        """The parts of a data set whose features are stored."""
        return ("train", "dev") if self.augment is None else ("dev",)

    @property
    def rates(self) -> Schedule:
        """The share of the peak learning rates at each step."""
        return Schedule(self.warmup_steps, self.schedule, self.final_rate)


class Recipe(Options):
    """A whole training."""

    name: str = Field(description="stable name")
    description: str = Field("", description="description, in a sentence")
    initial: InitialOptions = InitialOptions()
    encoder: EncoderOptions = EncoderOptions()
    model: Annotated[SerializeAsAny[CaptionerOptions], CAPTIONERS.validator()]
    text: TextOptions = TextOptions()
    clips: ClipOptions = ClipOptions()
    training: TrainingOptions = TrainingOptions()
    decoding: DecodingOptions = DecodingOptions()

    @model_validator(mode="after")
    def _agree(self) -> Recipe:
        if self.clips.montage is not None and self.encoder.trainable_blocks:
            raise ValueError(
                "clips.montage needs a frozen encoder, because its views are computed only once: "
                "set encoder.trainable_blocks=0"
            )
        if self.encoder.motion is not None and self.clips.frames == 1:
            raise ValueError(
                "encoder.stream=motion needs several frames: set clips.frames to 2 or more, or "
                "encoder.stream=appearance"
            )
        if self.encoder.motion is not None and self.clips.montage is not None:
            raise ValueError(
                "encoder.stream=motion needs real clips, but clips.montage makes clips of photos, "
                "without motion: set clips.montage=null, or "
                "encoder.stream=appearance"
            )
        if self.training.augment is not None and self.clips.storyboards is not None:
            raise ValueError(
                "clips.storyboards needs stored features, but training.augment stores none: set "
                "one of them to null"
            )
        if self.training.augment is not None and self.clips.frames > 1:
            raise ValueError(
                "training.augment is for photos, but clips.frames is for clips or photos made "
                "into clips: set clips.frames=1 and clips.montage=null, or "
                "training.augment=null"
            )
        if self.encoder.concepts and self.text.tokenizer != "word":
            raise ValueError(
                "encoder.concepts are words of the vocabulary: set text.tokenizer=word, or "
                "encoder.concepts=0"
            )
        if self.decoding.support and not self.encoder.concepts:
            raise ValueError(
                f"decoding.support={self.decoding.support:g} ranks captions by concepts, but the "
                f"encoder has none: set encoder.concepts=1000, or decoding.support=0"
            )
        if self.decoding.expected_cider:
            raise ValueError(
                "decoding.expected_cider is for bundles that were fitted with negah rerank: train "
                "and export first, with decoding.expected_cider=0"
            )
        # a recipe with initial.follow has the concepts of the initial model
        is_told = self.encoder.concepts or self.initial.follow
        if self.model.reads_concepts and not is_told:
            raise ValueError(
                "model.concepts=true needs the concepts of the encoder, but it predicts none: set "
                "encoder.concepts=1000, or model.concepts=false"
            )
        if self.training.encoder_learns_from == "concepts" and not self.encoder.concepts:
            raise ValueError(
                "training.encoder_learns_from=concepts needs concepts: set encoder.concepts=1000"
            )
        if self.training.encoder_learns_from == "concepts" and not self.training.concept_weight:
            raise ValueError(
                "training.encoder_learns_from=concepts needs their loss: set "
                "training.concept_weight=0.1"
            )
        if self.text.vectors_frozen and getattr(self.model, "tie_embeddings", False):
            raise ValueError(
                "text.vectors_frozen would also freeze the output layer: set "
                "model.tie_embeddings=false"
            )
        return self


def recipe_names() -> list[str]:
    """The recipes that come with Negah."""
    folder = resources.files("negah") / "recipes"
    return sorted(
        item.name.removesuffix(".yaml") for item in folder.iterdir() if item.name.endswith(".yaml")
    )


def recipe_descriptions() -> dict[str, str]:
    """The description of each of :func:`recipe_names`, in a sentence."""
    return {name: str(_read_recipe(name).get("description", "")) for name in recipe_names()}


def recipe_initial(name: str, changes: Sequence[str] = ()) -> str:
    """The default initial model of a recipe; "" for fresh weights.

    Args:
        name: as for :func:`load_recipe`.
        changes: likewise.

    Raises:
        UsageError: as :func:`load_recipe`.
    """
    values = _read_recipe(name)
    for change in changes:
        _apply(values, change)
    options = InitialOptions.parse(values.get("initial") or {}, where=f"recipe {name}")
    return options.model


def load_recipe(name: str, changes: Sequence[str] = (), initial: Initial | None = None) -> Recipe:
    """A recipe by name, or from a YAML file, with changes on top.

    Args:
        name: one of :func:`recipe_names`, or the path of a .yaml file.
        changes: ``section.option=value`` each; the value is read as YAML.
        initial: the initial model; it determines the encoder if the recipe does not, and with
            ``initial.follow`` all options that the recipe does not set.

    Raises:
        UsageError: an unknown name, key or value; the message lists what is known.
    """
    changed: dict[str, Any] = {}
    for change in changes:
        _apply(changed, change)
    values = _read_recipe(name, initial, _follow(changed.get("initial"), name))
    for change in changes:
        _apply(values, change)
    if initial is not None:
        values = initial.complete(values)
    where = f"recipe {values.get('name', name)}"
    return Recipe.parse(values, where=where)


def _read_recipe(
    name: str,
    initial: Initial | None = None,
    follow: bool | None = None,
    seen: tuple[str, ...] = (),
) -> dict[str, Any]:
    """The values of a recipe, merged over those of the recipe that it extends.

    With ``initial.follow``, the values of the initial model are merged between the two; ``follow``
    says so in place of the recipes.
    """
    if name in seen:
        raise UsageError(f"recipes extend each other in a circle: {' -> '.join((*seen, name))}")
    path = Path(name)
    if path.suffix in (".yaml", ".yml"):
        if not path.is_file():
            raise UsageError(f"recipe {name}: no such file")
        try:
            text = path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"recipe {name} cannot be read as UTF-8 text: {error}") from None
    elif name in recipe_names():
        text = (resources.files("negah") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
    else:
        raise UnknownNameError("recipe", name, recipe_names())
    try:
        values = read_yaml(text)
    except YamlError as error:
        raise UsageError(f"recipe {name} is not valid YAML: {error}") from None
    if not isinstance(values, dict):
        raise UsageError(f"recipe {name}: expected sections such as 'model:' and 'training:'")
    if follow is None:
        follow = _follow(values.get("initial"), name)
    base, below = values.pop("extends", None), {}
    if base is not None:
        base = str(base)
        if Path(base).suffix in (".yaml", ".yml"):  # paths are relative to the file of the recipe
            base = str(path.parent / base)
        # whether to follow is decided by the first of these recipes that says so, and done there
        below = _read_recipe(base, initial, None if follow is None else False, (*seen, name))
    if initial is not None and follow:
        followed = initial.followed()
        # options of one kind of captioner do not apply to another
        below = {**_merge(below, followed), **{k: v for k, v in followed.items() if k == "model"}}
    return _merge(below, values)


def _follow(section: object, name: str) -> bool | None:
    """What the section ``initial`` of a recipe says of following; None if nothing."""
    if not isinstance(section, Mapping) or "follow" not in section:
        return None
    return InitialOptions.parse({"follow": section["follow"]}, where=f"recipe {name}").follow


def _merge(base: dict[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        inner = merged.get(key)
        both = isinstance(inner, dict) and isinstance(value, Mapping)
        merged[key] = _merge(inner, value) if both and inner is not None else value
    return merged


def _apply(values: dict[str, Any], change: str) -> None:
    path, equals, text = change.partition("=")
    section, *options = path.split(".")
    if not equals or not all(options) or not options:
        raise UsageError(
            f"{change!r}: a change reads section.option=value, for example training.epochs=3"
        )
    known = [name for name in Recipe.model_fields if name not in ("name", "description")]
    if section not in known:
        raise UnknownNameError("section", section, known)
    try:
        value = read_yaml(text)
    except YamlError:
        raise UsageError(f"{change!r}: the value is not valid YAML") from None
    *sections, option = section, *options  # of clips.storyboards.file: clips, storyboards; file
    inside = values
    for depth, name in enumerate(sections, 1):
        inner = inside.get(name)
        if inner is not None and not isinstance(inner, Mapping):
            place = ".".join(sections[:depth])
            raise UsageError(f"{change!r}: {place} of the recipe is {inner!r}, not a section")
        inside[name] = dict(inner or {})
        inside = inside[name]
    inside[option] = value
