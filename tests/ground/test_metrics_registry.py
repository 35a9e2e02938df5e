"""Metrics of other packages: installed, found by name, and scored as our own ones are."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from negah.arrays import DoubleArray
from negah.cli.main import run
from negah.cli.metric_options import metric_names
from negah.errors import MissingExtraError, UnknownNameError, UsageError
from negah.metrics import (
    METRICS,
    Accumulator,
    CaptionScorer,
    CaptionSet,
    MeanMetric,
    Metric,
    ReferenceSet,
    default_metrics,
    score,
)
from negah.metrics.catalogue import kinds_of, load_metrics
from negah.metrics.settings import Settings
from other_packages import install

PLUGIN = '''
from negah.metrics import MeanMetric


class LengthRatio(MeanMetric):
    """Words of a caption for each word of its references, on average."""

    names = ("LengthRatio",)
    unit = "words a word"

    def value(self, caption, references):
        return len(caption) / (sum(map(len, references)) / len(references))

    def signature(self, name):
        return f"{name}|version:1"


class Shouting(MeanMetric):
    """Capitals of the raw sentence, fewer being better."""

    names = ("Shouting",)
    needs_text = True
    lower_is_better = True

    def value(self, caption, references):
        return 100 * sum(letter.isupper() for letter in caption) / max(1, len(caption))
'''
REFERENCES = {"1": ["A dog runs.", "The dog runs fast."], "2": ["Two cats sleep.", "Cats."]}
CAPTIONS = {"1": "A DOG runs", "2": "Cats"}


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package with two metrics, as an installer leaves it."""
    folder = tmp_path / "site"
    points = (
        "[negah.metrics]\n"
        "LengthRatio = more_metrics:LengthRatio\n"
        "Shouting = more_metrics:Shouting\n"
        "Broken = more_metrics:Nothing\n"
        "Misnamed = more_metrics:Shouting\n"
    )
    install(folder, "more-metrics", points, more_metrics=PLUGIN)
    monkeypatch.syspath_prepend(folder)
    with METRICS.temporary():
        yield folder
    sys.modules.pop("more_metrics", None)


def test_a_metric_of_another_package_is_scored(package: Path) -> None:
    names = ["LengthRatio", "BLEU-1", "Shouting"]
    scores = score(CAPTIONS, REFERENCES, metrics=names)
    assert list(scores.values) == ["BLEU-1", "LengthRatio", "Shouting"]
    assert scores["LengthRatio"] == pytest.approx((3 / 3.5 + 1 / 2) / 2)
    assert scores["Shouting"] == pytest.approx(100 * (4 / 10 + 1 / 4) / 2)
    assert scores.signatures["LengthRatio"].startswith("LengthRatio|version:1|tok:ptb|nrefs:2|v:")
    assert scores.intervals(resamples=20)["Shouting"].low >= 25 - 1e-9
    calm = score({"1": "a dog", "2": "cats"}, REFERENCES, metrics=names)
    compared = calm.compare(scores, resamples=20)
    assert compared["Shouting"].first_is_better
    assert not compared["LengthRatio"].first_is_better
    # not unless it is named
    assert not {"LengthRatio", "Shouting"} & {*default_metrics()}


def test_parts_keep_the_raw_sentences_of_metrics_that_read_them(package: Path) -> None:
    parts = [Accumulator(metrics=["Shouting", "LengthRatio"]) for _ in range(2)]
    for part, name in zip(parts, CAPTIONS, strict=True):
        part.add({name: CAPTIONS[name]}, {name: REFERENCES[name]})
    state = json.loads(json.dumps(parts[1].state_dict()))
    parts[0].merge(Accumulator.from_state_dict(state))
    whole = score(CAPTIONS, REFERENCES, metrics=["Shouting", "LengthRatio"])
    assert parts[0].scores().values == whole.values


