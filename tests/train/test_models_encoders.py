"""Encoders: the right weights in the right place, and frozen where they should be.

Axes: N photographs, C channels, H rows, W columns, R regions.
"""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="encoders need the train extra")
pytest.importorskip("timm", reason="encoders need the train extra")

import timm
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from common import REPOSITORY
from negah.errors import UnknownNameError, UsageError
from negah.media import open_image
from negah.models import Encoder, EncoderOptions, captioner_options, load_encoder
from negah.models.backbones import LITE_PACKAGES, load_pretrained, rename_lite
from negah.training.learner import Learner, build_optimizer
from negah.training.recipe import TrainingOptions
from tiny_training import forced_loss

PHOTOS = REPOSITORY / "examples" / "photos"
#: ImageNet classes of which one must be among the five likeliest.
CLASSES = {
    "cat.jpg": {281, 282, 285},  # tabby, tiger cat, Egyptian cat
    "coffee.jpg": {504, 967, 968},  # coffee mug, espresso, cup
    "rocket.jpg": {657, 744, 812},  # missile, projectile, space shuttle
}


@pytest.fixture(scope="module", params=["efficientnet-lite0", "efficientnet-lite2"])
def pretrained(request: pytest.FixtureRequest) -> Encoder:
    name: str = request.param
    module, _ = LITE_PACKAGES[f"tf_{name.replace('-', '_')}"]
    pytest.importorskip(module, reason="the weights' package is not installed")
    return load_encoder(EncoderOptions(name=name, weights="package", trainable_blocks=1))


def tiny(name: str = "efficientnet-lite0", blocks: int = 0, **more: Any) -> Encoder:
    torch.manual_seed(0)
    values = {"name": name, "weights": "random", "size": 64, "trainable_blocks": blocks, **more}
    return load_encoder(EncoderOptions.parse(values, where="test"))


def pixels(side: int = 64) -> Tensor:
    return torch.randn(2, 3, side, side, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("photo", CLASSES)
@torch.inference_mode()
def test_the_weights_name_what_is_on_the_photograph(pretrained: Encoder, photo: str) -> None:
    """By their own classifier, over our trunk and tail and our preprocessing."""
    state, digest = load_pretrained(pretrained.name, "auto")
    assert digest == pretrained.weights_sha256
    image = pretrained.preprocessing.apply(open_image(PHOTOS / photo))
    regions_NRC = pretrained(torch.from_numpy(image)[None])
    assert regions_NRC.shape == (1, pretrained.regions, pretrained.channels)
    logits = state["classifier.weight"] @ regions_NRC[0].mean(0) + state["classifier.bias"]
    assert CLASSES[photo] & set(logits.topk(5).indices.tolist())


def test_lite_inputs_are_those_of_the_weights(pretrained: Encoder) -> None:
    """(x - 127) / 128, not ImageNet's mean and deviation."""
    size = {"tf_efficientnet_lite0": 224, "tf_efficientnet_lite2": 260}[pretrained.name]
    assert pretrained.preprocessing.size == (size, size)
    mean, std = (np.array(getattr(pretrained.preprocessing, name)) for name in ("mean", "std"))
    normalised = (np.array([[0], [127], [255]]) / 255 - mean) / std
    np.testing.assert_allclose(normalised, np.repeat([[-127], [0], [128]], 3, axis=1) / 128)
    assert pretrained.channels == 1280
    assert pretrained.grid == ((7, 7) if size == 224 else (9, 9))


@pytest.mark.parametrize("cut", [0, 1, 2, 3])
@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "resnet10t"])
@torch.inference_mode()
def test_trunk_and_tail_are_the_whole(name: str, cut: int) -> None:
    encoder = tiny(name, cut)
    whole = timm.create_model(name, pretrained=False).eval()
    # the same weights in the same order: the chain of blocks has lost none but the classifier
    state = encoder.state_dict()
    theirs = [key for key in whole.state_dict() if key.split(".")[0] not in ("fc", "classifier")]
    assert len(state) == len(theirs)
    whole.load_state_dict(dict(zip(theirs, state.values(), strict=True)), strict=False)
    map_NCHW = whole.forward_features(pixels())
    trunk = encoder.trunk(pixels())
    regions_NRC = encoder.tail(trunk)
    assert tuple(trunk.shape[1:]) == encoder.trunk_shape
    assert (encoder.channels, *encoder.grid) == tuple(map_NCHW.shape[1:])
    # regions go row by row
    torch.testing.assert_close(regions_NRC, map_NCHW.permute(0, 2, 3, 1).flatten(1, 2))
    torch.testing.assert_close(encoder(pixels()), regions_NRC, rtol=0, atol=0)
    if cut == 0:
        assert trunk.shape == regions_NRC.shape


