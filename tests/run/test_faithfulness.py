"""Whether evidence can be believed: pointing, curves, the report, and ``negah explain --check``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from negah.captions import Caption
from negah.cli.main import run
from negah.data.box_files import Box, read_boxes
from negah.errors import DataError
from negah.evidence import EVIDENCE
from negah.evidence.occlusion import FEATURES, PATCHES
from negah.faithfulness import RANDOM, measure, summarise
from negah.faithfulness.measure import rank_correlation
from negah.faithfulness.pointing import cells_on, middles_in, named_things
from negah.faithfulness.report import area_under_curve
from negah.runtime import Captioner
from negah.runtime.explaining import caption_subject
from place_backend import PlaceBackend, spotted
from tiny_data import make_shapes

FACTS: dict[str, Any] = {
    "model": "m", "weights_sha256": "0", "dataset": "d", "split": "test",
    "signatures": {"own": "own", "attention": "attention"}, "failures": {},
}  # fmt: skip


def test_words_meet_boxes_by_category_and_by_stem() -> None:
    boxes = [
        Box("person", 0, 0, 0.5, 1),
        Box("dog", 0.5, 0, 1, 1),
        Box("windmills", 0, 0, 0.1, 0.1),
        Box("cat", 0, 0, 1, 1),
    ]
    words = [*["a", "man", "with", "a", "hot", "dog", "and", "a", "puppy", "near", "a", "windmill"]]
    found = {
        words[one.place]: {box.name for box in one.boxes} for one in named_things(words, boxes)
    }
    assert found == {"man": {"person"}, "puppy": {"dog"}, "windmill": {"windmills"}}


def test_cells_on_a_thing() -> None:
    box = Box("dog", 0.24, 0.0, 0.52, 0.5)
    # a hundredth of the first column, all of the second, little of the third
    assert np.argwhere(cells_on([box], (2, 4))).tolist() == [[0, 1]]
    assert np.argwhere(middles_in([box], (2, 4))).tolist() == [[0, 1]]
    tiny = Box("dog", 0.30, 0.30, 0.31, 0.31)
    assert np.argwhere(cells_on([tiny], (2, 4))).tolist() == [[0, 1]]
    assert np.argwhere(middles_in([tiny], (2, 4))).tolist() == [[0, 1]]
    half = Box("dog", 0.2, 0.0, 0.25, 1.0)
    assert np.argwhere(cells_on([half], (1, 4))).tolist() == [[0, 0]]
    assert not cells_on([], (2, 2)).any()


@pytest.mark.parametrize("method", [FEATURES, PATCHES])
def test_a_map_that_tells_beats_random_order(method: Any) -> None:
    backend = PlaceBackend()
    backend.tokenizer = _Content()  # type: ignore[assignment]
    reading = caption_subject(Captioner(backend), spotted((2, 3)))
    methods = {"own": method, "attention": EVIDENCE.get("attention")}
    rows = measure(reading, methods, boxes=[Box("c17", 3 / 7, 2 / 7, 4 / 7, 3 / 7)])
    row = rows[0]
    assert row["word"] == "q" * 17 + "z"
    # taken away it falls at once, put back it rises at once; attention is the same everywhere
    assert row["deletion"]["own"] < row["deletion"]["attention"] - 0.3
    assert row["insertion"]["own"] > row["insertion"]["attention"] + 0.3
    assert row["deletion"][RANDOM] > row["deletion"]["own"]
    assert row["agreement"] == {"attention": None}
    json.dumps(rows)


class _Content:
    """The words of the made backend, in letters."""

    def __init__(self) -> None:
        inner = PlaceBackend().tokenizer
        self.specials = inner.specials
        letters = ["q" * number + "z" for number in range(49)]
        self.tokens = (*inner.tokens[:4], *letters)

    def decode(self, ids: Any) -> str:
        return " ".join(self.tokens[i] for i in ids)


def test_pointing_of_a_real_caption(tiny_bundle: Path) -> None:
    from tiny_photos import picture

    reading = caption_subject(Captioner(tiny_bundle, threads=1), picture(0))
    things = [Box(name, 0, 0, 0.5, 0.5) for name in ("dog", "person", "ball", "bicycle", "grass")]
    rows = measure(reading, {"occlusion": FEATURES}, boxes=things)
    pointed = [row for row in rows if "pointing" in row]
    for row in pointed:
        assert row["pointing"]["chance"] == 0.25
        assert not row["pointing"]["small"]
    assert all(set(row["deletion"]) == {"occlusion", RANDOM} for row in rows)


def _row(photo: int, word: int, hit: bool) -> dict[str, Any]:
    base = 0.1 * photo + 0.01 * word
    return {
        "word": "dog", "place": word, "logprob": -1.0 + base, "seen": 0.85 if hit else 0.15,
        "supported": hit, "agreement": {"attention": 0.5},
        "deletion": {"own": -1.0 - base, "attention": -0.5, RANDOM: -0.2},
        "insertion": {"own": -0.2, "attention": -0.5, RANDOM: -0.9},
        "pointing": {"hits": {"own": hit, "attention": False}, "chance": 0.2, "small": word == 0},
        "pointing, middle": {"hits": {"own": False, "attention": False}, "chance": 0.1,
                             "small": True},
    }  # fmt: skip


def test_the_report_sums_up() -> None:
    photos = [[_row(p, w, hit=(p * w) % 3 > 0) for w in range(3)] for p in range(20)]
    report = summarise(photos, **FACTS)
    assert (report.photos, report.words) == (20, 60)
    hits = np.mean([row["supported"] for rows in photos for row in rows])
    own = report.pointing["pointing"]["own"]
    assert own.value == pytest.approx(hits)
    assert own.low < hits < own.high
    assert report.pointing["pointing, small things"]["own"].n == 20
    assert report.chance["pointing"] == pytest.approx(0.2)
    gap = report.differences["insertion"]["attention"]
    assert gap.value == pytest.approx(0.3)
    assert gap.beyond_zero
    assert report.auc["seen"].value == 1.0
    assert 0 <= report.auc["logprob"].value <= 1
    assert [one.n for one in report.calibration] == [6] * 10
    # 26 words that are not seen, and 34 that are: one bin has 2 of these and 4 of those
    assert report.calibration_error == pytest.approx((54 * 0.15 + 6 * 0.05) / 60)
    assert report.agreement == {"attention": pytest.approx(0.5)}
    json.dumps(report.to_dict())


def test_what_nobody_knows_is_left_out() -> None:
    row = _row(0, 0, hit=True)
    for name in ("pointing", "pointing, middle"):
        del row[name]
    report = summarise([[row | {"seen": None, "supported": None}], []], **FACTS)
    assert report.pointing == {}
    assert report.auc == {}
    assert report.calibration_error is None


@pytest.mark.parametrize(
    ("scores", "true", "expected"),
    [
        ([1, 2, 3, 4], [0, 0, 1, 1], 1.0),
        ([1, 2, 3, 4], [1, 0, 1, 0], 0.25),
        ([1, 1, 1], [0, 1, 1], 0.5),
        ([1, 2], [1, 1], None),
    ],
)
def test_area_under_the_curve(scores: Any, true: Any, expected: float | None) -> None:
    found = area_under_curve(np.array(scores, float), np.array(true, bool))
    assert found == expected


def test_rank_correlation() -> None:
    up = np.arange(4, dtype=np.float32).reshape(1, 2, 2)
    assert rank_correlation(up, up * up) == pytest.approx(1)
    assert rank_correlation(up, -up) == pytest.approx(-1)
    assert rank_correlation(up, np.ones_like(up)) is None


BOXED = '{"image": "a.jpg", "width": 10, "height": 20, "objects": [["dog", 1, 2, 4, 40]]}\n'


def test_boxes_are_shares(tmp_path: Path) -> None:
    path = tmp_path / "boxes.jsonl"
    path.write_text(BOXED)
    expected = [Box("dog", 0.1, 0.1, 0.5, 1.0)]
    assert read_boxes(path).of(["photos/a.jpg"]) == {"photos/a.jpg": expected}
    coco = {
        "images": [{"id": 7, "file_name": "a.jpg", "width": 10, "height": 20}],
        "categories": [{"id": 1, "name": "dog"}],
        "annotations": [{"image_id": 7, "category_id": 1, "bbox": [1, 2, 4, 40]}],
    }
    path.write_text(json.dumps(coco))
    assert read_boxes(path).of(["a.jpg"]) == {"a.jpg": expected}
    with pytest.raises(DataError, match="has none of the 1 explained images"):
        read_boxes(path).of(["b.jpg"])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not valid JSON"),
        ("[1]", "has no list 'objects'"),
        (BOXED + BOXED, "repeats image"),
        (BOXED.replace("10", "0"), "has no width and height"),
        (BOXED.replace("10", "true"), "has no width and height"),
        (BOXED.replace("4, 40", "4"), r"is not \[name, x, y"),
        (BOXED.replace("4, 40", "-4, 40"), "no size below 0"),
        (BOXED.replace("4, 40", "NaN, 40"), r"a box is \[x, y, width, height\], not"),
        (BOXED.replace('"dog"', "3"), "has the name of a thing"),
        (BOXED.replace('"image"', '"x"'), "names no image"),
        ('{"images": [], "annotations": [], "categories": []}', "holds no images"),
    ],
)
def test_damaged_boxes(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "boxes.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=message):
        read_boxes(path)


@pytest.fixture
def shapes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small data set, and a cache of its own."""
    monkeypatch.setenv("NEGAH_CACHE", str(tmp_path / "cache"))
    return make_shapes(tmp_path / "shapes")


