"""Defaults and limits that the documentation states are those of the code."""

from __future__ import annotations

import re
from typing import Any

import pytest

from common import REPOSITORY
from negah.captions import DOUBTFUL
from negah.cli.lazy import build_group
from negah.cli.main import COMMANDS
from negah.decoding import DecodingOptions
from negah.evidence.occlusion import FeatureOcclusion
from negah.jobs.claims import LEASE
from negah.jobs.inputs import SHARD_SIZE
from negah.media.images import MAX_PIXELS
from negah.metrics import MeanMetric
from negah.serve.options import DEFAULT_PORT, RequestLimits
from negah.split import SplitPolicy
from negah.text.alt import LEAST_CHARS, MAX_CHARS
from negah.text.languages import DEFAULT

#: Page, a sentence of it with numbers in groups, and the numbers.
CLAIMS: tuple[tuple[str, str, tuple[object, ...]], ...] = (
    (
        "alt-text",
        r"at most ([\d,]+) characters \(`--max-chars`, ([\d,]+) or more\)",
        (MAX_CHARS, LEAST_CHARS),
    ),
    ("explain", r"plus ([\d.]+) times the drop of its concept", (FeatureOcclusion().concepts,)),
    ("limits", r"more than ([\d,]+) million pixels is refused", (MAX_PIXELS / 1e6,)),
    (
        "limits",
        r"\(`--dev-fraction`, ([\d.]+); `--test-fraction`, ([\d.]+)\)",
        (SplitPolicy().dev_fraction, SplitPolicy().test_fraction),
    ),
    ("numbers", r"below ([\d.]+) the picture probably does not support the word", (DOUBTFUL,)),
    ("photo-library", r"http://127\.0\.0\.1:(\d+)", (DEFAULT_PORT,)),
    ("serve", r"bytes of a request \| ([\d,]+) MiB", (RequestLimits().body_bytes / 2**20,)),
    ("serve", r"pixels of a picture \| ([\d,]+) million", (RequestLimits().pixels / 1e6,)),
    ("serve", r"seconds of a clip \| ([\d,]+)", (RequestLimits().clip_seconds,)),
    (
        "serve",
        r"seconds to receive a body \| ([\d,]+) \| 408; for the headers ([\d,]+)",
        (RequestLimits().body_seconds, RequestLimits().head_seconds),
    ),
    ("serve", r"seconds for an answer \| ([\d,]+)", (RequestLimits().seconds,)),
    ("serve", r"requests held at a time \| ([\d,]+)", (RequestLimits().requests,)),
    ("serve", r"beam, captions of a photo \| ([\d,]+)", (RequestLimits().beam,)),
    ("shards", r"every `--shard-size` files \(([\d,]+)\)", (SHARD_SIZE,)),
    ("shards", r"per lease \(`--lease`, ([\d,]+) seconds\)", (LEASE,)),
    ("training", r"`support` is a decoding option, ([\d.]+) by default",
     (DecodingOptions().support,)),
)  # fmt: skip
#: Command, option, and the default that its help states as text.
SHOWN: tuple[tuple[str, str, str, object], ...] = (
    ("caption", "--shard-size", r"\((\d+)\)", SHARD_SIZE),
    ("caption", "--lease", r"\((\d+)\)", LEASE),
    ("caption", "--max-chars", r"\((\d+)\)", MAX_CHARS),
    ("caption", "--max-pixels", r"\((\d+)M\)", MAX_PIXELS / 1e6),
    ("caption", "--language", r"\((\w+),", DEFAULT),
    ("serve", "--language", r"\((\w+)\)", DEFAULT),
    ("serve", "--port", r"default: (\d+)", DEFAULT_PORT),
    ("serve", "--max-bytes", r"default: (\d+)", RequestLimits().body_bytes),
    ("serve", "--max-seconds", r"default: ([\d.]+)", RequestLimits().clip_seconds),
    ("serve", "--timeout", r"default: ([\d.]+)", RequestLimits().seconds),
    ("serve", "--queue", r"default: (\d+)", RequestLimits().requests),
)


def page(name: str) -> str:
    """A page of docs/ without line breaks."""
    return " ".join((REPOSITORY / "docs" / f"{name}.md").read_text("utf-8").split())


def value(text: str) -> object:
    """A number as it is written, or the text."""
    try:
        return float(text.replace(",", ""))
    except ValueError:
        return text