def test_the_command_scores_it(
    package: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.chdir(tmp_path)
    rows = [{"image": name, "captions": given} for name, given in REFERENCES.items()]
    Path("refs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    for name, captions in (("a", CAPTIONS), ("b", {"1": "a dog runs", "2": "cats"})):
        Path(f"{name}.json").write_text(
            json.dumps([{"image_id": image, "caption": one} for image, one in captions.items()])
        )
    arguments = ["score", "a.json", "--refs", "refs.jsonl", "--metrics", "lengthratio,shouting"]
    files = ["--json", "scores.json", "--per-image", "each.csv", "--compare", "b.json"]
    assert run([*arguments, *files, "--resamples", "20"]) == 0
    out = capsys.readouterr().out
    assert "LengthRatio: words a word\n" in out
    assert "Shouting: lower is better\n" in out
    stored = json.loads(Path("scores.json").read_text())
    assert stored["scores"]["LengthRatio"]["unit"] == "words a word"
    assert stored["scores"]["Shouting"]["lower_is_better"] is True
    assert stored["comparison"]["differences"]["Shouting"]["lower_is_better"] is True
    with Path("each.csv").open(newline="") as file:
        assert [row["Shouting"] for row in csv.DictReader(file)] == ["40.0", "25.0"]
    assert run(["score", "a.json", "--refs", "refs.jsonl", "--metrics", "Broken"]) == 2
    assert "of package more-metrics cannot be imported" in capsys.readouterr().err
    assert run(["score", "a.json", "--refs", "refs.jsonl", "--metrics", "Misnamed"]) == 2
    assert "it must be a tuple that contains the name of the entry point" in capsys.readouterr().err


class _Own(Metric):
    """What each test makes of it."""

    names = ("Own",)
    found: Any = np.ones((2, 1))
    scored: Any = None

    def __init__(self, references: ReferenceSet) -> None:
        self.references = references

    def statistics(self, captions: CaptionSet) -> DoubleArray:
        statistics: DoubleArray = self.found
        return statistics

    @classmethod
    def score(cls, sums: DoubleArray) -> Mapping[str, DoubleArray]:
        return {"Own": sums[..., 0]} if cls.scored is None else cls.scored

    def signature(self, name: str) -> str:
        return name


@pytest.fixture
def registered() -> Iterator[None]:
    """What a test registers is forgotten after it."""
    with METRICS.temporary():
        yield


@pytest.fixture
def own(registered: None) -> type[_Own]:
    """A metric, registered for one test."""
    kind = type("Own", (_Own,), {})
    METRICS.register("Own", kind)
    return kind


@pytest.mark.parametrize(
    ("attribute", "value", "message"),
    [
        (
            "found",
            np.ones((3, 1)),
            r"shape \(3, 1\); it must return a float64 array with a row for each",
        ),
        ("found", np.ones(2), "it must return a float64 array"),
        ("found", np.ones((2, 1), dtype=int), "of type int64"),
        ("found", np.array([[1.0], [np.nan]]), "the first for image 1, counted from 0"),
        ("scored", {}, r"must return scores of shape \(\) but returned nothing"),
        ("scored", {"own": np.ones(())}, r"of shape \(\) but returned 'own'"),
        ("scored", {"Own": np.full((), np.nan)}, "returned a score that is not finite"),
        ("scored", 3.0, "gave scores as float; return a mapping"),
        ("signature", lambda self, name: None, "returned the signature None"),
        ("statistics", lambda self, captions: 1 / 0, r"failed in statistics: ZeroDivisionError"),
        ("score", lambda sums: {}["x"], r"failed in score: KeyError: 'x' \(.*, line \d+\)"),
        ("__init__", lambda self, references: sys.exit(3), "failed in __init__: SystemExit: 3"),
        ("scored", {"Own": np.ones(3)}, r"returned an array of shape \(3,\)"),
    ],
)
def test_a_metric_that_breaks_its_promise_is_named(
    own: type[_Own], attribute: str, value: Any, message: str
) -> None:
    setattr(own, attribute, value)
    with pytest.raises(UsageError, match=f"the metric 'Own' .*{message}"):
        score(["a", "b"], [["a"], ["b"]], metrics=["Own"])


class _Share(MeanMetric):
    """The share of a caption's words that are "red", of captions that name a colour."""

    names = ("Share",)

    def value(self, caption: Any, references: Any) -> Any:
        if caption[0] == "odd":
            return None
        return caption.count("red") / len(caption) if {"red", "blue"} & {*caption} else float("nan")


@pytest.mark.usefixtures("registered")
def test_an_image_may_have_no_score() -> None:
    METRICS.register("Share", _Share)
    found = score(["red red", "a dog", "blue a"], [["x"], ["y"], ["z"]], metrics=["Share"])
    assert found["Share"] == 0.5
    np.testing.assert_array_equal(found.per_image["Share"], [1, np.nan, 0])
    assert "1 of 3 images have no Share, which is the mean of the others" in found.warnings
    assert np.isfinite(found.intervals(resamples=50)["Share"]).all()
    with pytest.raises(UsageError, match=r"value gave None \(NoneType\) for image 1, counted"):
        score(["red", "odd"], [["x"], ["y"]], metrics=["Share"])
    with pytest.raises(UsageError, match=r"for b\.jpg; return a number"):
        score({"b.jpg": "odd"}, {"b.jpg": ["x"]}, metrics=["Share"])


@pytest.mark.parametrize(
    ("thing", "message"),
    [
        (len, "is no subclass of negah.metrics.Metric or MeanMetric"),
        (type("Other", (MeanMetric,), {"names": "Odd"}), r"names = 'Odd': it must be a tuple"),
        (
            type("Other", (MeanMetric,), {"names": ("Even",)}),
            r"names = \('Even',\): it must be a tuple",
        ),
    ],
)
@pytest.mark.usefixtures("registered")
def test_what_is_no_metric_of_that_name(thing: Any, message: str) -> None:
    METRICS.register("Odd", thing)
    with pytest.raises(UsageError, match=message):
        score(["a"], [["a"]], metrics=["Odd"])


@pytest.mark.usefixtures("registered")
def test_our_own_names_are_kept_in_any_spelling() -> None:
    METRICS.register("bleu-4", _Share)
    assert metric_names(["BLEU-4,bleu-4"]) == ["BLEU-4", "BLEU-4"]


@pytest.mark.usefixtures("registered")
def test_a_metric_that_does_not_say_so_gets_no_raw_sentences() -> None:
    class Reader(MeanMetric):
        names = ("Own",)

        def values(self, captions: CaptionSet) -> DoubleArray:
            return np.array([len(one) for one in captions.text], dtype=np.float64)

    METRICS.register("Own", Reader)
    with pytest.raises(UsageError, match="needs_text = True"):
        score(["a"], [["a"]], metrics=["Own"])
    Reader.needs_text = True
    assert score(["a b c"], [["a"]], metrics=["Own"])["Own"] == 5


def test_names_and_classes() -> None:
    names = METRICS.names()
    assert names[:4] == ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4"]
    for kind, own in kinds_of(names[:10]).items():
        assert kind.names == own
    with pytest.raises(UnknownNameError, match="CIDEr-D"):
        score(["a"], [["a"]], metrics=["SPICE"])


def test_what_is_missing_is_said_before_work_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pycocoevalcap", None)
    load_metrics(None)
    with pytest.raises(MissingExtraError, match="METEOR needs"):
        load_metrics(["METEOR"])
    with pytest.raises(MissingExtraError, match="METEOR needs"):
        CaptionScorer([["a"]], metrics=["METEOR"])
    assert "METEOR" not in default_metrics(Settings())
