"""Calibrations in folders of their own, of captioners of Hugging Face, runs and bundles."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("torch", reason="captioners of Hugging Face need the extra hf")
pytest.importorskip("transformers", reason="they need the extra hf")

import tiny_hf
from negah import load
from negah.backends import Backend, Identity
from negah.bundle.calibration import CALIBRATION_FILE, REFERENCES_FILE
from negah.calibration import CollectOptions, Collector, fit, save_apart
from negah.cli.main import run
from negah.cli.serve import named_calibrations
from negah.data import Example
from negah.decoding import DecodingOptions
from negah.errors import BundleError, NegahError, UnknownNameError, UsageError
from negah.evidence.closer import closer_odds
from negah.evidence.methods import default_method
from negah.evidence.occlusion import CLOSER, FEATURES
from negah.evidence.subject import Subject, teacher_forced
from negah.models.adapter import TorchBackend
from negah.runtime import Captioner, open_backend
from negah.runtime.calibrated import CALIBRATED_FILE, calibrated
from negah.runtime.stages import decode_photos, see_photo
from negah.text.stopwords import is_visible
from tiny_bundle import tiny_captioner, tiny_encoder, tiny_options, tiny_tokenizer

OPTIONS = CollectOptions(references=2, others=4)
SAID = ("a dog runs on the beach", "two cats in the snow")
PHOTOS = 8


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("apart")
    for number, photo in enumerate(tiny_hf.pictures(PHOTOS)):
        photo.save(folder / f"{number}.png")
    tiny_hf.vit_bert(folder / "bert", 1)
    tiny_hf.vit_gpt2(folder / "gpt2", 0)
    return folder


def examples_of(model: Backend | Path, root: Path) -> list[Example]:
    """Photos; of each second the references are what the model says of it."""
    captioner = Captioner(model)
    examples = []
    for number in range(PHOTOS):
        path = root / f"{number}.png"
        own = captioner.caption(path).text or "nothing"
        examples.append(Example(path.name, path, (own, own) if number % 2 else SAID, "dev"))
    return examples


def calibrate(backend: Backend, examples: list[Example], folder: Path) -> Backend:
    collector = Collector(backend, [("tiny", one) for one in examples], [], OPTIONS)
    fitted = fit(collector.collect({}, lambda: None), "tiny")
    return save_apart(backend, fitted.calibration, folder, fitted.scores("tiny", "dev"))


@pytest.fixture(scope="module")
def apart(root: Path) -> Path:
    """Of the model in ``root / "bert"``, by the command."""
    rows = [
        f"{one.name},{text},{one.split}"
        for one in examples_of(root / "bert", root)
        for text in one.captions
    ]
    (root / "table.csv").write_text("\n".join(["image,caption,split", *rows]) + "\n")
    command = ["calibrate", str(root / "bert"), "--data", str(root / "table.csv")]
    small = ["--references", "2", "--others", "4"]
    assert run([*command, *small, "--output", str(root / "own")]) == 0
    return root / "own"


def test_a_captioner_of_hugging_face_tells_how_sure_it_is(
    apart: Path, root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo, model = str(root / "1.png"), str(root / "bert")
    plain = Captioner(model).caption(photo)
    caption = load(model, calibration=apart).caption(photo)
    assert caption.text == plain.text
    assert plain.confidence is None
    assert caption.confidence is not None
    for word in caption.words:
        assert word.seen is None or 0 <= word.seen <= 1
    assert any(word.seen is not None for word in caption.words)

    given = ["--model", model, "--calibration", str(apart)]
    assert run(["caption", photo, *given, "--format", "json"]) == 0
    (row,) = json.loads(capsys.readouterr().out)
    assert row["confidence"] == pytest.approx(caption.confidence, abs=1e-3)
    assert [word.get("seen") for word in row["words"]] == pytest.approx(
        [word.seen for word in caption.words], abs=1e-3
    )
    assert run(["caption", photo, *given, "--min-confidence", "1"]) == 0
    assert "unsure 1" in capsys.readouterr().err
    explained = tmp_path / "explained.json"
    assert run(["explain", photo, *given, "--method", "attention", "-o", str(explained)]) == 0
    assert json.loads(explained.read_text())["confidence"] == row["confidence"]
    check = ["explain", "--check", "--data", str(root / "table.csv"), "--split", "dev"]
    report = tmp_path / "report.json"
    some = ["--photos", "2", "--method", "attention"]
    assert run([*check, *given, *some, "-o", str(report)]) == 0
    assert json.loads(report.read_text())["calibration_error"] is not None
    # it cannot be written over a folder of something else
    other = str(root / "gpt2")
    assert run(["calibrate", model, "--data", str(root / "table.csv"), "-o", other]) == 2
    assert "is not a calibration" in capsys.readouterr().err


def test_words_of_pieces_are_judged_as_one(root: Path, tmp_path: Path) -> None:
    backend = open_backend(root / "gpt2")
    backend = calibrate(backend, examples_of(backend, root), tmp_path / "own")
    judge = backend.sight.judge
    assert judge is not None
    seen = [see_photo(root / f"{number}.png", [backend]) for number in range(3)]
    found = decode_photos(seen, [backend], backend.decoding, range(3))
    captions = [some[0] for some in found.hypotheses]
    measured = judge.measure([[one] for one in captions], found.features_BFRC, None)
    assert "concept" not in measured.words
    references = np.load(tmp_path / "own" / REFERENCES_FILE).astype(np.float32)[:, None]
    forced = [teacher_forced(backend, references, one.tokens) for one in captions]
    places = zip(measured.caption_N, measured.place_N, measured.end_N, strict=True)
    pieces = 0
    for n, (row, first, end) in enumerate(places):
        own = sum(captions[row].logprobs[first:end])
        others_P = forced[row][:, first:end].sum(1)
        assert measured.words["logprob"][n] == pytest.approx(own)
        assert measured.words["lift"][n] == pytest.approx(own - others_P.mean(), abs=1e-4)
        assert measured.words["least_lift"][n] == pytest.approx(own - others_P.max(), abs=1e-4)
        pieces += end - first > 1
    assert pieces
    for one, (verdict, *_) in zip(
        captions, judge.judge(found.hypotheses, found.features_BFRC, None), strict=True
    ):
        for word in judge.spell(one):
            values = verdict.seen[word.first : word.end]
            assert len(set(values)) == 1
            assert (values[0] is not None) == is_visible(word.text)


def test_a_run_is_calibrated_with_its_concepts(root: Path, tmp_path: Path) -> None:
    encoder, tokenizer = tiny_encoder(concepts=2), tiny_tokenizer()
    encoder.add_concepts(("dog", "ball"))
    captioner = tiny_captioner(
        tiny_options(), channels=encoder.channels, vocabulary_size=len(tokenizer)
    )
    identity = Identity("tiny", "run", "tiny", "not stated", "0" * 64)
    backend = TorchBackend(encoder, captioner, tokenizer, DecodingOptions(), identity)
    own = calibrate(backend, examples_of(backend, root), tmp_path / "own")
    caption = Captioner(own).caption(root / "0.png")
    assert caption.confidence is not None
    assert caption.text == Captioner(backend).caption(root / "0.png").text
    spec = json.loads((tmp_path / "own" / CALIBRATION_FILE).read_text())
    assert {"gate", "lift", "concept"} <= set(spec["words"]["measures"])
    assert "lexicon" not in spec  # its tokens are words
    assert len(spec["agreed"]) == len(tokenizer)
    # the calibration goes with the weights
    other = TorchBackend(
        encoder, captioner, tokenizer, DecodingOptions(),
        Identity("other", "run", "other", "not stated", "1" * 64),
    )  # fmt: skip
    with pytest.raises(UsageError, match=r"is of tiny \(run\), and not of other \(run\).*weights"):
        calibrated(other, tmp_path / "own")


def test_closer_looks_are_added_to_occlusion(root: Path) -> None:
    encoder, tokenizer = tiny_encoder(concepts=2), tiny_tokenizer()
    encoder.add_concepts(("dog", "ball"))
    captioner = tiny_captioner(
        tiny_options(), channels=encoder.channels, vocabulary_size=len(tokenizer)
    )
    identity = Identity("tiny", "run", "tiny", "not stated", "0" * 64)
    backend = TorchBackend(encoder, captioner, tokenizer, DecodingOptions(), identity)
    CLOSER.check(backend)
    assert default_method(backend) == "closer"
    assert default_method(backend, clips=True) == "occlusion"
    image = backend.resize(Image.open(root / "0.png"))
    features_FRC = backend.encode(backend.pixels([image])).features
    tokens = tuple(tokenizer.tokens.index(word) for word in ("black", "dog", "runs"))
    subject = Subject(backend, (image,), features_FRC, tokens)
    found = CLOSER.maps(subject) - FEATURES.maps(subject)
    closer = closer_odds(backend, image, [0], (2, 2))
    assert closer is not None
    assert np.abs(closer).max() > 0
    np.testing.assert_allclose(found[1], CLOSER.closer * closer, atol=1e-4)
    np.testing.assert_allclose(found[[0, 2]], 0, atol=1e-6)


def test_a_bundle_takes_another_calibration(tiny_bundle: Path, root: Path, tmp_path: Path) -> None:
    rows = [f"{one.name},{text},dev" for one in examples_of(tiny_bundle, root)
            for text in one.captions]  # fmt: skip
    table = root / "bundle.csv"
    table.write_text("\n".join(["image,caption,split", *rows]) + "\n")
    command = ["calibrate", str(tiny_bundle), "--data", str(table), "--others", "4", "--apart"]
    assert run(command) == 2
    assert run([*command, "--output", str(tmp_path / "own")]) == 0
    assert {one.name for one in (tmp_path / "own").iterdir()} == {
        CALIBRATED_FILE, CALIBRATION_FILE, REFERENCES_FILE,
    }  # fmt: skip
    photo = root / "0.png"
    assert load(tiny_bundle, calibration=tmp_path / "own").caption(photo).confidence is not None
    assert load(tiny_bundle).caption(photo).confidence is None
    with pytest.raises(UsageError, match="of one model"):
        load(calibration=tmp_path / "own")
    with pytest.raises(UsageError, match="fuse no other"):
        load(tiny_bundle, fuse=[tiny_bundle], calibration=tmp_path / "own")
    with pytest.raises(UsageError, match="is no calibration"):
        load(tiny_bundle, calibration=tiny_bundle)
    with pytest.raises(UsageError, match="is no folder"):
        load(tiny_bundle, calibration=tmp_path / "gone")


def _set(**values: Any) -> Callable[[Path], None]:
    return lambda folder: tiny_hf.change_json(folder / CALIBRATED_FILE, **values)


def _write(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda folder: (folder / name).write_bytes(content) and None


def _link(folder: Path) -> None:
    outside = folder.parent / "outside.npy"
    shutil.move(folder / REFERENCES_FILE, outside)
    (folder / REFERENCES_FILE).symlink_to(outside)


def _of_another_size(folder: Path) -> None:
    """A file of numbers that fits neither the model nor the other file, with its checksum."""
    import hashlib

    np.save(folder / REFERENCES_FILE, np.zeros((2, 3, 4), np.float16))
    digest = hashlib.sha256((folder / REFERENCES_FILE).read_bytes()).hexdigest()
    tiny_hf.change_json(folder / CALIBRATED_FILE, references_sha256=digest)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_set(format_version=2), "format_version"),
        (_set(weights_sha256="x"), "weights_sha256"),
        (_set(weights_sha256="0" * 64), "other weights"),
        (_set(words_sha256="0" * 64), "other words"),
        (_set(references_sha256="0" * 64), "wrong checksum"),
        (_set(extra=1), "extra"),
        (_write(CALIBRATED_FILE, b"["), "cannot be read"),
        (_write(CALIBRATED_FILE, b"[]"), "no object"),
        (_write(CALIBRATED_FILE, b" " * (2**20 + 1)), "too large"),
        (_write(CALIBRATION_FILE, b"{}"), "wrong checksum"),
        (lambda folder: (folder / REFERENCES_FILE).unlink(), "missing"),
        (_link, "link"),
        (_of_another_size, "float16"),
    ],
)
def test_hostile_folders_are_refused(
    spoil: Callable[[Path], None], message: str, backend: Backend, apart: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "bad"
    shutil.copytree(apart, folder)
    spoil(folder)
    with pytest.raises(NegahError, match=message) as caught:
        calibrated(backend, folder)
    assert isinstance(caught.value, UsageError | BundleError)
    assert "\n" not in str(caught.value)


@pytest.fixture(scope="module")
def backend(root: Path) -> Backend:
    return open_backend(root / "bert")


def test_a_backend_that_cannot_take_one_says_so(backend: Backend, apart: Path) -> None:
    class Fixed:
        """What it is cannot be replaced."""

        identity, sight = property(lambda _: backend.identity), property(lambda _: backend.sight)
        model, tokenizer, decoding = backend.model, backend.tokenizer, backend.decoding
        pixels, encode, resize = backend.pixels, backend.encode, backend.resize

    with pytest.raises(UsageError, match="Fixed has no attributes sight and identity of its own"):
        calibrated(Fixed(), apart)


def test_which_model_of_a_service_a_calibration_is_of() -> None:
    assert named_calibrations(["folder"], {"mine": "m"}) == {"mine": "folder"}
    assert named_calibrations(["b=x", "a=y"], {"a": "m", "b": "n"}) == {"b": "x", "a": "y"}
    with pytest.raises(UsageError, match="NAME=FOLDER"):
        named_calibrations(["folder"], {"a": "m", "b": "n"})
    with pytest.raises(UnknownNameError):
        named_calibrations(["c=x"], {"a": "m"})
    with pytest.raises(UsageError, match="two are of"):
        named_calibrations(["a=x", "y"], {"a": "m"})


def test_numbers_that_half_precision_cannot_hold_are_cut_off(root: Path) -> None:
    backend = open_backend(root / "bert")

    class Loud:
        """The same with features far beyond float16."""

        def __getattr__(self, name: str) -> Any:
            return getattr(backend, name)

        def encode(self, pixels_N3HW: Any) -> Any:
            encoded = backend.encode(pixels_N3HW)
            return type(encoded)(encoded.features * np.float32(1e5))

    examples = [("tiny", Example("0.png", root / "0.png", SAID, "dev"))]
    tables = Collector(Loud(), examples, [], OPTIONS).tables  # type: ignore[arg-type]
    assert np.isfinite(tables.references_PRC).all()
