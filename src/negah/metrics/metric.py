"""The interface of metrics, built-in ones and those of other packages.

A metric prepares the references once, computes statistics of each caption, and turns sums of
statistics into scores. Everything else is computed from the sums, by shared code: corpus scores,
bootstrap intervals, paired tests, merging, tables and files. ``docs/metrics.md`` shows how to write
one; :class:`MeanMetric` is the simplest base class.

Axes: N images, K statistics of an image.
"""

from __future__ import annotations

import numbers
import traceback
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from itertools import islice
from typing import Any, ClassVar, Protocol, TypeVar

import numpy as np

from negah.arrays import DoubleArray
from negah.errors import NegahError, UsageError
from negah.metrics.captions import Tokenised, Tokens, WordIds, as_tokens
from negah.metrics.references import Matched, TokenisedReferences
from negah.metrics.settings import Settings

RawText = TypeVar("RawText")
#: Called with the share done, from 0 to 1.
ShareDone = Callable[[float], None]


class ReferenceSet:
    """The references of N images in all forms that metrics use, each computed on demand.

    Args:
        rows: for each image its references, as tokens, or raw if ``tokenise`` is given.
        names: of the images; None where they came in order.
        settings: see :class:`~negah.metrics.settings.Settings`.
        tokenise: turns a raw reference into tokens.
        text: the raw references, where a metric needs them.

    Attributes:
        names: of the images; None where they came in order.
        settings: further inputs of metrics besides captions and references.
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
    def numbered(self) -> TokenisedReferences:
        """The references with word ids and counted n-grams, for fast n-gram matching."""
        frequencies = self.settings.frequencies
        # with the ids of a given table, so that it can be looked up
        known = None if frequencies is None or frequencies.stems else frequencies.vocabulary
        vocabulary = None if known is None else WordIds(known)
        return TokenisedReferences(self._rows, vocabulary=vocabulary, tokenise=self._tokenise)

    @cached_property
    def tokens(self) -> list[list[Tokens]]:
        """For each image the tokens of its references."""
        if self._tokenise is None:
            return [[as_tokens(caption) for caption in row] for row in self._rows]
        every = iter(self.numbered.captions.spell(self.numbered.vocabulary))
        return [list(islice(every, size)) for size in self.numbered.sizes_N.tolist()]

    @property
    def text(self) -> list[list[str]]:
        """For each image its references as given.

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
        """The n-grams shared by the captions and ``references.numbered``."""
        return self.references.numbered.match(self.tokens)

    @property
    def text(self) -> list[str]:
        """The captions as they were given.

        Raises:
            UsageError: a metric that does not say ``needs_text`` asks.
        """
        return [raw(caption) for caption in _kept(self._text)]


class Metric(Protocol):
    """One metric, or several computed from the same statistics (BLEU-1 to BLEU-4).

    A class with this interface is registered under each of its names; subclass it to inherit the
    defaults. One object is created for each set of references: ``__init__`` prepares what is shared
    when many sets of captions are scored against them.

    Attributes:
        names: of the scores that it gives, as tables show them.
        unit: of the scores, in a word or two.
        lower_is_better: whether the better of two systems has the lower score.
        needs_text: whether it reads raw sentences (``text`` of the two sets), not tokens alone.
        separate: whether the statistics of an image depend on its own caption and references alone,
            and are slow to compute; accumulators then compute them as captions arrive.
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
            DataError: the metric cannot be computed with these references.
        """

    @abstractmethod
    def statistics(self, captions: CaptionSet) -> DoubleArray:
        """The statistics of each image, whose sums give the score: float64 (N, K), finite."""

    @classmethod
    @abstractmethod
    def score(cls, sums: DoubleArray) -> Mapping[str, DoubleArray]:
        """The scores by name, float64 (...), from sums of statistics (..., K).

        Scores must be finite for the sum over any subset of images; many sums are passed at once.
        """

    @abstractmethod
    def signature(self, name: str) -> str:
        """The signature, which says what the score depends on: ``name|field:value|...``; include a
        version.

        ``tok``, ``nrefs`` and ``v``, the version of Negah, are added to it.
        """

    @classmethod
    def per_image(cls, statistics_NK: DoubleArray) -> Mapping[str, DoubleArray]:
        """The scores of each image by name, float64 (N,); NaN where an image has none.

        By default, the score of each image alone.
        """
        return cls.score(statistics_NK)

    @classmethod
    def check(cls, settings: Settings) -> None:
        """Refuse, before any work, unsuitable settings.

        Raises:
            DataError, UsageError: the settings are not suitable.
            MissingExtraError: a dependency is not installed.
        """

    @classmethod
    def by_default(cls, settings: Settings) -> bool:
        """Whether it is computed by default; used for built-in metrics only."""
        return False

    @classmethod
    def load(cls, progress: ShareDone | None = None) -> None:
        """Prepare its data, once per machine; calls ``progress`` if that is slow."""

    def warnings(self, statistics_NK: DoubleArray) -> Iterable[str]:
        """Warnings, in sentences, about what makes its scores less meaningful."""
        return ()