@pytest.mark.parametrize(
    ("name", "size", "grid"),
    [
        ("mobilenetv3_small_050", 64, (2, 2)),  # has a conv_head, but behind its pooling
        ("convnext_atto", 64, (2, 2)),
        ("vit_tiny_patch16_224", 0, (14, 14)),  # tokens, with a class token
    ],
)
@torch.inference_mode()
def test_any_timm_model_can_be_an_encoder(name: str, size: int, grid: tuple[int, int]) -> None:
    encoder = tiny(name, size=size)
    assert encoder.grid == grid
    backbone: Any = encoder.trunk_blocks[0].backbone
    side = encoder.preprocessing.height
    regions_NRC = encoder(pixels(side))
    assert regions_NRC.shape == (2, encoder.regions, encoder.channels)
    output = backbone.forward_features(pixels(side))
    expected = output[:, 1:] if output.ndim == 3 else output.flatten(2).transpose(1, 2)
    torch.testing.assert_close(regions_NRC, expected)
    with pytest.raises(UsageError, match="trainable_blocks must be 0"):
        tiny(name, 1, size=size)


@pytest.mark.parametrize("blocks", [0, 1, 2])
def test_frozen_means_frozen(blocks: int) -> None:
    """Steps in training mode move the last blocks' weights and nothing else of the encoder."""
    encoder = tiny(blocks=blocks)
    learns = [p.requires_grad for p in encoder.parameters()]
    tail = len(list(encoder.tail_blocks.parameters()))
    assert learns == [False] * (len(learns) - tail) + [True] * tail
    assert len(encoder.tail_blocks) == blocks
    model = captioner_options({"kind": "show-tell", "embedding_size": 4, "hidden_size": 4})
    learner = Learner(model, encoder, vocabulary_size=8)
    options = TrainingOptions(learning_rate=0.1, encoder_learning_rate=0.1)
    optimizer = build_optimizer(learner, options)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    inputs_BKT, targets_BKT = torch.tensor([[[1, 5]]] * 2), torch.tensor([[[5, 2]]] * 2)
    encoder.train()
    for _ in range(3):
        learner.train()
        assert not any(isinstance(m, nn.BatchNorm2d) and m.training for m in encoder.modules())
        tokens = inputs_BKT, targets_BKT
        loss = forced_loss(
            learner, encoder.trunk(pixels()), tokens, smoothing=0.1, own_words=0.5
        ).value
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    after = encoder.state_dict()
    assert all(p.grad is None for p in encoder.trunk_blocks.parameters())
    trained = {name for name, p in encoder.named_parameters() if p.requires_grad}
    moved = {name for name in before if not torch.equal(before[name], after[name])}
    assert moved == trained


def test_a_trained_tail_is_the_encoders_own() -> None:
    """The learner shares the tail and saves it; the trunk is not among its tensors."""
    encoder = tiny(blocks=1)
    model = captioner_options({"kind": "show-tell", "embedding_size": 4, "hidden_size": 4})
    learner = Learner(model, encoder, vocabulary_size=8)
    tails = {key.split(".", 1)[1] for key in learner.state_dict() if key.startswith("tail.")}
    assert tails == set(encoder.tail_blocks.state_dict())
    assert not any("trunk" in key for key in learner.state_dict())
    learner.to(torch.float64)
    assert next(encoder.tail_blocks.parameters()).dtype == torch.float64
    assert next(encoder.trunk_blocks.parameters()).dtype == torch.float32


@pytest.fixture(scope="module")
def resnet() -> dict[str, Tensor]:
    torch.manual_seed(5)
    return dict(timm.create_model("resnet50", pretrained=False).state_dict())


def loaded(encoder: Encoder) -> list[Tensor]:
    return list(encoder.state_dict().values())


def test_resnet50_from_a_safetensors_file(resnet: dict[str, Tensor], tmp_path: Path) -> None:
    """As timm publishes them; another classifier does not matter."""
    path = tmp_path / "resnet50.safetensors"
    save_file({**resnet, "fc.weight": torch.zeros(7, 2048), "fc.bias": torch.zeros(7)}, path)
    encoder = load_encoder(
        EncoderOptions(name="resnet-50", weights=str(path), size=64, trainable_blocks=2)
    )
    assert encoder.name == "resnet50"
    assert len(encoder.weights_sha256) == 64
    expected = [tensor for name, tensor in resnet.items() if not name.startswith("fc.")]
    assert all(map(torch.equal, loaded(encoder), expected))


