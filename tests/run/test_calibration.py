"""How far words can be believed: measured, fitted, stored, read back, told with every caption."""

from __future__ import annotations

import json
import math
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="exporting a bundle needs the train extra")


from negah.bundle import Bundle, read_bundle
from negah.bundle.calibration import CALIBRATION_FILE, REFERENCES_FILE
from negah.bundle.revise import revise_bundle
from negah.calibration import CollectOptions, Collector, fit, save_calibration
from negah.calibration.pictures import KINDS, not_a_photo
from negah.captions import Caption, Word
from negah.cli.main import run
from negah.cli.marks import marked
from negah.data import Example
from negah.errors import BundleError, DataError, UsageError
from negah.runtime import Captioner
from negah.runtime.onnx import OnnxBackend
from negah.runtime.seen import Judge
from negah.runtime.stages import decode_photos, see_photo
from negah.text.stopwords import is_visible
from tiny_bundle import CAPTIONS, make_tiny_bundle

CONCEPTS = ("dog", "ball", "children", "grass", "red")
OPTIONS = CollectOptions(references=2, others=12)
PHOTOS = 16


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("calibration")


@pytest.fixture(scope="module")
def plain(root: Path, tiny_bundle: Path) -> dict[str, Bundle]:
    """Bundles as they are exported: one with a gate, and one with concepts."""
    concepts = make_tiny_bundle(root / "plain", kind="show-tell", concepts=CONCEPTS)
    return {"gate": read_bundle(tiny_bundle), "concepts": read_bundle(concepts)}


@pytest.fixture(scope="module")
def examples(root: Path, plain: dict[str, Bundle]) -> list[Example]:
    """Photos, of each second of which the references are what the models say of it."""
    random = np.random.default_rng(0)
    (root / "photos").mkdir()
    paths = []
    for number in range(PHOTOS):
        path = root / "photos" / f"{number}.png"
        small = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(small).resize((64, 64)).save(path)
        paths.append(path)
    said = [[one.caption for one in Captioner(b.path).caption_many(paths)] for b in plain.values()]
    return [
        Example(
            path.name,
            path,
            tuple(one.text or "nothing" for one in captions if one is not None)
            if number % 2
            else (CAPTIONS[number % 4], CAPTIONS[(number + 1) % 4]),
            "dev",
        )
        for number, (path, *captions) in enumerate(zip(paths, *said, strict=True))
    ]


@pytest.fixture(scope="module")
def calibrated(root: Path, plain: dict[str, Bundle], examples: list[Example]) -> dict[str, Bundle]:
    found = {}
    for name, bundle in plain.items():
        backend = OnnxBackend(bundle)
        some = [("tiny", example) for example in examples]
        fitted = fit(Collector(backend, some, [], OPTIONS).collect({}, lambda: None), "tiny")
        assert fitted.photos == PHOTOS
        assert fitted.others == OPTIONS.others
        scores = fitted.scores("tiny", "dev")
        saved = save_calibration(bundle, fitted.calibration, root / name, scores)
        assert [s for s in saved.config.scores if s.dataset == "tiny"] == list(scores)
        found[name] = saved
    return found


def test_measures_are_those_that_a_model_gives(calibrated: dict[str, Bundle]) -> None:
    measures = {}
    for name, bundle in calibrated.items():
        assert bundle.calibration is not None
        measures[name] = set(bundle.calibration.spec.words.measures)
    assert {"logprob", "lift", "least_lift", "agreed"} <= measures["gate"] & measures["concepts"]
    assert "gate" in measures["gate"] - measures["concepts"]
    assert {"concept", "contrast"} <= measures["concepts"] - measures["gate"]


@pytest.mark.parametrize("name", ["gate", "concepts"])
def test_captions_tell_how_far_they_are_supported(
    name: str, plain: dict[str, Bundle], calibrated: dict[str, Bundle], examples: list[Example]
) -> None:
    paths = [example.path for example in examples[:5]]
    captioner = Captioner(calibrated[name].path)
    together = [one.caption for one in captioner.caption_many(paths, n_best=2)]
    before = [one.caption for one in Captioner(plain[name].path).caption_many(paths, n_best=2)]
    for path, caption, other in zip(paths, together, before, strict=True):
        assert caption is not None
        assert other is not None
        assert other.confidence is None
        assert all(word.seen is None for word in other.words)
        assert caption.text == other.text
        alone = captioner.caption(path, n_best=2)
        for one, same in zip(
            (caption, *caption.alternatives), (alone, *alone.alternatives), strict=True
        ):
            assert one.confidence == pytest.approx(same.confidence, abs=1e-4)
            for word, again in zip(one.words, same.words, strict=True):
                assert (word.seen is not None) == is_visible(word.text)
                if word.seen is not None:
                    assert 0 <= word.seen <= 1
                    assert word.seen == pytest.approx(again.seen, abs=1e-4)
        row = caption.to_dict()
        assert row["confidence"] == pytest.approx(caption.confidence, abs=1e-4)
        assert [word.get("seen") is None for word in row["words"]] == [
            word.seen is None for word in caption.words
        ]
        assert "confidence" not in other.to_dict()
        assert "seen" not in other.to_dict()["words"][0]


