"""Adapters that make a PyTorch captioner a step model for decoding and, with its encoder, a
backend.

Validation, studies, diagnosis and the proof of an export all decode with the search of
:mod:`negah.decoding`, which uses only NumPy; this adapter is the only bridge. On a GPU,
``candidates`` limits the transfer to the best log-probabilities of each hypothesis.

Axes: B photos or clips, K hypotheses of each, F frames, R regions, C channels, V vocabulary,
M candidates.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from negah.arrays import BoolArray, FloatArray, IntArray
from negah.backends import Encoded, Identity, Sight
from negah.bundle.schema import max_frames
from negah.decoding import DecodingOptions, Hypothesis, State, Step, Support, Vocabulary, decode
from negah.errors import UsageError
from negah.guarded import GuardedSteps, guarded
from negah.models.caption_model import CaptionModel, reorder_state
from negah.models.concepts import Concepts
from negah.models.encoders import Encoder
from negah.text import InLanguage

#: Number of most likely tokens transferred from a GPU for each hypothesis.
_GPU_CANDIDATES = 64


class TorchStepModel:
    """The :class:`~negah.decoding.StepModel` of a captioner.

    Its state is the pair (memory, state) of :class:`~negah.models.CaptionModel`, which stays on
    the captioner's device. No gradients are recorded. The captioner must be in evaluation mode,
    or dropout would affect the captions.

    Args:
        captioner: predicts the words.
        candidates: M, the number of most likely tokens that a step returns, at most V; None for
            all. Required words need all.
        prompt: ids of tokens that it reads before the first token of decoding.

    Raises:
        UsageError: ``candidates`` is below 1.
    """

    def __init__(
        self,
        captioner: CaptionModel,
        *,
        candidates: int | None = None,
        prompt: Sequence[int] = (),
    ) -> None:
        if candidates is not None and candidates < 1:
            raise UsageError(f"candidates is 1 or more, or None for all; given: {candidates}")
        self.captioner = captioner
        self.candidates = candidates
        self.prompt = tuple(prompt)

    @torch.inference_mode()
    def start(self, features: Tensor | FloatArray, real_frames: BoolArray | None = None) -> State:
        """Compute once what does not depend on the words, from features (B, F, R, C).

        ``real_frames`` is bool (B, F), False on padding; None for all real.
        """
        self._check_mode()
        features_BFRC = torch.as_tensor(features, dtype=torch.float32, device=self._device())
        real = () if real_frames is None else (torch.as_tensor(real_frames, device=self._device()),)
        state: State = self.captioner.start(features_BFRC, *real)
        for token in self.prompt:
            state = self.step(state, np.full((len(features_BFRC), 1), token)).state
        return state

    @torch.inference_mode()
    def step(self, state: State, tokens: IntArray) -> Step:
        """Read one token per hypothesis, int64 (B, K), and predict the next."""
        memory, before = state
        tokens_BK = torch.from_numpy(np.ascontiguousarray(tokens)).to(self._device())
        output = self.captioner.step(memory, before, tokens_BK)
        logprobs_BKV = output.logits.float().log_softmax(-1)
        evidence = {name: _to_numpy(weights.float()) for name, weights in output.evidence.items()}
        after = (memory, output.state)
        if self.candidates is None or self.candidates >= logprobs_BKV.shape[-1]:
            return Step(_to_numpy(logprobs_BKV), after, evidence)
        logprobs_BKM, candidates_BKM = logprobs_BKV.topk(self.candidates, dim=-1)
        return Step(_to_numpy(logprobs_BKM), after, evidence, _to_numpy(candidates_BKM))

    @torch.inference_mode()
    def reorder(self, state: State, parents: IntArray) -> State:
        """Hypothesis k of photo b continues ``parents[b, k]``; the memory stays where it is."""
        memory, before = state
        parents_BK = torch.from_numpy(np.ascontiguousarray(parents)).to(self._device())
        return memory, reorder_state(before, parents_BK)

    def _check_mode(self) -> None:
        if self.captioner.training:
            raise UsageError("the captioner is in training mode; call captioner.eval() first")

    def _device(self) -> torch.device:
        return next(self.captioner.parameters()).device


def best_captions(
    captioner: CaptionModel,
    batches: Iterable[tuple[Tensor, Tensor | None]],
    vocabulary: Vocabulary,
    options: DecodingOptions,
    *,
    concepts: Concepts | None = None,
    progress: Callable[[int], None] | None = None,
) -> list[Hypothesis]:
    """The best free-running caption of each photo or clip.

    Args:
        captioner: in evaluation mode.
        batches: features float32 (B, F, R, C) and which frames are real, bool (B, F), or None for
            all; read one at a time, without recording gradients.
        vocabulary: of the captioner.
        options: of decoding.
        concepts: of the encoder, if captions are ranked by them.
        progress: called after each batch with the number of captions so far.
    """
    device = next(captioner.parameters()).device
    model = TorchStepModel(
        captioner,
        candidates=None if device.type == "cpu" else _GPU_CANDIDATES,
        prompt=vocabulary.prompt if isinstance(vocabulary, InLanguage) else (),
    )
    found: list[Hypothesis] = []
    with torch.inference_mode():
        for features_BFRC, real_BF in batches:
            real_frames = None if real_BF is None else real_BF.cpu().numpy()
            support = None
            if concepts is not None:
                present_BW = -torch.expm1(concepts.of_clips(features_BFRC, real_BF))
                support = Support(concepts.words, _to_numpy(present_BW))
            captions = decode(
                model, features_BFRC, options,
                vocabulary=vocabulary, real_frames=real_frames, support=support,
            )  # fmt: skip
            found += [best for best, *_ in captions]
            if progress is not None:
                progress(len(found))
    return found


class TorchBackend:
    """The :class:`~negah.backends.Backend` of an encoder and a captioner in PyTorch.

    Args:
        encoder: in evaluation mode.
        captioner: likewise, on the same device.
        tokenizer: of the captioner.
        decoding: default decoding options.
        identity: of the model.
        clip_frames: number of frames sampled from a clip.

    Attributes:
        encoder, captioner: as given.
        identity, sight, decoding, tokenizer, model: see :class:`~negah.backends.Backend`.
    """

    def __init__(
        self,
        encoder: Encoder,
        captioner: CaptionModel,
        tokenizer: Vocabulary,
        decoding: DecodingOptions,
        identity: Identity,
        *,
        clip_frames: int = 1,
    ) -> None:
        self.encoder = encoder
        self.captioner = captioner
        self._device = next(captioner.parameters()).device
        self.tokenizer = tokenizer
        self.decoding = decoding
        self.identity = identity
        self.model = GuardedSteps(TorchStepModel(captioner), identity.name)
        self.sight = Sight(
            size=encoder.preprocessing.size,
            grid=encoder.grid,
            motion=encoder.options.motion,
            clip_frames=clip_frames,
            max_frames=max_frames(encoder.regions * encoder.channels),
            concepts=() if encoder.concepts is None else encoder.concepts.words,
        )

    def resize(self, image: Image.Image) -> Image.Image:
        """See :meth:`negah.backends.Backend.resize`."""
        return self.encoder.preprocessing.resize(image)

    def pixels(self, images: Sequence[Image.Image]) -> FloatArray:
        """See :meth:`negah.backends.Backend.pixels`."""
        return self.encoder.preprocessing.to_pixels_NCHW(images)

    def encode(self, pixels_N3HW: FloatArray) -> Encoded:
        """See :meth:`negah.backends.Backend.encode`."""
        tell = self.encoder.concepts
        with guarded(self.identity.name), torch.inference_mode():
            regions_NRC = self.encoder(torch.from_numpy(pixels_N3HW).to(self._device))
            concepts_NW = None if tell is None else _to_numpy(tell(regions_NRC))
        return Encoded(_to_numpy(regions_NRC), concepts_NW)

    def absent(self, features_NRC: FloatArray) -> FloatArray | None:
        """See :class:`negah.backends.ConceptLayer`."""
        tell = self.encoder.concepts
        if tell is None:
            return None
        with guarded(self.identity.name), torch.inference_mode():
            regions_NRC = torch.from_numpy(features_NRC).to(self._device)
            absent: FloatArray = _to_numpy(tell.log_absent_of_regions(regions_NRC))
        return absent


class FeatureBackend:
    """The :class:`~negah.backends.Backend` of a captioner whose inputs are features.

    Evidence methods that need no encoder can be used with it; pictures are refused.

    Args:
        captioner: in evaluation mode.
        tokenizer: of the captioner.
        decoding: default decoding options.
        grid: (rows, columns) of its regions.

    Attributes:
        identity, sight, decoding, tokenizer, model: see :class:`~negah.backends.Backend`.
    """

    def __init__(
        self,
        captioner: CaptionModel,
        tokenizer: Vocabulary,
        decoding: DecodingOptions,
        grid: tuple[int, int],
    ) -> None:
        self.identity = Identity("features", "features", "features", "not stated", "")
        self.sight = Sight(size=grid, grid=grid)
        self.decoding = decoding
        self.tokenizer = tokenizer
        self.model = GuardedSteps(TorchStepModel(captioner), self.identity.name)

    def resize(self, image: Image.Image) -> Image.Image:
        """Refused, as :meth:`pixels` and :meth:`encode`."""
        raise UsageError("this captioner is given features, and has no encoder for pictures")

    def pixels(self, images: Sequence[Image.Image]) -> FloatArray:
        """Refused, see :meth:`resize`."""
        raise UsageError("this captioner is given features, and has no encoder for pictures")

    def encode(self, pixels_N3HW: FloatArray) -> Encoded:
        """Refused, see :meth:`resize`."""
        raise UsageError("this captioner is given features, and has no encoder for pictures")


def _to_numpy(tensor: Tensor) -> Any:
    return tensor.cpu().numpy()
