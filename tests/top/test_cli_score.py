"""``negah score`` as a user runs it."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from negah.cli.main import run
from negah.cli.score_progress import compiling
from negah.cli.score_report import verdict
from negah.metrics import METRICS, Comparison, DocumentFrequencies, default_metrics, score
from negah.metrics.meteor import load_meteor
from negah.text import words
from tiny_data import make_shapes

REFERENCES = {
    "1": ["A dog runs on the grass.", "The dog's ball is on the green grass."],
    "2": ["Two men sit on a bench.", "Men sitting on a wooden bench."],
    "3": ["A girl in a red coat smiles.", "A smiling girl wears red."],
    "4": ["A cat sleeps, curled up.", "The cat is asleep on a chair."],
}
GOOD = {
    "1": "A dog runs with a ball on the grass",
    "2": "Two men sit on a wooden bench",
    "3": "A girl in a red coat",
    "4": "A cat, asleep on a chair",
}
BAD = dict.fromkeys(REFERENCES, "a man on a bench")
#: METEOR has tests of its own.
FAST = ("BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr-D")
FAST_ONLY = ["--metrics", ",".join(FAST)]


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the same captions in several layouts, which is the current one."""
    monkeypatch.chdir(tmp_path)
    annotations = [
        {"id": n, "image_id": int(name), "caption": caption}
        for n, (name, captions) in enumerate(REFERENCES.items())
        for caption in captions
    ]
    images = [{"id": int(name), "file_name": f"photo-{name}.jpg"} for name in REFERENCES]
    _json("refs.json", {"images": images, "annotations": annotations})
    Path("refs.jsonl").write_text(
        "".join(json.dumps({"image": n, "captions": c}) + "\n" for n, c in REFERENCES.items())
    )
    rows = [["image", "caption"], *([n, c] for n, given in REFERENCES.items() for c in given)]
    _csv("refs.csv", rows)
    Path("refs.txt").write_text("".join("\t".join(row) + "\n" for row in REFERENCES.values()))
    for index in (0, 1):
        lines = [row[index] for row in REFERENCES.values()]
        Path(f"refs-{index}.txt").write_text("\n".join(lines))
    for name, captions in (("good", GOOD), ("bad", BAD)):
        _json(f"{name}.json", [{"image_id": int(n), "caption": c} for n, c in captions.items()])
    _csv("good.csv", [["path", "caption"], *([f"a/photo-{n}.jpg", c] for n, c in GOOD.items())])
    Path("good.jsonl").write_text(
        "".join(json.dumps({"image_id": n, "caption": c}) + "\n" for n, c in GOOD.items())
    )
    Path("good.txt").write_text("".join(caption + "\n" for caption in GOOD.values()))
    _json("part.json", [{"image_id": 1, "caption": GOOD["1"]}, {"image_id": 3, "caption": "a"}])
    _json("twice.json", [{"image_id": 1, "caption": "a"}, {"image_id": 1, "caption": "b"}])
    return tmp_path


def _json(name: str, content: Any) -> None:
    Path(name).write_text(json.dumps(content))


def _csv(name: str, rows: Sequence[Sequence[str]]) -> None:
    buffer = io.StringIO()
    csv.writer(buffer).writerows(rows)
    Path(name).write_text(buffer.getvalue())


def _rows(text: str) -> dict[str, list[str]]:
    """The cells of the tables' rows, by metric."""
    found = (line.split() for line in text.splitlines())
    return {
        cells[0]: cells[1:]
        for cells in found
        if cells[:1] and cells[0] in METRICS and "to" in cells
    }


