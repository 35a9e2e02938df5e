"""What a metric is: the protocol that every metric satisfies, ours and those of other packages.

A metric sees the references once, gives statistics of each caption, and turns sums of statistics
into scores. All else follows from the sums, and is written once for all metrics: the score of the
set, bootstrap intervals, paired tests, parts that are merged, tables and files.
``docs/metrics.md`` shows how to write one; :class:`MeanMetric` is the short way.

Axes: N images, K statistics of an image.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import ClassVar, Protocol, TypeVar

import numpy as np

from negah.arrays import DoubleArray
from negah.errors import UsageError
from negah.metrics.captions import Tokenised, Tokens, Vocabulary, as_tokens
from negah.metrics.references import Matched, References
from negah.metrics.settings import Settings

Text = TypeVar("Text")
#: Called with the share done, from 0 to 1.
Progress = Callable[[float], None]


class ReferenceSet:
    """The references of N images in every form that metrics take, each made when asked for.

    Args:
        rows: for each image its references, as tokens, or raw if ``tokenise`` is given.
        names: of the images; None where they came in order.
        settings: see :class:`~negah.metrics.settings.Settings`.
        tokenise: turns a raw reference into tokens.
        text: the raw references, where a metric needs them.

    Attributes:
        names: of the images; None where they came in order.
        settings: what metrics are told beside captions and references.
    """

    def __init__(
        self,
        rows: Sequence[Sequence[Tokenised]],
        names: tuple[str, ...] | None,
        settings: Settings,
        *,
        tokenise: Callable[[Tokenised], Tokens] | None = None,
        text: Sequence[Sequence[Tokenised]] | None = None,
    ) -> None:
        self.names = names
        self.settings = settings
        self._rows = rows
        self._tokenise = tokenise
        self._text = text

    def __len__(self) -> int:
        """Number of images."""
        return len(self._rows)

    @cached_property
    def numbered(self) -> References:
        """With words as numbers and n-grams counted, which makes matching n-grams quick."""
        frequencies = self.settings.frequencies
        # numbered so that a given table of words can be looked up in
        known = None if frequencies is None or frequencies.stems else frequencies.vocabulary
        vocabulary = None if known is None else Vocabulary(known)
        return References(self._rows, vocabulary=vocabulary, tokenise=self._tokenise)

    @cached_property
    def tokens(self) -> list[list[Tokens]]:
        """For each image the tokens of its references."""
        if self._tokenise is None:
            return [[as_tokens(caption) for caption in row] for row in self._rows]
        every = iter(self.numbered.captions.spell(self.numbered.vocabulary))
        return [list(islice(every, size)) for size in self.numbered.sizes_N.tolist()]

    @property
    def text(self) -> list[list[str]]:
        """For each image its references as they were given.

        Raises:
            UsageError: a metric that does not say ``needs_text`` asks.
        """
        return [[raw(caption) for caption in row] for row in _kept(self._text)]


class CaptionSet:
    """One caption of each of N images, in the order of their references.

    Args:
        tokens: of each caption.
        references: of the images.
        text: the captions as they were given; None where no metric needs that.

    Attributes:
        tokens: of each caption.
        references: of the images.
    """

    def __init__(
        self,
        tokens: Sequence[Tokens],
        references: ReferenceSet,
        text: Sequence[Tokenised] | None = None,
    ) -> None:
        self.tokens = tokens
        self.references = references
        self._text = text

    def __len__(self) -> int:
        """Number of images."""
        return len(self.tokens)

    @cached_property
    def matched(self) -> Matched:
        """What the captions have in common with ``references.numbered``."""
        return self.references.numbered.match(self.tokens)

    @property
    def text(self) -> list[str]:
        """The captions as they were given.

        Raises:
            UsageError: a metric that does not say ``needs_text`` asks.
        """
        return [raw(caption) for caption in _kept(self._text)]


class Metric(Protocol):
    """One metric, or several that follow from the same statistics (BLEU-1 to BLEU-4).

    A class that satisfies this is registered under each of its names; subclass it to inherit the
    defaults. An object is made for each set of references: ``__init__`` prepares what scoring
    many sets of captions against them can share.

    Attributes:
        names: of the scores that it gives, as tables show them.
        unit: of the scores, in a word or two.
        lower_is_better: whether the better of two systems has the lower score.
        needs_text: whether it reads raw sentences (``text`` of the two sets), not tokens alone.
        separate: whether the statistics of an image depend on its own caption and references
            alone, and are slow to compute: then parts of a set compute them as they come in.
    """

    names: ClassVar[tuple[str, ...]]
    unit: ClassVar[str] = "0-100"
    lower_is_better: ClassVar[bool] = False
    needs_text: ClassVar[bool] = False
    separate: ClassVar[bool] = False

    @abstractmethod
    def __init__(self, references: ReferenceSet) -> None:
        """Prepare the references.

        Raises:
            DataError: it cannot be computed with them.
        """

    @abstractmethod
    def statistics(self, captions: CaptionSet) -> DoubleArray:
        """What each image adds to the sums from which the score follows: float64 (N, K), finite."""

    @classmethod
    @abstractmethod
    def score(cls, sums: DoubleArray) -> Mapping[str, DoubleArray]:
        """The scores by name, float64 (...), from sums of statistics (..., K).

        It must be finite for the sum over any choice of images, and work on many sums at once.
        """

    @abstractmethod
    def signature(self, name: str) -> str:
        """What the score depends on: ``name|field:value|...``; put your version in.

        ``tok``, ``nrefs`` and ``v``, the version of Negah, are added to it.
        """

    @classmethod
    def per_image(cls, statistics_NK: DoubleArray) -> Mapping[str, DoubleArray]:
        """The scores of each image by name, float64 (N,); NaN where an image has none.

        By default each image is a set of its own.
        """
        return cls.score(statistics_NK)

    @classmethod
    def check(cls, settings: Settings) -> None:
        """Refuse, before any work, settings that it cannot work with.

        Raises:
            DataError, UsageError: what is wrong with them.
            MissingExtraError: it needs something that is not installed.
        """

    @classmethod
    def by_default(cls, settings: Settings) -> bool:
        """Whether it is computed when no metrics are named; asked of Negah's own ones only."""
        return False

    @classmethod
    def load(cls, progress: Progress | None = None) -> None:
        """Have its data made ready, once on a machine; calls ``progress`` if that is slow."""

    def warnings(self, statistics_NK: DoubleArray) -> Iterable[str]:
        """What makes its scores of some captions mean less than they seem, in sentences."""
        return ()