def test_the_lift_is_the_fall_with_other_pictures(
    calibrated: dict[str, Bundle], examples: list[Example]
) -> None:
    """Against every caption forced through the model alone, a reference at a time."""
    backend = OnnxBackend(calibrated["gate"])
    calibration = calibrated["gate"].calibration
    assert calibration is not None
    seen = [see_photo(example.path, [backend]) for example in examples[:3]]
    found = decode_photos(seen, [backend], backend.decoding, range(3))
    judge = Judge(calibration, backend.model, backend.tokenizer)
    measured = judge.measure(found.hypotheses, found.features_BFRC, None)
    captions = [some[0] for some in found.hypotheses]
    for n, (row, place) in enumerate(
        zip(measured.caption_N.tolist(), measured.place_N.tolist(), strict=True)
    ):
        falls = []
        for reference_RC in calibration.references_PRC:
            state = backend.model.start(reference_RC[None, None])
            last = backend.tokenizer.specials.start
            for token in captions[row].tokens[: place + 1]:
                step = backend.model.step(state, np.array([[last]]))
                state, last, logprob = step.state, token, step.logprobs[0, 0, token]
            falls.append(captions[row].logprobs[place] - float(logprob))
        assert measured.words["lift"][n] == pytest.approx(np.mean(falls), abs=1e-4)
        assert measured.words["least_lift"][n] == pytest.approx(min(falls), abs=1e-4)


def test_models_that_are_fused_tell_nothing(calibrated: dict[str, Bundle]) -> None:
    folder = calibrated["gate"].path
    fused = Captioner(folder, fuse=[folder])
    assert fused.caption(np.zeros((64, 64, 3), np.uint8)).confidence is None
    with pytest.raises(UsageError, match="fused"):
        fused.least_confidence()


def test_scores_are_added_without_losing_it(calibrated: dict[str, Bundle], tmp_path: Path) -> None:
    bundle = calibrated["gate"]
    assert bundle.calibration is not None
    again = revise_bundle(bundle, tmp_path / "again", limits=("One more.",))
    assert again.calibration is not None
    assert again.calibration.spec == bundle.calibration.spec


def _change(spec: dict[str, Any], name: str, value: Any) -> None:
    *above, last = name.split(".")
    for key in above:
        spec = spec[key]
    spec[last] = value


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("agreed", [0.0], "agreed has 1 numbers"),
        ("kin", None, "kin"),
        ("centre", [], "centre has 0 numbers"),
        ("references", 3, "references.npy"),
        ("references", 1_000_000, "references"),
        ("threshold", 1.5, "threshold"),
        ("words.measures", ["temper"], "measures"),
        ("words.means", [], "as many"),
        ("words.terms", [[0, 39]], "terms"),
        ("words.intercept", math.nan, "intercept"),
        ("words.scales", [0.0], "scales"),
        ("extra", 1, "extra"),
    ],
)
def test_hostile_calibrations_are_refused(
    name: str, value: Any, message: str, calibrated: dict[str, Bundle], tmp_path: Path
) -> None:
    bundle = calibrated["gate"]
    spec = json.loads((bundle.path / CALIBRATION_FILE).read_text())
    _change(spec, name, value)
    with pytest.raises(BundleError, match=message):
        revise_bundle(
            bundle, tmp_path / "bad",
            write_others=lambda folder: _write(folder / CALIBRATION_FILE, json.dumps(spec)),
        )  # fmt: skip


def _write(file: Path, content: str | bytes) -> None:
    file.write_bytes(content.encode() if isinstance(content, str) else content)


def _huge(references: bytes) -> bytes:
    """A header that claims more numbers than there are."""
    return references.replace(b"(2, ", b"(9, ", 1)


def _infinite(references: bytes) -> bytes:
    return references[:-2] + np.float16(np.inf).tobytes()


def _pickled(references: bytes) -> bytes:
    return references.replace(b"'<f2'", b"'|O' ", 1)


@pytest.mark.parametrize("spoil", [_huge, _infinite, _pickled, lambda _: b"", lambda r: r[:-2]])
def test_hostile_references_are_refused(
    spoil: Any, calibrated: dict[str, Bundle], tmp_path: Path
) -> None:
    bundle = calibrated["gate"]
    bad = spoil((bundle.path / REFERENCES_FILE).read_bytes())
    with pytest.raises(BundleError, match=r"references\.npy"):
        revise_bundle(
            bundle, tmp_path / "bad",
            write_others=lambda folder: _write(folder / REFERENCES_FILE, bad),
        )  # fmt: skip


def test_what_is_no_json_is_refused(calibrated: dict[str, Bundle], tmp_path: Path) -> None:
    for text in ("{", "[]", "[" * 5000):
        with pytest.raises(BundleError, match=r"calibration\.json"):
            revise_bundle(
                calibrated["gate"], tmp_path / "bad",
                write_others=lambda folder, text=text: _write(folder / CALIBRATION_FILE, text),
            )  # fmt: skip


