"""A bundle is the model that it was exported from: the proof, the way back, the weights."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from decoding_models import decode
from negah.bundle import Bundle, read_bundle
from negah.errors import BundleError, NegahError, UsageError

pytest.importorskip("torch", reason="exporting needs the train extra")

import torch
from safetensors.torch import load_file

from negah.export import Description, export_bundle, load_captioner, prove
from negah.export.prove import Proof
from negah.export.weights import rounded_copy, write_weights
from negah.models import EncoderOptions, load_encoder
from negah.models.adapter import TorchStepModel
from negah.runtime import OnnxEncoder, OnnxStepModel
from tiny_bundle import (
    make_tiny_bundle,
    tiny_captioner,
    tiny_encoder,
    tiny_options,
    tiny_tokenizer,
)

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def bundle(tiny_bundle: Path) -> Bundle:
    return read_bundle(tiny_bundle)


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Pictures of coarse coloured noise, in several sizes and formats."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(0)
    paths = []
    for number in range(6):
        grid = rng.integers(0, 256, (3 + number % 3, 4, 3), dtype=np.uint8)
        size = (200 + 37 * number, 150 + 20 * number)
        path = folder / f"{number}.{'png' if number % 3 else 'jpg'}"
        Image.fromarray(grid).resize(size, Image.Resampling.BICUBIC).save(path)
        paths.append(path)
    return paths


def test_onnx_and_pytorch_caption_alike(bundle: Bundle, photos: list[Path]) -> None:
    encoder, captioner = load_captioner(bundle)
    proof = prove(bundle, encoder, captioner, photos, batch_size=4)
    assert proof.n == len(photos)
    assert proof.equal_text_share == 1
    assert 0 < proof.max_logprob_difference < 1e-4
    assert 0 < proof.max_evidence_difference < 1e-4
    assert proof.preprocessing_equal


def test_a_model_for_clips_is_proved_on_clips_too(tmp_path: Path, photos: list[Path]) -> None:
    bundle = read_bundle(make_tiny_bundle(tmp_path / "clips", clip_frames=4))
    proof = prove(bundle, *load_captioner(bundle), photos)
    assert proof.n == len(photos) + 2  # six photos are a clip of four and one of two
    assert proof.equal_text_share == 1


@pytest.mark.parametrize("frames", [1, 8, 28])
def test_clips_of_any_length_are_captioned_alike_with_the_same_evidence(
    bundle: Bundle, frames: int
) -> None:
    _, captioner = load_captioner(bundle)
    regions, channels = bundle.config.encoder.regions, bundle.config.encoder.channels
    features_BFRC = np.random.default_rng(frames).standard_normal(
        (3, frames, regions, channels), np.float32
    )
    real_BF = np.arange(frames) < np.array([[frames], [max(1, frames // 2)], [1]])
    models = (TorchStepModel(rounded_copy(captioner)), OnnxStepModel(bundle, threads=1))
    expected, found = (
        decode(model, features_BFRC, bundle.config.decoding, real_frames=real_BF)
        for model in models
    )
    for (one, *_), (other, *_) in zip(expected, found, strict=True):
        assert one.tokens == other.tokens
        np.testing.assert_allclose(one.logprobs, other.logprobs, atol=1e-4)
        assert one.evidence.keys() == other.evidence.keys() >= {"regions", "frames", "gate"}
        for name, weights in one.evidence.items():
            np.testing.assert_allclose(weights, other.evidence[name], atol=1e-5)
    shortest = found[2][0].evidence["frames"]
    assert shortest.shape[1] == frames
    np.testing.assert_array_equal(shortest[:, 1:], 0.0)  # padding is never looked at


def test_another_model_is_not_proved(bundle: Bundle, photos: list[Path]) -> None:
    encoder, captioner = load_captioner(bundle)
    with torch.no_grad():
        captioner.output.bias += torch.randn(captioner.vocabulary_size)
    with pytest.raises(NegahError, match="is not what it was exported from"):
        prove(bundle, encoder, captioner, photos[:3])
    encoder, captioner = load_captioner(bundle)
    encoder.preprocessing = encoder.preprocessing.model_copy(update={"interpolation": "bilinear"})
    with pytest.raises(NegahError, match="do not make the same pixels"):
        prove(bundle, encoder, captioner, photos[:3])
    with pytest.raises(UsageError, match="needs photos"):
        prove(bundle, encoder, captioner, [])


@pytest.mark.parametrize(
    ("proof", "complaints"),
    [
        (Proof(200, 0.99, 1e-3, 1e-3, True), 0),
        (Proof(200, 0.985, 0.0, 0.0, True), 1),
        (Proof(200, 1.0, 1.1e-3, 0.0, True), 1),
        (Proof(200, 1.0, 0.0, float("nan"), True), 1),
        (Proof(200, 0.0, 1.0, 1.0, False), 4),
    ],
)
def test_what_a_proof_complains_about(proof: Proof, complaints: int) -> None:
    assert len(proof.complaints()) == complaints


def test_the_weights_come_back_as_they_were_rounded(bundle: Bundle) -> None:
    encoder, captioner = load_captioner(bundle)
    model = tiny_options("cam-rnn")
    original = tiny_captioner(
        model, channels=encoder.channels, vocabulary_size=bundle.config.vocabulary_size
    )
    for name, expected in rounded_copy(original).state_dict().items():
        assert torch.equal(captioner.state_dict()[name], expected), name
    for name, expected in rounded_copy(tiny_encoder()).state_dict().items():
        if not name.endswith("num_batches_tracked"):
            assert torch.equal(encoder.state_dict()[name], expected), name
    assert not captioner.training
    assert encoder.preprocessing == bundle.config.preprocessing


def test_matrices_are_half_precision_and_rounding_leaves_the_original_alone() -> None:
    linear = torch.nn.Linear(3, 2).train()
    before = {name: tensor.clone() for name, tensor in linear.state_dict().items()}
    rounded = rounded_copy(linear)
    assert torch.equal(rounded.weight, before["weight"].half().float())
    assert torch.equal(rounded.bias, before["bias"])
    assert all(torch.equal(tensor, before[name]) for name, tensor in linear.state_dict().items())
    assert linear.training
    assert not rounded.training


@pytest.mark.parametrize("value", [1e6, float("nan"), float("inf")])
def test_weights_that_half_precision_cannot_hold_are_refused(value: float) -> None:
    linear = torch.nn.Linear(3, 2)
    with torch.no_grad():
        linear.weight[0, 0] = value
    with pytest.raises(NegahError, match="weight has a weight that float16 cannot hold"):
        rounded_copy(linear)


def test_safetensors_reads_what_is_written(tmp_path: Path) -> None:
    weights = {
        "odd": torch.arange(7.0),
        "matrix": torch.arange(64.0).reshape(8, 8),
        "count": torch.tensor(3),
        "transposed": torch.arange(32.0).reshape(4, 8).T,
        "kernel": torch.arange(9.0).reshape(1, 1, 3, 3),
    }
    stored = write_weights(tmp_path / "w.safetensors", weights)
    read = load_file(tmp_path / "w.safetensors")
    data = (tmp_path / "w.safetensors").read_bytes()
    assert set(read) == set(weights) == set(stored)
    for name, tensor in weights.items():
        assert torch.equal(read[name].to(tensor.dtype), tensor)
        place = stored[name]
        raw = read[name].contiguous().numpy().tobytes()
        assert data[place.offset : place.offset + place.length] == raw
    assert stored["matrix"].offset % 64 == stored["transposed"].offset % 64 == 0
    assert all(stored[name].offset % 4 == 0 for name in ("odd", "matrix"))


@pytest.mark.heavy
def test_the_same_model_gives_the_same_bundle(tiny_bundle: Path, tmp_path: Path) -> None:
    """Byte for byte, so that a checksum says which model it is."""
    again = make_tiny_bundle(tmp_path / "bundle")
    for file in tiny_bundle.iterdir():
        assert (again / file.name).read_bytes() == file.read_bytes(), file.name


def test_parts_that_do_not_belong_together(tmp_path: Path) -> None:
    encoder, tokenizer, model = tiny_encoder(), tiny_tokenizer(), tiny_options("show-tell")
    size = len(tokenizer)
    for channels, vocabulary, message in (
        (encoder.channels + 1, size, "257 channels"),
        (encoder.channels, size + 1, "35 tokens, the tokenizer 34"),
    ):
        captioner = tiny_captioner(model, channels=channels, vocabulary_size=vocabulary)
        with pytest.raises(UsageError, match=message):
            export_bundle(
                encoder, captioner, tokenizer, tmp_path / "b", Description(name="x", licence="x")
            )
    assert not (tmp_path / "b").exists()


def test_weights_that_do_not_fit_are_refused(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    folder.mkdir()
    for file in tiny_bundle.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    values = json.loads((folder / "bundle.json").read_text())
    for change, message in (
        ({"phrase_size": 8}, "has the shape"),
        ({"text_attention": False}, "has no weights captioner.text"),
        ({"hidden": 8}, "cannot be restored: model.options: unknown option"),
    ):
        changed = json.loads(json.dumps(values))
        changed["model"]["options"].update(change)
        (folder / "bundle.json").write_text(json.dumps(changed))
        with pytest.raises(BundleError, match=message):
            load_captioner(read_bundle(folder))
    junk = b"not safetensors"
    (folder / "weights.safetensors").write_bytes(junk)
    digest = hashlib.sha256(junk).hexdigest()
    values["files"]["weights.safetensors"] = {"sha256": digest, "bytes": len(junk)}
    (folder / "bundle.json").write_text(json.dumps(values))
    with pytest.raises(BundleError, match="lies outside"):
        read_bundle(folder)


@pytest.mark.heavy
@pytest.mark.data
@pytest.mark.parametrize("blocks", [0, 2])
def test_a_real_encoder_on_real_photos(data_root: Path, tmp_path: Path, blocks: int) -> None:
    """EfficientNet-Lite0 with its ImageNet weights, whole and cut, on 40 photos of Flickr8k."""
    encoder = load_encoder(EncoderOptions(name="efficientnet-lite0", trainable_blocks=blocks))
    tokenizer, model = tiny_tokenizer(), tiny_options("cam-rnn")
    captioner = tiny_captioner(model, channels=encoder.channels, vocabulary_size=len(tokenizer))
    bundle = export_bundle(
        encoder, captioner, tokenizer, tmp_path / "b", Description(name="real", licence="x")
    )
    photos = sorted((data_root / "flickr8k").rglob("*.jpg"))[:40]
    proof = prove(bundle, encoder, captioner, photos)
    assert proof.equal_text_share == 1
    assert proof.preprocessing_equal
    pixels_N3HW = np.zeros((3, 3, *encoder.preprocessing.size), np.float32)
    features_NRC = OnnxEncoder(bundle).encode(pixels_N3HW).features
    assert features_NRC.shape == (3, encoder.regions, encoder.channels)