def test_check_reports_and_goes_on(
    tiny_bundle: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    command = ["explain", "--check", "--model", str(tiny_bundle), "--data", str(shapes),
               "--photos", "2", "-o", str(tmp_path / "report.json"),
               "--picture", str(tmp_path / "report.png")]  # fmt: skip
    assert run(command) == 0
    out = capsys.readouterr().out
    assert "deletion, nats (lower is better)" in out
    assert RANDOM in out
    first = json.loads((tmp_path / "report.json").read_text())
    assert first["photos"] == 2
    assert (tmp_path / "report.png").stat().st_size > 1000
    # what was measured is not measured again
    calls: list[Any] = []
    # the package has a function of the module's name
    module = sys.modules["negah.faithfulness.check"]
    monkeypatch.setattr(module, "caption_subject", lambda *a, **k: calls.append(a))
    assert run(command) == 0
    assert not calls
    assert json.loads((tmp_path / "report.json").read_text()) == first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--check"], "name the captioned photos"),
        (["--check", "--data", "SHAPES", "a.jpg"], "leave one of them out"),
        (["--check", "--data", "SHAPES", "-o", "report.txt"], "a report is JSON"),
        (["--check", "--data", "SHAPES", "--picture", "a.jpg"], "the figure is PNG"),
        (["--check", "--data", "SHAPES", "--objects", "nowhere"], "there is no file nowhere"),
        (["--check", "--data", "SHAPES", "--frames", "2"], "leave out --check"),
        (["--check", "--data", "SHAPES", "--method", "oclusion"], "occlusion"),
    ],
)
def test_wrong_checks(
    arguments: list[str],
    message: str,
    tiny_bundle: Path,
    shapes: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    given = [str(shapes) if one == "SHAPES" else one for one in arguments]
    assert run(["explain", "--model", str(tiny_bundle), *given]) == 2
    assert message in capsys.readouterr().err


def test_nothing_said_is_nothing_to_measure() -> None:
    from PIL import Image

    blank = Image.new("RGB", (56, 56), (90, 90, 90))
    reading = caption_subject(Captioner(PlaceBackend()), blank, min_length=0)
    assert isinstance(reading.caption, Caption)
    assert measure(reading, {"own": FEATURES}) == []