class MeanMetric(Metric):
    """A metric whose score is the mean of a value of each image.

    Subclasses set ``names`` to one name and write :meth:`value`; or :meth:`values`, if computing
    all images at once is quicker.
    """

    def __init__(self, references: ReferenceSet) -> None:
        self.references = references

    def value(self, caption: Tokens, references: Sequence[Tokens]) -> float:
        """The score of one image; NaN leaves the image out of the mean.

        Args:
            caption: its tokens; with ``needs_text`` the sentence as it was given.
            references: the same of each of the image's references.
        """
        raise NotImplementedError(f"{type(self).__name__} has neither value nor values")

    def values(self, captions: CaptionSet) -> DoubleArray:
        """The score of each image, float64 (N,); NaN for an image without one.

        Raises:
            UsageError: :meth:`value` gave something else than a number.
        """
        given: Iterable[tuple[object, object]]
        if self.needs_text:
            given = zip(captions.text, self.references.text, strict=True)
        else:
            given = zip(captions.tokens, self.references.tokens, strict=True)
        # code of another package may give anything
        found: list[Any] = [self.value(caption, row) for caption, row in given]  # type: ignore[arg-type]
        for place, value in enumerate(found):
            if not isinstance(value, numbers.Real):
                names = self.references.names
                image = f"image {place}, counted from 0" if names is None else names[place]
                raise UsageError(
                    f"the metric {self.names[0]!r}: value gave {value!r:.80} "
                    f"({type(value).__name__}) for {image}; return a number, or NaN for an image "
                    f"without a score"
                )
        return np.array(found, dtype=np.float64)

    def statistics(self, captions: CaptionSet) -> DoubleArray:
        """The score of each image and 1, or 0 and 0: their sums give the mean."""
        values_N = np.asarray(self.values(captions))
        has_one_N = ~np.isnan(values_N)
        return np.stack([np.where(has_one_N, values_N, 0.0), has_one_N], axis=1)

    @classmethod
    def score(cls, sums: DoubleArray) -> Mapping[str, DoubleArray]:
        """The mean over the images that have a score; 0 where none has."""
        (name,) = cls.names
        return {name: sums[..., 0] / np.maximum(sums[..., 1], 1)}

    @classmethod
    def per_image(cls, statistics_NK: DoubleArray) -> Mapping[str, DoubleArray]:
        """The score of each image; NaN where it has none."""
        (name,) = cls.names
        return {name: np.where(statistics_NK[:, 1] > 0, statistics_NK[:, 0], np.nan)}

    def warnings(self, statistics_NK: DoubleArray) -> Iterable[str]:
        """How many images have no score."""
        without = int((statistics_NK[:, 1] == 0).sum())
        if without:
            yield (
                f"{without:,} of {len(statistics_NK):,} images have no {self.names[0]}, which is "
                "the mean of the others"
            )

    def signature(self, name: str) -> str:
        """The name alone."""
        return name


@contextmanager
def calling(name: str, doing: str) -> Iterator[None]:
    """Convert any exception of a metric to one line that names the metric and the place.

    Args:
        name: of the metric.
        doing: which of its methods is called.

    Raises:
        UsageError: it raised something other than a :class:`~negah.errors.NegahError`.
    """
    try:
        yield
    except NegahError:
        raise
    except (Exception, SystemExit) as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        raise UsageError(
            f"the metric {name!r} failed in {doing}: {type(error).__name__}: {error} "
            f"({last.filename}, line {last.lineno})"
        ) from error


def raw(caption: Tokenised) -> str:
    """A caption as a sentence, also if it was given as tokens."""
    return caption if isinstance(caption, str) else " ".join(caption)


def _kept(given: RawText | None) -> RawText:
    if given is None:
        raise UsageError(
            "a metric used raw sentences without declaring it: set needs_text = True in its class"
        )
    return given