@pytest.mark.parametrize("shape", ["plain", "state_dict", "module", "old"])
def test_weights_from_a_pth_file(shape: str, tmp_path: Path) -> None:
    state = dict(timm.create_model("resnet10t", pretrained=False).state_dict())
    expected = [tensor for name, tensor in state.items() if not name.startswith("fc.")]
    wrapped: dict[str, Any] = dict(state)
    if shape == "state_dict":
        wrapped = {"state_dict": state, "epoch": 3, "arch": "resnet10t"}
    if shape == "module":
        wrapped = {"model": {f"module.{name}": tensor for name, tensor in state.items()}}
    if shape == "old":  # before PyTorch 0.4.1, batch norms did not count their batches
        wrapped = {n: t for n, t in state.items() if not n.endswith("num_batches_tracked")}
    path = tmp_path / "weights.pth"
    torch.save(wrapped, path)
    encoder = tiny("resnet10t", weights=str(path))
    assert all(map(torch.equal, loaded(encoder), expected))


class Hostile:
    """Unpickling this runs code."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize("writer", ["torch", "pickle"])
def test_code_in_a_weights_file_is_not_run(writer: str, tmp_path: Path) -> None:
    trace, path = tmp_path / "ran", tmp_path / "weights.pth"
    hostile = {"conv1.weight": Hostile(trace)}
    if writer == "torch":
        torch.save(hostile, path)
    else:
        path.write_bytes(pickle.dumps(hostile))
    with pytest.raises(UsageError, match="not a file of plain tensors"):
        tiny("resnet10t", weights=str(path))
    assert not trace.exists()
    pickle.loads(pickle.dumps(hostile))  # it would have run
    assert trace.exists()


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("absent.pth", None, "no such file"),
        ("text.pth", b"hello", "plain tensors"),
        ("text.safetensors", b"hello", "not a complete .safetensors file"),
        ("list.pth", [torch.zeros(2)], "list, not weights by name"),
        ("other.pth", {"stem.weight": torch.zeros(2)}, "do not fit .*missing"),
    ],
)
def test_weights_that_cannot_be_used(name: str, content: Any, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content is not None:
        torch.save(content, path)
    with pytest.raises(UsageError, match=words):
        tiny("resnet10t", weights=str(path))


def test_weights_of_another_shape_are_refused(tmp_path: Path) -> None:
    state = dict(timm.create_model("resnet10t", pretrained=False).state_dict())
    save_file({**state, "conv1.0.weight": torch.zeros(1, 3, 3, 3)}, tmp_path / "w.safetensors")
    with pytest.raises(UsageError, match=r"of another shape \['conv1.0.weight'\]"):
        tiny("resnet10t", weights=str(tmp_path / "w.safetensors"))
    with pytest.raises(UsageError, match="tensors, tf_efficientnet_lite0 has"):
        rename_lite(state, "tf_efficientnet_lite0")


@pytest.mark.parametrize(
    ("values", "error", "words"),
    [
        ({"name": "resnet5"}, UnknownNameError, r"Did you mean 'resnet\d+"),
        (
            {"name": "efficientnet-lite1"},
            UnknownNameError,
            "Known: efficientnet-lite0",
        ),
        ({"name": "resnet10t", "weights": "package"}, UsageError, "Use weights='timm' or a file"),
        ({"trainable_blocks": 18}, UsageError, "18 blocks"),
        ({"name": "vit_tiny_patch16_224"}, UsageError, "Set encoder.size to 0"),
        ({"size": -1}, UsageError, "size"),
    ],
)
def test_what_cannot_be_built(values: dict[str, Any], error: type[UsageError], words: str) -> None:
    with pytest.raises(error, match=words):
        tiny(**{"name": "efficientnet-lite0", **values})


def test_no_network_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    hub = pytest.importorskip("huggingface_hub")
    monkeypatch.setattr(hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr(hub.constants, "HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(UsageError, match=r"could not download .*encoder.weights=FILE"):
        tiny("resnet10t", weights="timm")


def test_fingerprints_tell_weights_apart() -> None:
    first, second = tiny(), tiny()
    assert first.weights_sha256 == "random"
    assert first.fingerprint() == second.fingerprint()
    with torch.no_grad():
        next(second.parameters()).add_(1)
    assert first.fingerprint() != second.fingerprint()
