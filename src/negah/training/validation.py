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
from negah.decoding.constraints import Constraints
from negah.metrics import CaptionScorer, Scores
from negah.models import Captioner, Encoder
from negah.models.adapter import TorchStepModel
from negah.text import Tokenizer

#: More captions than this to keep every candidate on a GPU's side of the bus.
_GPU_CANDIDATES = 64
#: Without METEOR, which takes longer than all the others together.
_METRICS = (*(f"BLEU-{order}" for order in range(1, 5)), "ROUGE-L", "CIDEr-D")


def validation_options(decoding: DecodingOptions, beam: int) -> DecodingOptions:
    """The decoding of a recipe as the search that picks the best epoch: one caption, no drawing.

    Raises:
        UsageError: ``beam`` is too small for the words that every caption must contain.
    """
    values = decoding.model_dump(exclude={"temperature", "top_k", "top_p", "seed"})
    values |= {"method": "beam", "beam": beam, "n_best": 1}
    return DecodingOptions.parse(values, where="decoding with training.validation_beam")


class Validation:
    """Held-out photographs with their references, prepared once.

    Args:
        examples: the photographs.
        store: their stored trunk features.
        tokenizer: turns token ids into text.
        options: how to decode; see :func:`validation_options`.
        batch_size: photographs decoded at a time.

    Raises:
        UsageError: a banned or required word is not in the vocabulary.
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
        references = {e.name: list(e.captions) for e in examples}
        self.scorer = CaptionScorer(references, metrics=_METRICS)
        # words that the vocabulary lacks are refused here, not after an epoch of training
        Constraints.from_options(options, tokenizer.tokens)

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
            captions = decode(model, features_BFRC, self.options, tokens=self.tokenizer.tokens)
            for best, *_ in captions:
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
