"""The metric METEOR."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from negah.arrays import DoubleArray
from negah.errors import MissingExtraError
from negah.metrics.meteor.data import find_sources
from negah.metrics.meteor.score import METEOR_SIGNATURE, Meteor, load_meteor, meteor_of
from negah.metrics.metric import CaptionSet, Metric, ReferenceSet, ShareDone
from negah.metrics.settings import NAMED, Settings
from negah.text.languages import DEFAULT, english_only


class MeteorMetric(Metric):
    """METEOR on the scale of 100."""

    names = ("METEOR",)
    separate = True
    #: One shared instance, because it caches the words that it has looked up.
    _meteor: ClassVar[Meteor | None] = None

    def __init__(self, references: ReferenceSet) -> None:
        self._references = references

    @classmethod
    def check(cls, settings: Settings) -> None:
        """Refuse missing data, and captions that are not English.

        Raises:
            MissingExtraError: it is not installed.
            UsageError: another language.
        """
        english_only(settings.language, "METEOR", "its stems and synonyms are English", NAMED)
        if find_sources() is None:
            raise MissingExtraError("pycocoevalcap", "METEOR")

    @classmethod
    def by_default(cls, settings: Settings) -> bool:
        """For English captions, if its data is installed."""
        return settings.language == DEFAULT

    @classmethod
    def load(cls, progress: ShareDone | None = None) -> None:
        """Load the data; compiling it takes half a minute the first time."""
        if cls._meteor is None:
            cls._meteor = load_meteor(progress)

    def statistics(self, captions: CaptionSet) -> DoubleArray:
        """Lengths, matches and chunks against each image's best reference, float64 (N, 21)."""
        self.load()
        assert self._meteor is not None
        return self._meteor.score(captions.tokens, self._references.tokens).statistics

    @classmethod
    def score(cls, sums: DoubleArray) -> Mapping[str, DoubleArray]:
        """The score."""
        return {"METEOR": 100 * meteor_of(sums)}

    def signature(self, name: str) -> str:
        """With version, language, normalisation and matchers."""
        return METEOR_SIGNATURE
