"""Recipes: the shipped ones load, changes are understood, mistakes are explained."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import Literal, get_args, get_origin

import pytest

pytest.importorskip("torch", reason="recipes need the train extra")

from pydantic import BaseModel, TypeAdapter

import negah.models
import negah.training.objectives
from negah.errors import UnknownNameError, UsageError
from negah.models import CamRnnOptions, CaptionerOptions, ShowTellOptions, captioner_options
from negah.options import Options
from negah.text import CharTokenizer, WordTokenizer
from negah.training import Recipe, TextOptions, load_recipe, recipe_names
from negah.training.clips import MontageOptions
from negah.training.objectives import ObjectiveOptions
from negah.yaml_core import read_yaml

#: What the paper's names stand for: visual, text_attention, gate.
ABLATIONS = {
    "none-rnn": ("mean", False, False),
    "frame-rnn": ("frames", False, False),
    "visual-rnn": ("regions", False, False),
    "vt-rnn": ("regions", True, False),
    "cam-rnn": ("regions", True, True),
    "cam-rnn-bottom-up": ("regions", True, True),
}


def test_the_shipped_recipes() -> None:
    assert {*ABLATIONS, "show-tell"} <= set(recipe_names())
    assert recipe_names() == sorted(recipe_names())
    for name in recipe_names():
        recipe = load_recipe(name)
        assert recipe.name == name
        assert recipe.description.endswith(".")
        # a saved recipe is the same recipe
        assert Recipe.parse(recipe.model_dump(mode="json"), where="saved") == recipe


@pytest.mark.parametrize("name", ABLATIONS)
def test_the_ablations_differ_in_their_parts_alone(name: str) -> None:
    model, full = load_recipe(name).model, load_recipe("cam-rnn").model
    assert isinstance(model, CamRnnOptions)
    assert (model.visual, model.text_attention, model.gate) == ABLATIONS[name]
    assert model.region_query == ("none" if name == "cam-rnn-bottom-up" else "hidden")
    parts = ("visual", "text_attention", "gate", "region_query")
    assert model.model_dump(exclude=set(parts)) == full.model_dump(exclude=set(parts))
    assert load_recipe(name).training == load_recipe("cam-rnn").training


@pytest.mark.parametrize(
    ("change", "path", "value"),
    [
        ("training.learning_rate=5e-4", "training.learning_rate", 5e-4),  # text in YAML 1.1
        ("training.learning_rate=0.001", "training.learning_rate", 0.001),
        ("training.learning_rate=.5", "training.learning_rate", 0.5),
        ("training.epochs=3", "training.epochs", 3),
        ("training.flips=false", "training.flips", False),
        ("model.cell=gru", "model.cell", "gru"),
        ("model.cell=gru-no-reset", "model.cell", "gru-no-reset"),
        ("model.region_query=none", "model.region_query", "none"),
        ("encoder.weights=/a/b=c.pth", "encoder.weights", "/a/b=c.pth"),
        ("decoding.banned=[a, man]", "decoding.banned", ("a", "man")),
        ("decoding.top_k=null", "decoding.top_k", None),
        ("text.tokenizer=char", "text.tokenizer", "char"),
        ("training.compile=off", "training.compile", "off"),
        ("training.compile=on", "training.compile", "on"),
        ("training.flips=no", "training.flips", False),
        ("training.flips=on", "training.flips", True),
        ("decoding.banned=[no, on, off]", "decoding.banned", ("no", "on", "off")),
        ("training.epochs=1e1", "training.epochs", 10),
    ],
)
def test_changes(change: str, path: str, value: object) -> None:
    recipe = load_recipe("cam-rnn", [change])
    section, option = path.split(".")
    assert getattr(getattr(recipe, section), option) == value


def test_captions_are_cut_where_hardly_any_is_so_long() -> None:
    """99.96% of Flickr8k's have 150 characters or fewer."""
    lengths = {
        (): 24,
        ("text.tokenizer=char",): 150,
        ("text.tokenizer=char", "text.max_tokens=9"): 9,
    }
    for changes, tokens in lengths.items():
        assert load_recipe("cam-rnn", changes).text.max_tokens == tokens


