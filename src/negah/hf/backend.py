"""Hugging Face models as a :class:`~negah.backends.Backend`."""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from negah.arrays import FloatArray
from negah.backends import Encoded, Identity, Sight
from negah.decoding import DecodingOptions, StepModel
from negah.errors import MissingExtraError, UsageError
from negah.guarded import GuardedSteps, guarded
from negah.hf.model_folder import CONFIG, ModelFolder, find_model_folder

if TYPE_CHECKING:
    from negah.hf.family import Family
    from negah.hf.pictures import ImageProcessor
    from negah.hf.words import HfVocabulary

#: The classes of this package by the ``model_type`` of ``config.json``.
FAMILIES: Mapping[str, str] = {
    "blip": "negah.hf.blip:Blip",
    "florence2": "negah.hf.florence:Florence2",
    "git": "negah.hf.git:Git",
    "vision-encoder-decoder": "negah.hf.vision_encoder_decoder:VisionEncoderDecoder",
}
#: Tokens beside the grid that encoders put before it: one for the picture, one for a teacher,
#: some registers.
_MOST_TOKENS_BESIDE = 16


class HfBackend:
    """A Hugging Face model, run by PyTorch on the CPU.

    When it is opened, the scores of a first word are computed for a picture of noise, to detect
    mismatched parts before a photo is captioned.

    Args:
        source: the checked folder.

    Attributes:
        identity, sight, decoding, tokenizer, model: see :class:`~negah.backends.Backend`.
        family: what is particular to models of its kind.

    Raises:
        UsageError: the model does not caption, or its kind is not supported.
        BundleError: files are damaged or do not fit each other.
    """

    identity: Identity
    sight: Sight
    decoding: DecodingOptions
    tokenizer: HfVocabulary
    model: StepModel

    def __init__(self, source: ModelFolder) -> None:
        from negah.hf.generation import decoding_options, find_specials
        from negah.hf.loading import attempt, load_model
        from negah.hf.pictures import ImageProcessor
        from negah.hf.words import HfVocabulary, load_tokenizer, token_texts

        family_class = _family_class(source)
        model = load_model(source, family_class.model_class, family_class.attention)
        tokenizer = load_tokenizer(source)
        family: Family = attempt(source, lambda: family_class(model, tokenizer))
        self.family = family
        self._name = source.name
        self._pictures: ImageProcessor = ImageProcessor(source)
        texts = attempt(source, lambda: token_texts(tokenizer, family.size))
        specials = attempt(source, lambda: find_specials(source.name, family, tokenizer, texts))
        self.decoding = attempt(source, lambda: decoding_options(source.name, family))
        self.tokenizer = HfVocabulary(tokenizer, texts, specials)
        features_1RC = attempt(source, self._encode_noise)
        grid = attempt(source, lambda: family.grid(*self._pictures.size))
        grid = grid if _fits(grid, features_1RC.shape[1]) else None
        steps = family.steps(grid[0] * grid[1] if grid else 0)
        attempt(source, lambda: self._try(steps, features_1RC))
        self.model = GuardedSteps(steps, source.name)
        self.sight = Sight(
            size=self._pictures.size,
            grid=grid,
            clip_frames=family.frames,
            max_frames=family.frames,
            max_words=family.max_words,
        )
        self.identity = Identity(
            name=source.name,
            kind="hf",
            source=source.origin,
            licence=source.licence(),
            sha256=source.sha256(),
            files=source.files,
        )

    def resize(self, image: Image.Image) -> Image.Image:
        """The RGB picture in the size of :meth:`pixels`, or in its own size."""
        return self._pictures.resize(image)

    def pixels(self, images: Sequence[Image.Image]) -> FloatArray:
        """The output of the model's image processor, float32 (N, 3, H, W)."""
        with guarded(self._name):
            return self._pictures.pixels(images)

    def encode(self, pixels_N3HW: FloatArray) -> Encoded:
        """The encoder's last hidden states; there are no concepts."""
        with guarded(self._name):
            return Encoded(self._encode(pixels_N3HW))

    def _encode(self, pixels_N3HW: FloatArray) -> FloatArray:
        import torch

        with torch.inference_mode():
            features_NRC = self.family.encode(torch.from_numpy(pixels_N3HW))
        return features_NRC.float().numpy()

    def _encode_noise(self) -> FloatArray:
        height, width = self._pictures.size
        noise = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
        return self._encode(self.pixels([Image.fromarray(noise)]))

    def _try(self, steps: StepModel, features_1RC: FloatArray) -> None:
        state = steps.start(features_1RC[:, None])
        first = np.array([[self.tokenizer.specials.start]])
        step = steps.step(state, first)
        if step.logprobs.shape[2] != len(self.tokenizer.tokens):
            raise ValueError("the scores are not of the vocabulary")


def _family_class(source: ModelFolder) -> type[Family]:
    kind = source.config.get("model_type")
    if not isinstance(kind, str) or kind not in FAMILIES:
        raise UsageError(
            f"{source.name} is a model of type {kind!r}; supported types: {', '.join(FAMILIES)}"
        )
    module, _, attribute = FAMILIES[kind].partition(":")
    family: type[Family] = getattr(importlib.import_module(module), attribute)
    made_for = source.config.get("architectures") or [family.model_class]
    made_for = made_for if isinstance(made_for, list) else [made_for]
    if family.model_class not in made_for:
        raise UsageError(
            f"{source.name} was saved as {', '.join(map(repr, made_for))}, which does not caption; "
            f"needed is {family.model_class}"
        )
    return family


def _fits(grid: tuple[int, int] | None, tokens: int) -> bool:
    """Whether the tokens of a picture are a grid and a few additional tokens."""
    return grid is not None and 0 <= tokens - grid[0] * grid[1] <= _MOST_TOKENS_BESIDE


class _HfKind:
    """See :class:`~negah.backends.BackendKind`."""

    def recognises(self, path: Path) -> bool:
        """Whether it is a folder with a ``config.json`` of any type; ``open`` checks the type."""
        return (path / CONFIG).is_file()

    def open(self, source: str | os.PathLike[str], *, threads: int) -> HfBackend:
        """Open ``hf:ORG/NAME`` or a folder.

        PyTorch uses the number of threads of the process, regardless of ``threads``, because it
        cannot be set for a single model.

        Raises:
            UsageError, BundleError: see :class:`HfBackend` and
                :func:`negah.hf.model_folder.find_model_folder`.
            MissingExtraError: transformers or PyTorch is not installed.
        """
        for module in ("torch", "transformers", "safetensors", "huggingface_hub"):
            if importlib.util.find_spec(module) is None:
                raise MissingExtraError(module, "a model of Hugging Face", extra="hf")
        # before heavy imports, so that a missing model is reported at once
        return HfBackend(find_model_folder(source))


KIND = _HfKind()