def test_a_calibration_needs_words_of_both_kinds(
    plain: dict[str, Bundle], examples: list[Example]
) -> None:
    backend = OnnxBackend(plain["concepts"])
    wrong = [("tiny", replace(one, captions=("zzz", "yyy"))) for one in examples[:3]]
    none = CollectOptions(references=0, others=0)
    with pytest.raises(DataError, match="0 are supported"):
        fit(Collector(backend, wrong, [], none).collect({}, lambda: None), "tiny")
    gone = [("tiny", replace(examples[0], path=Path("gone.png")))]
    with pytest.raises(DataError, match="no file"):
        Collector(backend, gone, [], none)


def test_pictures_that_are_no_photographs() -> None:
    first, again = not_a_photo(9), not_a_photo(9)
    assert first.mode == "RGB"
    assert first.tobytes() == again.tobytes()
    several = {not_a_photo(number).tobytes() for number in range(6 * len(KINDS))}
    assert len(several) >= 5 * len(KINDS)  # two that are blank may be alike


def _said(**seen: float | None) -> Caption:
    words = tuple(Word(text, -1.0, seen=value) for text, value in seen.items())
    return Caption(" ".join(seen), -1.0, -1.0, words)


def test_marks_stand_before_the_article() -> None:
    sure = {"a": None, "man": 0.9, "sits": 0.9, "on": None, "the": None, "red": 0.2}
    assert marked(_said(**sure, bench=0.2)) == "a man sits on possibly the red bench"
    assert marked(_said(**sure, bench=0.6)) == "a man sits on the red bench"
    assert marked(_said(dogs=0.1, run=0.2)) == "possibly dogs run"
    assert marked(_said(**(sure | {"man": 0.1}))) == "possibly a man sits on the red"
    dog = {"a": None, "black": 0.5, "and": None, "white": 0.3, "dog": 0.3}
    assert marked(_said(**dog, runs=0.9)) == "possibly a black and white dog runs"
    pair = {"a": None, "man": 0.9, "and": None, "dog": 0.3}
    assert marked(_said(**pair)) == "a man and possibly dog"
    assert marked(_said(a=None, man=None)) == "a man"  # a model that is not calibrated


def test_from_the_command_line(
    examples: list[Example], plain: dict[str, Bundle], root: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    table = root / "photos" / "table.csv"
    rows = [f"{e.name},{text},{e.split}" for e in examples for text in e.captions]
    table.write_text("\n".join(["image,caption,split", *rows]) + "\n")
    boxes = root / "boxes.jsonl"
    boxes.write_text(json.dumps({"image": "0.png", "objects": ["dog"]}) + "\n")
    folder, bundle = tmp_path / "calibrated", str(plain["concepts"].path)
    common = ["calibrate", bundle, "--data", str(table), "--references", "1", "--others", "6"]
    assert run([*common, "--split", "test"]) == 2
    assert run([*common, "--output", str(table.parent)]) == 2
    capsys.readouterr()
    told = tmp_path / "told.json"
    assert run([*common, "--objects", str(boxes), "-o", str(folder), "--json", str(told)]) == 0
    out = capsys.readouterr().out
    assert "content words, all" in out
    assert "captions, all" in out
    assert "of 6 pictures that are no photographs" in out
    numbers = json.loads(told.read_text())
    assert numbers["photos"] == PHOTOS
    assert 0 <= numbers["alone"]["logprob"]["content words"] <= 1
    assert "calibration error, content words" in (folder / "README.md").read_text()

    photos = [str(example.path) for example in examples[:3]]
    caption = ["caption", *photos, "--model"]
    assert run([*caption, bundle, "--min-confidence", "0.5"]) == 2
    assert "has not been calibrated" in capsys.readouterr().err
    assert run([*caption, str(folder), "--min-confidence", "2"]) == 2
    assert run([*caption, str(folder), "--mark", "--format", "csv"]) == 2
    capsys.readouterr()
    assert run([*caption, str(folder), "--min-confidence", "1"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "0.png: confidence 0." in captured.err
    assert captured.err.splitlines()[-1] == "captioned 0, skipped 0, failed 0, unsure 3"
    assert run([*caption, str(folder), "--min-confidence", "0", "--mark"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 3


def test_a_caption_of_no_photograph_says_so(
    calibrated: dict[str, Bundle], examples: list[Example], tmp_path: Path
) -> None:
    """With a threshold that nothing reaches, everything is doubted."""
    bundle = calibrated["gate"]
    assert bundle.calibration is not None
    spec = bundle.calibration.spec.model_copy(update={"threshold": 0.9999})
    doubting = replace(bundle.calibration, spec=spec)
    folder = save_calibration(bundle, doubting, tmp_path / "doubting").path
    caption = Captioner(folder).caption(examples[0].path)
    assert caption.warnings[-1].startswith("the picture probably supports hardly any")
    assert Captioner(folder).least_confidence() == 0.9999
    shutil.rmtree(folder)
