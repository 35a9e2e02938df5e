"""The metrics CHAIR-i (per object mention) and CHAIR-s (per caption).

With the mentions of objects in all captions,

    CHAIR-i = mentions of objects not in the image / mentions of objects CHAIR-s = captions with
    such a mention / captions

both in percent; lower is better. As in the paper, an object counts as present if the image's list
of objects or any of its references names it: neither is complete.

Axes: N images, K statistics of an image.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from negah.arrays import DoubleArray
from negah.errors import DataError
from negah.metrics.chair.words import Mention, categories_of, mentions
from negah.metrics.metric import CaptionSet, Metric, ReferenceSet
from negah.metrics.settings import NAMED, Settings
from negah.text.languages import english_only

#: Version of the table of words: scores of different versions are not comparable.
TABLE_VERSION = 2
# Columns of the statistics.
_INVENTED, _NAMED, _WITH_INVENTED, _CAPTIONS = range(4)


class Chair(Metric):
    """CHAIR-i and CHAIR-s, in percent.

    Attributes:
        truth: the categories that are in each image.
    """

    names = ("CHAIR-i", "CHAIR-s")
    unit = "percent"
    lower_is_better = True

    def __init__(self, references: ReferenceSet) -> None:
        self._seen = _seen(references)
        named = (
            frozenset().union(*(one.categories for row in rows for one in mentions(row)))
            for rows in references.tokens
        )
        self._unknown = sorted(
            {name for names in self._seen if names for name in names if not categories_of(name)}
        )
        self.truth = [
            there.union(*map(categories_of, names or ()))
            for there, names in zip(named, self._seen, strict=True)
        ]

    @classmethod
    def check(cls, settings: Settings) -> None:
        """Refuse captions that are not English.

        Raises:
            UsageError: another language.
        """
        english_only(settings.language, "CHAIR", "its table of words is English", NAMED)

    @classmethod
    def by_default(cls, settings: Settings) -> bool:
        """If objects are given."""
        return settings.objects is not None

    def invented(self, captions: CaptionSet) -> list[list[Mention]]:
        """The mentions in each caption of objects that are not in its image."""
        return [
            [one for one in mentions(tokens) if not one.categories & there]
            for tokens, there in zip(captions.tokens, self.truth, strict=True)
        ]

    def statistics(self, captions: CaptionSet) -> DoubleArray:
        """Hallucinated mentions, all mentions, whether the caption has a hallucinated one, and
        1."""
        invented_N = np.array([len(found) for found in self.invented(captions)], dtype=np.float64)
        named_N = np.array([len(mentions(one)) for one in captions.tokens], dtype=np.float64)
        return np.stack([invented_N, named_N, invented_N > 0, np.ones(len(named_N))], axis=1)

    @classmethod
    def score(cls, sums: DoubleArray) -> Mapping[str, DoubleArray]:
        """The scores; CHAIR-i is 0 where no caption names an object."""
        named = np.maximum(sums[..., _NAMED], np.finfo(np.float64).tiny)
        return {
            "CHAIR-i": 100 * sums[..., _INVENTED] / named,
            "CHAIR-s": 100 * sums[..., _WITH_INVENTED] / sums[..., _CAPTIONS],
        }

    @classmethod
    def per_image(cls, statistics_NK: DoubleArray) -> Mapping[str, DoubleArray]:
        """The same of each image; CHAIR-i is NaN where its caption names no object."""
        scores = dict(cls.score(statistics_NK))
        scores["CHAIR-i"] = np.where(statistics_NK[:, _NAMED] > 0, scores["CHAIR-i"], np.nan)
        return scores

    def signature(self, name: str) -> str:
        """With the source of the truth: ``boxes-N`` if N images have objects and others none."""
        known, images = sum(one is not None for one in self._seen), len(self._seen)
        boxes = f"boxes{'' if known == images else f'-{known}'}+" if known else ""
        return f"{name}|words:{TABLE_VERSION}|truth:{boxes}refs"

    def warnings(self, statistics_NK: DoubleArray) -> Iterable[str]:
        """Missing lists of objects, and unknown categories."""
        images, absent = len(self._seen), sum(one is None for one in self._seen)
        if absent:
            which = f"{absent} of {images} images have" if absent < images else "the images have"
            yield (
                f"CHAIR: {which} no list of objects, so objects that their references do not name "
                f"count as absent"
            )
        if self._unknown:
            yield (
                f"CHAIR: {len(self._unknown)} names of objects are not COCO categories and are "
                f"ignored, such as {self._unknown[0]!r:.80}"
            )
        if not statistics_NK[:, _NAMED].any():
            yield "CHAIR-i is 0 because no caption names an object of COCO's categories"


def _seen(references: ReferenceSet) -> Sequence[Collection[str] | None]:
    """The names of the objects of each image; None for an image without a list.

    Raises:
        DataError: they do not fit the references.
    """
    objects, names = references.settings.objects, references.names
    if objects is None:
        return [None] * len(references)
    if isinstance(objects, Mapping) != (names is not None):
        raise DataError(
            "objects and references are both by name (mappings) or both in order (sequences),"
            " not one of each"
        )
    if isinstance(objects, Mapping):
        found = [objects.get(name) for name in names or ()]
        if all(one is None for one in found):
            raise DataError(
                f"there are objects of {len(objects)} images, and none of them is among the"
                f" {len(references)} that are scored"
            )
        return found
    if len(objects) != len(references):
        raise DataError(
            f"objects of {len(objects)} images for {len(references)} images with references"
        )
    return objects
