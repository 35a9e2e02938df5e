"""Rewards of sampled captions: CIDEr-D against the references of the photo, and details.

The end token is a word of samples, references and document frequencies: without it the model learns
truncated captions ("a man in a") with inflated CIDEr-D (arXiv:2305.12254).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from negah.arrays import DoubleArray, IntArray
from negah.metrics import CiderD, DocumentFrequencies
from negah.text import Language, language_of
from negah.text.languages import DEFAULT

#: The end token as a word; words of captions are lowercase, so none is spelt like it.
END = "<EOS>"


def tells_captions_apart(references: Sequence[Sequence[str]]) -> bool:
    """Whether any n-gram of the references has a nonzero weight in CIDEr-D. None has with a single
    photo, or if the references of all photos have the same n-grams.
    """
    # any tokenisation will do for this check
    words = language_of(DEFAULT).tokens
    tokens = [[words(text) for text in group] for group in references]
    # single words suffice in nearly every data set, and are quick to count
    first = {word for caption in tokens[0] for word in caption}
    if any({word for caption in group for word in caption} != first for group in tokens[1:]):
        return True
    return any(idf[:-1].any() for idf in DocumentFrequencies.of(tokens).weights())


class Rewards:
    """Rewards of captions against the training references, prepared once.

    Document frequencies are counted in the references of all photos.

    Args:
        references: all training captions of each photo.
        language: of the captions.
        ends: the end token is a word of the references.
        details: weight of :meth:`details`, added to CIDEr-D.
    """

    def __init__(
        self,
        references: Sequence[Sequence[str]],
        *,
        language: Language | None = None,
        ends: bool = True,
        details: float = 0.0,
    ) -> None:
        self.language = language or language_of(DEFAULT)
        tokens = [[self.words(text, ends=ends) for text in group] for group in references]
        self.cider = CiderD(tokens)
        self.weight = details
        self._said = [self._content(*group) for group in tokens] if details else []
        self._usual = [
            sum(len(self._content(caption)) for caption in group) / len(group)
            for group in (tokens if details else [])
        ]

    def words(self, text: str, *, ends: bool) -> list[str]:
        """The words of a caption as the metrics count them.

        Args:
            text: of the caption.
            ends: append the end token.
        """
        words = self.language.metric_tokens(text)
        return [*words, END] if ends else words

    def __call__(self, captions: Sequence[Sequence[str]], photos: IntArray) -> DoubleArray:
        """CIDEr-D, in [0, 10], and the weighted details, float64 (H,).

        Args:
            captions: H captions as :meth:`words` gives them.
            photos: index of the photo of each caption among the references.
        """
        rewards = self.cider.rewards(captions, photos)
        return rewards + self.weight * self.details(captions, photos) if self.weight else rewards

    def details(self, captions: Sequence[Sequence[str]], photos: Iterable[int]) -> DoubleArray:
        """The relative number of details in a caption that references confirm, float64 (H,), from
        0: the number of its distinct content words (all but stop words) that occur in any reference
        of the photo, over the mean number of content words of a reference.
        """
        borne_out = [
            len(self._content(caption) & self._said[photo]) / max(1.0, self._usual[photo])
            for caption, photo in zip(captions, photos, strict=True)
        ]
        return np.array(borne_out, dtype=np.float64)

    def _content(self, *captions: Sequence[str]) -> set[str]:
        said = {word for caption in captions for word in caption}
        return said - self.language.stop_words - {END}