def rows(name: str, heading: str) -> dict[str, str]:
    """The second column of a table by the first, from the header line on."""
    text = (REPOSITORY / "docs" / f"{name}.md").read_text("utf-8")
    table = text[text.index(heading) :].split("\n\n")[0].splitlines()[2:]
    cells = [[cell.strip() for cell in line.strip("|").split(" | ")] for line in table]
    return {row[0].strip("` "): row[1] for row in cells}


@pytest.mark.parametrize(("name", "pattern", "expected"), CLAIMS)
def test_stated_numbers(name: str, pattern: str, expected: tuple[object, ...]) -> None:
    found = re.search(pattern, page(name))
    assert found is not None, f"docs/{name}.md no longer says: {pattern}"
    assert tuple(value(group) for group in found.groups() if group is not None) == expected


@pytest.mark.parametrize(("command", "option", "pattern", "expected"), SHOWN)
def test_defaults_in_help(command: str, option: str, pattern: str, expected: object) -> None:
    built = build_group("negah", COMMANDS).get_command(None, command)
    context = built.context_class(built, info_name=command)
    (shown,) = [
        record[1]
        for parameter in built.get_params(context)
        if option in parameter.opts and (record := parameter.get_help_record(context))
    ]
    found = re.search(pattern, shown[shown.index("[default") :])
    assert found is not None, shown
    assert value(found[1]) == expected


def test_attributes_of_metrics() -> None:
    stated = rows("metrics", "| attribute | meaning | default |")
    text = page("metrics")
    for name in set(stated) - {"names"}:
        found = re.search(rf"\| `{name}` \| [^|]+ \| `([^`]+)` \|", text)
        assert found is not None, name
        assert found[1] == str(getattr(MeanMetric, name))


def test_options_of_self_critical_training() -> None:
    pytest.importorskip("torch", reason="needs the train extra")
    from negah.training import load_recipe
    from negah.training.objectives.self_critical import SelfCriticalOptions

    stated = rows("training", "| option of `training.objective` | default | |")
    defaults: dict[str, Any] = SelfCriticalOptions().model_dump()
    assert len(stated) >= 5
    assert stated == {name: str(defaults[name]).lower().removesuffix(".0") for name in stated}
    found = re.search(
        r"learning rate of ([\d.e-]+), dropout ([\d.]+), (\d+) epochs, validation with the beam of "
        r"the bundle \((\d+)\)",
        page("training"),
    )
    assert found is not None
    recipe = load_recipe("cam-rnn-scst")
    training = recipe.training
    assert [float(group) for group in found.groups()] == [
        training.learning_rate, recipe.model.dropout, training.epochs, training.validation_beam,
    ]  # fmt: skip
    assert f"(`{training.compile}`, the default;" in page("training")


def test_options_of_initialisation() -> None:
    pytest.importorskip("torch", reason="needs the train extra")
    from negah.training import load_recipe
    from negah.training.initial import InitialOptions

    defaults, recipe = InitialOptions(), load_recipe("fine-tune").initial
    text = page("fine-tuning")
    stated = re.findall(r"\| `initial\.(\w+)` \| [^|]+ \| ([^|;]+)[^|]* \| ([^|]+) \|", text)
    assert {name for name, _, _ in stated} == set(InitialOptions.model_fields)
    for name, default, chosen in stated:
        for written, options in ((default, defaults), (chosen, recipe)):
            words = str(getattr(options, name)).lower() or "none"
            assert written.strip("` ") == words, name


def test_sizes_of_cam_rnn() -> None:
    pytest.importorskip("torch", reason="needs the train extra")
    from negah.models import CamRnnOptions, EncoderOptions
    from negah.training import load_recipe

    found = re.search(
        r"\((\d+) units, attention (\d+), phrases (\d+), dropout ([\d.]+) on words.*?, AdamW; the "
        r"recipe `cam-rnn` has dropout ([\d.]+)\)",
        page("cam-rnn"),
    )
    assert found is not None
    options = CamRnnOptions()
    assert [float(group) for group in found.groups()] == [
        options.hidden_size, options.attention_size, options.phrase_size, options.dropout,
        load_recipe("cam-rnn").model.dropout,
    ]  # fmt: skip
    assert f"**S is {options.phrases}**" in page("cam-rnn")
    assert f"`region_query: {options.region_query}`, an extension and the default" in page(
        "cam-rnn"
    )
    step = re.search(r"`encoder.motion_step` seconds later \(([\d.]+) by default\)", page("video"))
    assert step is not None
    assert float(step[1]) == EncoderOptions.model_fields["motion_step"].default