def _shown(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert run(["score", *arguments]) == 0
    shown = capsys.readouterr()
    files = [line for line in shown.err.splitlines() if line.startswith("written: ")]
    assert shown.err.splitlines() == files
    assert len(files) == ("--json" in arguments) + ("--per-image" in arguments)
    return shown.out


def test_scores_are_shown_with_intervals_signatures_and_diversity(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = _shown(capsys, "good.json", "--refs", "refs.json", *FAST_ONLY)
    assert out.startswith("good.json against refs.json\n")
    rows = _rows(out)
    assert tuple(rows) == FAST
    expected = score(GOOD, REFERENCES, metrics=FAST)
    intervals = expected.intervals()
    for metric, (value, low, to, high, images) in rows.items():
        assert value == f"{expected[metric]:.2f}"
        assert (low, high) == tuple(f"{end:.2f}" for end in intervals[metric])
        assert (to, images) == ("to", "4")
        assert f"\n  {expected.signatures[metric]}\n" in out
    assert "intervals: bootstrap over images, 1,000 resamples, seed 0\n" in out
    assert "\ndiversity: 100.0% of the captions differ, 0.0% repeat themselves\n" in out
    assert "\nwords: 20 different ones, 7.0 a caption, distinct-1 0.714, distinct-2 " in out
    assert "subset" not in out
    assert "warning" not in out


@pytest.mark.parametrize(
    ("hypotheses", "references"),
    [
        ("good.json", ["refs.csv"]),
        ("good.jsonl", ["refs.jsonl"]),
        ("good.csv", ["refs.json"]),
        ("good.txt", ["refs.txt"]),
        ("good.txt", ["refs-0.txt", "refs-1.txt"]),
    ],
)
def test_every_layout_gives_the_same(
    hypotheses: str,
    references: list[str],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    named = [argument for name in references for argument in ("--refs", name)]
    out = _shown(capsys, hypotheses, *named, *FAST_ONLY)
    expected = score(GOOD, REFERENCES, metrics=FAST)
    assert {m: row[0] for m, row in _rows(out).items()} == {
        metric: f"{value:.2f}" for metric, value in expected.values.items()
    }


def test_standard_input(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = io.TextIOWrapper(io.BytesIO(Path("good.csv").read_bytes()))
    monkeypatch.setattr(sys, "stdin", text)
    out = _shown(capsys, "-", "--refs", "refs.json", *FAST_ONLY)
    assert out.startswith("standard input against refs.json\n")


def test_files_for_other_tools(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["good.json", "--refs", "refs.json", *FAST_ONLY, "--seed", "3"]
    arguments += ["--resamples", "200", "--json", "out/scores.json"]
    assert "200 resamples, seed 3\n" in _shown(capsys, *arguments, "--per-image", "out/each.csv")
    found = json.loads(Path("out/scores.json").read_text())
    expected = score(GOOD, REFERENCES, metrics=FAST)
    assert found["scores"] == expected.to_dict(resamples=200, seed=3)["scores"]
    assert found["interval"] == {
        "method": "percentile bootstrap over images",
        "level": 0.95,
        "resamples": 200,
        "seed": 3,
    }
    assert (found["images"], found["left_out"], found["split"]) == (4, 0, None)
    assert "comparison" not in found

    with Path("out/each.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == list(REFERENCES)
    assert [row["caption"] for row in rows] == list(GOOD.values())
    for metric, values in expected.per_image.items():
        assert [float(row[metric]) for row in rows] == pytest.approx(values, abs=1e-4)

    _shown(capsys, *arguments, "--per-image", "each.jsonl")
    lines = [json.loads(line) for line in Path("each.jsonl").read_text().splitlines()]
    assert [str(line[m]) for line in lines for m in FAST] == [row[m] for row in rows for m in FAST]


def test_two_systems_are_compared(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["good.json", "--refs", "refs.json", "--compare", "bad.json", *FAST_ONLY]
    out = _shown(capsys, *arguments, "--json", "scores.json")
    _, comparison = out.split("\nA: good.json\nB: bad.json\n")
    good, bad = (score(one, REFERENCES, metrics=FAST) for one in (GOOD, BAD))
    for metric, cells in _rows(comparison).items():
        a, b, difference, low, to, high, p_bootstrap, p_randomisation = cells
        expected = good.compare(bad)[metric]
        assert (a, b) == (f"{good[metric]:.2f}", f"{bad[metric]:.2f}")
        assert (difference, low, high) == tuple(
            f"{value:+.2f}" for value in (expected.difference, expected.low, expected.high)
        )
        assert (p_bootstrap, p_randomisation) == (
            f"{expected.p_bootstrap:.3f}",
            f"{expected.p_randomisation:.3f}",
        )
        assert to == "to"
    # four images and coins: no test can be sure
    assert "Undecided in " in comparison
    assert "warning: B: the same caption for every image" in comparison
    found = json.loads(Path("scores.json").read_text())["comparison"]
    assert found["hypotheses"] == "bad.json"
    assert found["differences"]["ROUGE-L"]["difference"] > 0
    assert all(sentence in out for sentence in found["verdict"])


def test_a_system_beside_itself_is_the_same(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["good.json", "--refs", "refs.json", "--compare", "good.txt.json", *FAST_ONLY]
    Path("good.txt.json").write_text(Path("good.json").read_text())
    out = _shown(capsys, *arguments, "--json", "scores.json")
    sentence = "The same in BLEU-1, BLEU-4, ROUGE-L and CIDEr-D: A and B score alike on every image"
    assert sentence in out
    assert "Undecided" not in out
    found = json.loads(Path("scores.json").read_text())["comparison"]
    assert all(one["same"] for one in found["differences"].values())


def _comparison(difference: float, p_bootstrap: float, p_randomisation: float) -> Comparison:
    low, high = difference - 1, difference + 1
    p = (p_bootstrap, p_randomisation)
    return Comparison(50 + difference, 50, difference, low, high, *p, same=False)


@pytest.mark.parametrize(
    ("comparison", "sentences"),
    [
        (
            {"BLEU-1": (2.0, 0.01, 0.02), "BLEU-4": (3.0, 0.01, 0.01), "CIDEr-D": (1.0, 0.2, 0.3)},
            ["A is better in BLEU-1 and BLEU-4: ", "Undecided in CIDEr-D: "],
        ),
        ({"ROUGE-L": (-2.0, 0.01, 0.02)}, ["B is better in ROUGE-L: "]),
        ({"ROUGE-L": (2.0, 0.01, 0.06)}, ["Undecided in ROUGE-L: "]),
        (
            {"BLEU-1": (2.0, 0.01, 0.01), "BLEU-4": (-2.0, 0.01, 0.01)},
            ["A is better in BLEU-1: ", "B is better in BLEU-4: "],
        ),
        (
            dict.fromkeys(("BLEU-1", "BLEU-2", "BLEU-3"), (0.0, 1.0, 1.0)),
            ["Undecided in BLEU-1, BLEU-2 and BLEU-3: "],
        ),
    ],
)
def test_the_sentence_under_a_comparison(
    comparison: Mapping[str, tuple[float, float, float]], sentences: list[str]
) -> None:
    found = list(verdict({metric: _comparison(*one) for metric, one in comparison.items()}))
    assert len(found) == len(sentences)
    assert all(one.startswith(start) for one, start in zip(found, sentences, strict=True))


def test_parts_and_subsets(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = _shown(capsys, "part.json", "--refs", "refs.json", "--subset", *FAST_ONLY)
    assert _rows(out)["ROUGE-L"][-1] == "2"
    assert "subset: 2 of the 4 images with references; document frequencies are of" in out
    out = _shown(
        capsys,
        *("good.json", "--refs", "refs.json", "--subset", "--compare", "part.json"),
        *FAST_ONLY,
    )
    assert _rows(out.split("\nA: ")[0])["ROUGE-L"][-1] == "2"
    parts = {"1": "test", "2": "train", "3": "test", "4": "none"}
    rows = [[name, c, parts[name]] for name, given in REFERENCES.items() for c in given]
    _csv("parts.csv", [["image", "caption", "split"], *rows])
    out = _shown(capsys, "part.json", "--refs", "parts.csv", "--split", "test", *FAST_ONLY)
    assert out.startswith("part.json against parts.csv, part test\n")
    assert _rows(out)["ROUGE-L"][-1] == "2"
    assert "subset" not in out


def test_new_captions_are_counted_against_the_training_part(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    known = [
        ["image", "caption", "split"],
        ["x", GOOD["1"] + "!", "train"],
        ["y", GOOD["2"], "dev"],
    ]
    _csv("known.csv", known)
    arguments = ["good.json", "--refs", "refs.json", *FAST_ONLY, "--training"]
    assert "75.0% are in no training caption" in _shown(capsys, *arguments, "known.csv")
    Path("known.txt").write_text(f"{GOOD['1']}\n{GOOD['2']}\n")
    assert "50.0% are in no training caption" in _shown(capsys, *arguments, "known.txt")


def test_saved_frequencies_and_tokens(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [[words(caption) for caption in captions] for captions in REFERENCES.values()]
    DocumentFrequencies.of(rows[:3]).save("frequencies.json")
    arguments = ["good.txt", "--refs", "refs.txt", "--metrics", "cider-d"]
    out = _shown(capsys, *arguments, "--frequencies", "frequencies.json")
    assert "|df:given-3|tok:ptb|" in out
    assert list(_rows(out)) == ["CIDEr-D"]
    plain = _rows(_shown(capsys, *arguments))
    Path("good.txt").write_text("".join(" ".join(words(c)) + "\n" for c in GOOD.values()))
    lines = ["\t".join(" ".join(one) for one in row) for row in rows]
    Path("refs.txt").write_text("\n".join(lines) + "\n")
    out = _shown(capsys, *arguments, "--tokenised")
    assert "|tok:none|" in out
    assert _rows(out) == plain


def test_without_meteor_the_install_command_stands_there(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pycocoevalcap", None)
    out = _shown(capsys, "good.json", "--refs", "refs.json")
    assert "\nMETEOR needs pycocoevalcap, which is not installed. Install it with: pip" in out
    assert "METEOR" not in _rows(out)
    assert list(_rows(out)) == [m for m in default_metrics() if m != "METEOR"]
    assert run(["score", "good.json", "--refs", "refs.json", "--metrics", "METEOR"]) == 1
    assert "pip install 'negah[meteor]'" in capsys.readouterr().err


def test_meteor_stands_in_the_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pycocoevalcap", reason="METEOR's data is in the meteor extra")
    load_meteor()  # where its data was never compiled, a line would say that it is
    out = _shown(capsys, "good.json", "--refs", "refs.json", "--compare", "bad.json")
    assert "pip install" not in out
    table, comparison = out.split("\nA: ")
    for text in (table, comparison):
        assert tuple(_rows(text)) == default_metrics()
    assert "\n  METEOR|meteor:1.5|lang:en|norm:yes|" in table


def test_chair_against_objects(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "pycocoevalcap", None)  # METEOR is not what this is about
    rows = {"1": [["dog", 1, 2, 3, 4], ["person", 0, 0, 9, 9]], "2": [], "4": ["chair"]}
    lines = [json.dumps({"image": f"x/photo-{n}.jpg", "objects": one}) for n, one in rows.items()]
    Path("objects.jsonl").write_text("\n".join(lines) + "\n")
    arguments = ["good.csv", "--refs", "refs.json", "--metrics", "CHAIR-i,CHAIR-s"]
    files = ["--per-image", "each.csv", "--json", "scores.json", "--compare", "bad.json"]
    out = _shown(capsys, *arguments, "--objects", "objects.jsonl", *files)
    objects = {"1": ["dog", "person"], "2": [], "4": ["chair"]}
    expected = score(GOOD, REFERENCES, metrics=["CHAIR-i", "CHAIR-s"], objects=objects)
    stored = json.loads(Path("scores.json").read_text())
    assert {name: row["value"] for name, row in stored["scores"].items()} == expected.values
    assert stored["scores"]["CHAIR-i"]["signature"] == expected.signatures["CHAIR-i"]
    # B says "a man on a bench" of all four: one has no man, and three have no bench
    differences = stored["comparison"]["differences"]
    assert (differences["CHAIR-i"]["b"], differences["CHAIR-s"]["b"]) == (100 * 4 / 8, 100 * 3 / 4)
    assert differences["CHAIR-i"]["a"] == 0
    assert "|truth:boxes-3+refs|" in out
    assert "\nCHAIR-i: percent, lower is better\n" in out
    assert "\nwarning: CHAIR: 1 of 4 images have no list of objects" in out
    with Path("each.csv").open(newline="") as file:
        each = [(row["image"], row["CHAIR-s"]) for row in csv.DictReader(file)]
    assert each[0] == ("a/photo-1.jpg", "0.0")
    # by references alone, where no objects are given, and by default where they are
    assert "|truth:refs|" in _shown(capsys, *arguments)
    assert "CHAIR-s" in _rows(_shown(capsys, *arguments[:3], "--objects", "objects.jsonl"))


def test_the_better_of_two_by_chair_has_less_of_it() -> None:
    numbers = {"low": 1.0, "high": 3.0, "p_bootstrap": 0.01, "p_randomisation": 0.02}
    one = Comparison(a=5.0, b=3.0, difference=2.0, **numbers, same=False, lower_is_better=True)
    (sentence,) = verdict({"CHAIR-i": one})
    assert sentence.startswith("B is better in CHAIR-i: ")


def test_compiling_shows_one_line_off_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    with compiling("the data") as progress:
        assert capsys.readouterr().err == ""
        for share in (0.0, 0.5, 1.0):
            progress(share)
    shown = capsys.readouterr()
    assert shown.err == "compiling the data, once; this takes half a minute\n"
    assert shown.out == ""


def test_compiling_shows_a_bar_on_a_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    with compiling("the data") as progress:
        for share in (0.0, 0.5, 1.0):
            progress(share)
    shown = capsys.readouterr()
    assert "compiling the data, once" in shown.err
    assert "100%" in shown.err
    assert shown.out == ""


def test_what_evaluate_writes_scores_the_same(
    tiny_bundle: Path, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_shapes(folder / "shapes")
    arguments = ["evaluate", str(tiny_bundle), "--data", str(data), "--json", "evaluated.json"]
    assert run([*arguments, "--captions", "captions.json"]) == 0
    capsys.readouterr()
    references = ["--refs", str(data / "captions.csv"), "--split", "test"]
    _shown(capsys, "captions.json", *references, "--json", "scored.json")
    (evaluated,) = json.loads(Path("evaluated.json").read_text())["evaluations"]
    scored = json.loads(Path("scored.json").read_text())
    for part in ("images", "scores", "interval", "diversity", "warnings"):
        assert scored[part] == evaluated[part]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ([], 2, "HYPS"),
        (["good.json"], 2, "--refs FILE"),
        (["good.json", "--refs"], 2, "--refs"),
        (["nowhere.json", "--refs", "refs.json"], 2, "there is no file nowhere.json"),
        (["good.json", "--refs", "nowhere.json"], 2, "there is no file nowhere.json"),
        (["good.json", "--refs", "."], 2, "is a folder; name the file"),
        (["good.json", "--refs", "refs.json", "--compare", "x"], 2, "there is no file x"),
        (["good.json", "--refs", "refs.json", "--frequencies", "x"], 2, "there is no file x"),
        (["good.json", "--refs", "refs.json", "--training", "x"], 2, "there is no file x"),
        (["good.json", "--refs", "refs.json", "--objects", "x"], 2, "there is no file x"),
        (["good.json", "--refs", "refs.json", "--objects", "refs.jsonl"], 1, "no list 'objects'"),
        (["-", "--refs", "-"], 2, "standard input (-) can be only one"),
        (["good.json", "--refs", "refs.json", "--metrics", "CIDER-E"], 2, "mean 'CIDEr-D'?"),
        (["good.json", "--refs", "refs.json", "--metrics", ","], 2, "--metrics names none"),
        (["good.json", "--refs", "refs.json", "--resamples", "0"], 2, "--resamples"),
        (["good.json", "--refs", "refs.json", "--seed", "-1"], 2, "--seed"),
        (["good.json", "--refs", "refs.json", "--split", "tests"], 2, "unknown split 'tests'"),
        (["good.json", "--refs", "refs.json", "--split", "test"], 1, "it names none"),
        (["good.json", "--refs", "refs.json", "--per-image", "x.txt"], 2, ".csv or .jsonl"),
        (["good.json", "--refs", "refs.json", "--json", "."], 2, "is a folder"),
        (["good.json", "--refs", "refs.json", "--json", "good.csv/x"], 2, "choose another place"),
        (["good.txt", "--refs", "refs.json"], 1, "good.txt is plain text, matched by line"),
        (["good.json", "--refs", "refs.txt"], 1, "refs.txt is plain text, matched by line"),
        (["refs-0.txt", "--refs", "good.csv"], 1, "Give both as plain text, or both with names"),
        (["part.json", "--refs", "refs.json"], 1, "2 of the 4 images in refs.json have no capt"),
        (["good.json", "--refs", "part.json"], 1, "2 of the 4 images in good.json have no ref"),
        (["twice.json", "--refs", "refs.json"], 1, "twice.json, entry 2: image '1' has a second"),
        (["good.json", "--refs", "refs.json", "--compare", "part.json"], 1, "no caption in part"),
        (["good.json", "--refs", "refs.json", "--frequencies", "refs.csv"], 1, "refs.csv"),
        (["refs.json", "--refs", "refs.json"], 1, "annotations[1]: image '1' has a second"),
    ],
)
def test_wrong_usage_is_explained(
    arguments: list[str],
    code: int,
    message: str,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fast = [] if "--metrics" in arguments else FAST_ONLY
    assert run(["score", *arguments, *(fast if "--refs" in arguments[:-1] else [])]) == code
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown


def test_systems_without_an_image_in_common(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _json("other.json", [{"image_id": 2, "caption": "a"}])
    arguments = ["part.json", "--refs", "refs.json", "--subset", "--compare", "other.json"]
    assert run(["score", *arguments]) == 1
    assert "part.json and other.json have captions of different" in capsys.readouterr().err
