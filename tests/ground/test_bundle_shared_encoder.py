"""A bundle may leave its encoder in a model of the package, and opens with no other."""

from __future__ import annotations

import gc
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from negah.bundle import Bundle, read_bundle
from negah.bundle.revise import revise_bundle
from negah.errors import BundleError, UsageError

pytest.importorskip("torch", reason="exporting needs the train extra")

import onnxruntime
import torch

from negah.export import Description, export_bundle, load_captioner, prove
from negah.export.initial import open_initial
from negah.models import EncoderOptions, load_encoder
from negah.runtime import Captioner, OnnxBackend
from tiny_bundle import (
    tiny_captioner,
    tiny_encoder,
    tiny_options,
    tiny_tokenizer,
)
from tiny_photos import scene

pytestmark = pytest.mark.usefixtures("one_export", "one_thread")
WORDS = ("dog", "ball", "man")


@pytest.fixture(scope="module")
def package(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The models of a made package; a copy, since another file's tests may hold its encoder."""
    return {"whole": shutil.copytree(tiny_bundle, tmp_path_factory.mktemp("package") / "bundle")}


@pytest.fixture(autouse=True)
def _installed(package: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("negah.bundle.packaged.bundled_models", lambda: package)
    monkeypatch.setattr("negah.export.sharing.bundled_models", lambda: package)


def export(folder: Path, *, seed: int = 1, encoder_seed: int = 0, **options: Any) -> Bundle:
    """A captioner of its own, with concepts of its own, on the encoder of ``whole``."""
    encoder = tiny_encoder(seed=encoder_seed, concepts=len(WORDS), **options)
    encoder.add_concepts(WORDS)
    tokenizer = tiny_tokenizer()
    captioner = tiny_captioner(
        tiny_options(),
        channels=encoder.channels,
        vocabulary_size=len(tokenizer),
        seed=seed,
    )
    description = Description(name="light", licence="CC0-1.0")
    return export_bundle(encoder, captioner, tokenizer, folder, description, encoder_from="whole")


@pytest.fixture(scope="module")
def light(package: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("negah.bundle.packaged.bundled_models", lambda: package)
        patch.setattr("negah.export.sharing.bundled_models", lambda: package)
        return export(tmp_path_factory.mktemp("light") / "light")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    for number in range(5):
        scene(80 + 20 * number, 60 + 8 * number).rotate(50 * number).save(folder / f"{number}.png")
    return sorted(folder.iterdir())


def test_it_captions_as_the_model_that_it_was_exported_from(
    light: Bundle, package: dict[str, Path], photos: list[Path]
) -> None:
    assert not (light.path / "encoder.onnx").exists()
    assert light.graph_path("encoder") == package["whole"] / "encoder.onnx"
    whole = read_bundle(package["whole"])
    assert light.weights_path.stat().st_size < whole.weights_path.stat().st_size / 2
    encoder, captioner = load_captioner(light)
    assert encoder.concepts is not None
    assert encoder.concepts.words == WORDS, "concepts are words, and so are each model's own"
    proof = prove(light, encoder, captioner, photos)
    assert proof.equal_text_share == 1
    assert whole.graph_path("encoder") in OnnxBackend(light).identity.files
    assert (
        "Encoder: that of whole, which is in the package" in (light.path / "README.md").read_text()
    )


def test_two_models_share_the_memory_of_one_encoder(
    light: Bundle, package: dict[str, Path], photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []
    session = onnxruntime.InferenceSession

    def opening(path: str, *given: Any, **named: Any) -> Any:
        opened.append(Path(path).stem)
        return session(path, *given, **named)

    monkeypatch.setattr(onnxruntime, "InferenceSession", opening)
    gc.collect()  # an encoder is shared as long as somebody uses it
    one = OnnxBackend(light)
    assert opened.count("encoder") == 1
    other = OnnxBackend(read_bundle(package["whole"]))
    assert opened.count("encoder") == 1 < opened.count("step") == 2
    assert one.sight.concepts == WORDS
    assert other.sight.concepts == ()
    texts = [Captioner(backend).caption(photos[0]).text for backend in (one, other)]
    assert texts[0] != texts[1]


def test_a_revised_bundle_still_has_none(light: Bundle, tmp_path: Path) -> None:
    revised = revise_bundle(light, tmp_path / "revised", name="another name")
    assert not (tmp_path / "revised" / "encoder.onnx").exists()
    assert revised.config.encoder_from == light.config.encoder_from
    assert revised.encoder_path == light.encoder_path


def test_a_training_starts_from_it(light: Bundle) -> None:
    initial = open_initial(light.path)
    weights = initial.read()
    encoder, _ = load_captioner(light)
    assert weights.blocks
    for name, tensor in encoder.by_block().items():
        if name in weights.blocks:
            assert torch.equal(weights.blocks[name], tensor), name
    options = {"name": "test_efficientnet", "size": 64, "weights": str(light.path)}
    found = load_encoder(EncoderOptions.parse(options, where="a test"))
    assert torch.equal(
        found.trunk(torch.ones(1, 3, 64, 64)), encoder.trunk(torch.ones(1, 3, 64, 64))
    )


def test_without_that_model_it_says_what_to_do(
    light: Bundle, package: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("negah.bundle.packaged.bundled_models", dict)
    with pytest.raises(BundleError, match=r"does not hold \(it has none\)\..* pip in"):
        read_bundle(light.path)
    other = Path(shutil.copytree(package["whole"], tmp_path / "other"))
    graph = other / "encoder.onnx"
    graph.write_bytes(graph.read_bytes() + b"\n")
    monkeypatch.setattr("negah.bundle.packaged.bundled_models", lambda: {"whole": other})
    with pytest.raises(BundleError, match=r"is another \(SHA-256 of .* --encoder-from\."):
        read_bundle(light.path)
    graph.write_bytes((package["whole"] / "encoder.onnx").read_bytes())
    (other / "weights.safetensors").unlink()
    with pytest.raises(BundleError, match=r"weights\.safetensors: no such file"):
        read_bundle(light.path)


@pytest.mark.parametrize("name", ["../whole", "/etc", ".", "whole/../whole", ""])
def test_a_bundle_names_a_model_and_no_place(light: Bundle, tmp_path: Path, name: str) -> None:
    folder = Path(shutil.copytree(light.path, tmp_path / "hostile"))
    values = json.loads((folder / "bundle.json").read_text())
    values["encoder_from"]["model"] = name
    (folder / "bundle.json").write_text(json.dumps(values))
    with pytest.raises(BundleError, match=r"encoder_from\.model"):
        read_bundle(folder)


def test_only_the_same_encoder_is_shared(light: Bundle, tmp_path: Path, monkeypatch: Any) -> None:
    with pytest.raises(UsageError, match=r"not that of whole: \d+ differ.*--init whole"):
        export(tmp_path / "a", encoder_seed=2)
    with pytest.raises(UsageError, match="first trainable_blocks"):
        export(tmp_path / "b", trainable_blocks=1)
    monkeypatch.setattr("negah.export.sharing.bundled_models", lambda: {"whole": light.path})
    with pytest.raises(UsageError, match="uses that of whole; name that one"):
        export(tmp_path / "c")
    monkeypatch.setattr("negah.export.sharing.bundled_models", lambda: {"holy": light.path})
    with pytest.raises(UsageError, match="holy"):
        export(tmp_path / "d")