def test_the_last_change_counts() -> None:
    changes = ["training.epochs=3", "model.layers=2", "training.epochs=4"]
    recipe = load_recipe("show-tell", changes)
    assert recipe.training.epochs == 4
    assert recipe.encoder == load_recipe("show-tell").encoder  # the recipe's own, kept
    assert isinstance(recipe.model, ShowTellOptions)
    assert recipe.model.layers == 2


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("training.epoch=3", r"Did you mean 'training.epochs'\?"),
        ("trainin.epochs=3", r"unknown section 'trainin'. Did you mean 'training'"),
        ("model.hiden_size=3", "Did you mean 'hidden_size'.*Known: attention_size"),
        ("model.kind=cam", "unknown captioner 'cam'.*Known: cam-rnn, show-tell"),
        ("model.cell=lstn", "cell: .*'lstm', 'gru', 'gru-no-reset' or 'rnn'.*given: 'lstn'"),
        ("model.dropout=1", "dropout: .*less than 1.*given: 1"),
        ("training.epochs=2.5", "training.epochs"),
        ("training.epochs=", "training.epochs"),
        ("training.epochs=[", "not valid YAML"),
        ("training.learning_rate=fast", "learning_rate: .*number.*given: 'fast'"),
        ("training.epochs", "section.option=value"),
        ("epochs=3", "section.option=value"),
        ("name.first=a", "unknown section 'name'"),
        ("decoding.beam=0", "decoding.beam"),
        ("model.a.b=1", "unknown option 'a'"),
    ],
)
def test_mistaken_changes(change: str, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        load_recipe("cam-rnn", [change])


def test_contradictions_are_explained() -> None:
    with pytest.raises(UsageError, match="set text_attention, or gate=false"):
        load_recipe("none-rnn", ["model.gate=true"])
    with pytest.raises(UsageError, match="need tokenizer: word"):
        load_recipe("cam-rnn", ["text.tokenizer=char", "text.stem=true"])


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.yaml").write_text(text, encoding="utf-8")


def test_a_recipe_of_ones_own(tmp_path: Path) -> None:
    """extends goes by name or by a file beside the recipe; sections are merged, lists are not."""
    write(
        tmp_path,
        mine="extends: base.yaml\nname: mine\ntraining:\n  epochs: 7\ndecoding:\n  banned: [c]\n",
        base="extends: cam-rnn\nname: base\ntraining:\n  epochs: 5\n  photos: 8\n"
        "decoding:\n  banned: [a, b]\n",
    )
    recipe = load_recipe(str(tmp_path / "mine.yaml"), ["training.seed=4"])
    assert recipe.name == "mine"
    assert (recipe.training.epochs, recipe.training.photos, recipe.training.seed) == (7, 8, 4)
    assert recipe.decoding.banned == ("c",)
    assert recipe.encoder.trainable_blocks == load_recipe("cam-rnn").encoder.trainable_blocks


@pytest.mark.parametrize(
    ("text", "changes", "words"),
    [
        ("extends: a.yaml\nname: a", [], "in a circle: .*a.yaml -> .*a.yaml"),
        ("extends: b.yaml\nname: a", [], "b.yaml: no such file"),
        ("extends: cam\nname: a", [], "unknown recipe 'cam'"),
        ("name: a", [], "model: Field required"),
        ("name: a\nmodel: cam", [], "unknown captioner"),
        ("name: a\nmodel:\n  cell: gru", [], "needs kind: one of cam-rnn, show-tell"),
        ("name: a\nmodel: 3", [], "model: "),
        ("extends: cam-rnn\ntraining: fast", ["training.epochs=3"], "not a section"),
        ("extends: cam-rnn\nextra: 3", [], "unknown option 'extra'"),
        ("[1, 2]", [], "expected sections"),
        ("a: [", [], "not valid YAML"),
        ("\udcff", [], "UTF-8"),
    ],
)
def test_mistaken_recipes(text: str, changes: list[str], words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(UsageError, match=words):
        load_recipe(str(path), changes)


def test_unknown_recipes() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'cam-rnn'\?.*none-rnn"):
        load_recipe("camrnn")
    with pytest.raises(UsageError, match="no such file"):
        load_recipe("nowhere/mine.yaml")


@pytest.mark.parametrize(
    "options",
    [cls for cls in (Recipe, *(f.annotation for f in Recipe.model_fields.values()))
     if isinstance(cls, type) and issubclass(cls, BaseModel)]
    + [CamRnnOptions, ShowTellOptions, MontageOptions],
)  # fmt: skip
def test_every_option_is_described(options: type[BaseModel]) -> None:
    sections = {"initial", "encoder", "model", "text", "clips", "training", "decoding", "kind"}
    for name, field in options.model_fields.items():
        assert field.description or name in sections, f"{options.__name__}.{name}"


def fields(options: type[Options], where: str = "") -> Iterator[tuple[str, object]]:
    """The name and type of every option, of nested sections too."""
    for name, field in options.model_fields.items():
        yield f"{where}{name}", field.annotation
        for part in (field.annotation, *get_args(field.annotation)):
            if isinstance(part, type) and issubclass(part, Options):
                yield from fields(part, f"{where}{name}.")


def kinds(parent: type[Options]) -> Iterator[type[Options]]:
    """A class of options, and those of each kind."""
    for package in (negah.models, negah.training.objectives):
        for module in pkgutil.iter_modules(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    yield parent
    for one in parent.__subclasses__():
        yield from kinds(one)


#: Every option of a recipe, by its name in messages.
OPTIONS = [
    (f"{options.__name__}.{name}", kind)
    for parent in (Recipe, CaptionerOptions, ObjectiveOptions)
    for options in kinds(parent)
    for name, kind in fields(options)
]
WORDS = [
    (name, kind, value)
    for name, kind in OPTIONS
    for part in (kind, *get_args(kind))
    if get_origin(part) is Literal
    for value in get_args(part)
]


def test_the_table_has_options_of_all_sections() -> None:
    assert {"Recipe.training.compile", "CamRnnOptions.cell"} <= {name for name, *_ in WORDS}
    assert ("Recipe.training.compile", "off") in {(name, value) for name, _, value in WORDS}
    assert {"DistillationOptions.teachers", "AugmentOptions.flip"} & {name for name, _ in OPTIONS}


@pytest.mark.parametrize(("name", "kind", "value"), WORDS)
def test_words_of_an_option_are_read_as_they_are(name: str, kind: object, value: object) -> None:
    """ "off" was a boolean, as in YAML 1.1."""
    assert TypeAdapter(kind).validate_python(read_yaml(str(value))) == value


@pytest.mark.parametrize("name", [name for name, kind in OPTIONS if kind is bool])
@pytest.mark.parametrize(
    ("word", "value"),
    [
        *(("yes", True), ("on", True), ("true", True)),
        *(("no", False), ("off", False), ("false", False)),
    ],
)
def test_switches_read_the_usual_words(name: str, word: str, value: bool) -> None:
    kind = dict(OPTIONS)[name]
    assert TypeAdapter(kind).validate_python(read_yaml(word)) is value


def test_a_recipe_follows_as_the_usual_words_say(tmp_path: Path) -> None:
    for word, expected in (("yes", True), ("off", False)):
        write(tmp_path, mine=f"extends: cam-rnn\nname: mine\ninitial: {{follow: {word}}}\n")
        assert load_recipe(str(tmp_path / "mine.yaml")).initial.follow is expected
    with pytest.raises(UsageError, match=r"follow: .*valid boolean"):
        load_recipe("cam-rnn", ["initial.follow=perhaps"])


def test_text_options_build_the_tokenizer() -> None:
    captions = ["a dog runs", "a dog sits", "two cats run"]
    words = TextOptions(min_count=2).build(captions)
    assert isinstance(words, WordTokenizer)
    assert words.tokens[4:] == ("a", "dog")
    assert isinstance(TextOptions(tokenizer="char", min_count=1).build(captions), CharTokenizer)
    stemmed = TextOptions(min_count=2, stem=True).build(captions)
    assert "run" in stemmed.tokens


def test_captioner_options_by_kind() -> None:
    assert captioner_options({"kind": "show-tell", "layers": 3}) == ShowTellOptions(layers=3)
    with pytest.raises(UsageError, match="needs kind"):
        captioner_options({})
