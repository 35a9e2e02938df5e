"""Free-running captions of held-out photographs, and their scores.

What is validated is what a user gets: captions decoded word by word from the picture alone,
by the same search as at run time, never teacher-forced ones.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from negah.data import Example, FeatureStore
from negah.decoding import DecodingOptions, decode
from negah.metrics import CaptionScorer, Scores
from negah.models import Captioner, Encoder
from negah.models.adapter import TorchStepModel
from negah.text import Tokenizer

#: More captions than this to keep every candidate on a GPU's side of the bus.
_GPU_CANDIDATES = 64


class Validation:
    """Held-out photographs with their references, prepared once.

    Args:
        examples: the photographs.
        store: their stored trunk features.
        tokenizer: turns token ids into text.
        options: how to decode.
        batch_size: photographs decoded at a time.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        store: FeatureStore,
        tokenizer: Tokenizer,
        options: DecodingOptions,
        *,
        batch_size: int = 32,
    ) -> None:
        self.names = [example.name for example in examples]
        self.rows = store.rows([example.path for example in examples])
        self.store = store
        self.tokenizer = tokenizer
        self.options = options
        self.batch_size = batch_size
        self.scorer = CaptionScorer({e.name: list(e.captions) for e in examples})

    def captions(
        self,
        encoder: Encoder,
        captioner: Captioner,
        progress: Callable[[int, int], None] | None = None,
    ) -> dict[str, str]:
        """One caption per photograph, by name. The modules must be in evaluation mode."""
        device = next(captioner.parameters()).device
        model = TorchStepModel(
            captioner, candidates=None if device.type == "cpu" else _GPU_CANDIDATES
        )
        texts: list[str] = []
        for first in range(0, len(self.rows), self.batch_size):
            trunk = self.store.read(self.rows[first : first + self.batch_size])
            with torch.inference_mode():
                inputs = torch.from_numpy(trunk.astype(np.float32)).to(device)
                features_BFRC = encoder.tail(inputs)[:, None]
            for best, *_ in decode(model, features_BFRC, self.options):
                texts.append(self.tokenizer.decode(best.tokens))
            if progress is not None:
                progress(len(texts), len(self.rows))
        return dict(zip(self.names, texts, strict=True))

    def score(
        self,
        encoder: Encoder,
        captioner: Captioner,
        progress: Callable[[int, int], None] | None = None,
    ) -> tuple[Scores, dict[str, str]]:
        """Scores of fresh captions, and the captions."""
        captions = self.captions(encoder, captioner, progress)
        return self.scorer.score(captions), captions