class MeanMetric(Metric):
    """A metric whose score is the mean over the images of a number of each.

    Subclasses set ``names`` to one name and write :meth:`value`; or :meth:`values`, if computing
    all images at once is quicker.
    """

    def __init__(self, references: ReferenceSet) -> None:
        self.references = references

    def value(self, caption: Tokens, references: Sequence[Tokens]) -> float:
        """The score of one image.

        Args:
            caption: its tokens; with ``needs_text`` the sentence as it was given.
            references: the same of each of the image's references.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither value nor values")

    def values(self, captions: CaptionSet) -> DoubleArray:
        """The score of each image, float64 (N,)."""
        given: Iterable[tuple[object, object]]
        if self.needs_text:
            given = zip(captions.text, self.references.text, strict=True)
        else:
            given = zip(captions.tokens, self.references.tokens, strict=True)
        found = [self.value(caption, row) for caption, row in given]  # type: ignore[arg-type]
        return np.array(found, dtype=np.float64)

    def statistics(self, captions: CaptionSet) -> DoubleArray:
        """The score of each image, and 1: their sums give the mean."""
        values_N = self.values(captions)
        return np.stack([values_N, np.ones(len(values_N))], axis=1)

    @classmethod
    def score(cls, sums: DoubleArray) -> Mapping[str, DoubleArray]:
        """The mean."""
        (name,) = cls.names
        return {name: sums[..., 0] / sums[..., 1]}

    def signature(self, name: str) -> str:
        """The name alone."""
        return name


def raw(caption: Tokenised) -> str:
    """A caption as a sentence, where it may have come as tokens."""
    return caption if isinstance(caption, str) else " ".join(caption)


def _kept(given: Text | None) -> Text:
    if given is None:
        raise UsageError("a metric that reads raw sentences sets needs_text = True in its class")
    return given
