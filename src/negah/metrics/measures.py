"""What is to be measured, and how: the choices that scorers and accumulators share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from negah.errors import DataError, UnknownNameError
from negah.metrics.bleu import ReferenceLength
from negah.metrics.captions import Tokenised, Tokens, as_tokens
from negah.metrics.cider import check_kind
from negah.metrics.frequencies import DocumentFrequencies
from negah.metrics.signatures import CIDER, CIDER_D, chosen_metrics
from negah.text import words


@dataclass(frozen=True, slots=True, eq=False)
class Measures:
    """Checked choices; arguments of :meth:`of` as in :func:`negah.metrics.score`.

    Attributes:
        metrics: names, in the order of the tables.
        frequencies: of CIDEr or CIDEr-D; None for those of the references.
        tokenised: captions come as tokens already.
        reference_length: of BLEU.
        training: the tokenised captions that a model was trained on.
    """

    metrics: tuple[str, ...]
    frequencies: DocumentFrequencies | None
    tokenised: bool
    reference_length: ReferenceLength
    training: frozenset[Tokens] | None

    @classmethod
    def of(
        cls,
        metrics: Sequence[str] | None,
        frequencies: DocumentFrequencies | None,
        tokenised: bool,
        reference_length: ReferenceLength,
        training: Iterable[str] | None,
    ) -> Measures:
        """Check the choices.

        Raises:
            UnknownNameError: no such metric or reference length.
            UsageError: ``metrics`` is no list of names.
            DataError: the frequencies are not of the kind that the metrics take, or a caption of
                ``training`` is no text.
        """
        names = chosen_metrics(metrics)
        lengths = get_args(ReferenceLength)
        if reference_length not in lengths:
            raise UnknownNameError("reference length", str(reference_length), lengths)
        for name, stems in ((CIDER, True), (CIDER_D, False)):
            if name in names:
                check_kind(frequencies, stems=stems)
        if isinstance(training, str):
            raise DataError("training is one string; give a list of captions")
        bare = cls(names, frequencies, tokenised, reference_length, None)
        if training is None:
            return bare
        known = frozenset(bare.tokens(caption) for caption in training)
        return cls(names, frequencies, tokenised, reference_length, known)

    def tokens(self, caption: Tokenised) -> Tokens:
        """The tokens of a caption as it was given.

        Raises:
            DataError: it is no text.
        """
        if isinstance(caption, str):
            return as_tokens(caption) if self.tokenised else tuple(words(caption))
        if self.tokenised and isinstance(caption, (list, tuple)):
            return as_tokens(caption)
        raise DataError(f"a caption is a text, not {caption!r:.60} ({type(caption).__name__})")

    @property
    def tokenizer(self) -> str:
        """As signatures name it."""
        return "none" if self.tokenised else "ptb"
