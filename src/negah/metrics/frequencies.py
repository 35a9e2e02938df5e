"""Document frequencies: in how many images each n-gram occurs, for CIDEr's weights.

A table is counted on the references of some images and can be saved and used for others: training
rewards use the table of the training part, and two systems are comparable only with the same table.
The file is JSON; see :func:`DocumentFrequencies.save`.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np

from negah.arrays import DoubleArray, IntArray
from negah.errors import DataError
from negah.files import write_text
from negah.metrics.captions import Tokenised, WordIds, as_tokens, stems_of
from negah.metrics.ngrams import MAX_ORDER, NgramTable
from negah.metrics.references import TokenisedReferences

FORMAT = "negah-document-frequencies"
VERSION = 1
#: Ten times the size of a table of all COCO captions.
MAX_BYTES = 1 << 30
#: More images than any data set has, and few enough for exact arithmetic in float64.
MAX_IMAGES = 1 << 40


@dataclass(frozen=True, slots=True, eq=False)
class DocumentFrequencies:
    """The number of images in whose references each n-gram occurs.

    Attributes:
        images: number of images counted.
        vocabulary: the words by id.
        table: the n-grams.
        counts: number of images by n-gram of ``table``, int64 (G,) for each order from 1 up.
        stems: whether the words are stems, as CIDEr takes them; CIDEr-D takes words.
    """

    images: int
    vocabulary: WordIds
    table: NgramTable
    counts: tuple[IntArray, ...]
    stems: bool = False

    @classmethod
    def of(
        cls,
        references: Sequence[Sequence[Tokenised]],
        max_order: int = MAX_ORDER,
        *,
        stems: bool = False,
    ) -> Self:
        """Count document frequencies in the tokenised references of each image.

        Args:
            references: for each image its captions.
            max_order: longest n-gram.
            stems: count stems of words, for CIDEr.

        Raises:
            DataError: no images, or one without references.
        """
        tokenise = stems_of if stems else None
        prepared = TokenisedReferences(references, max_order=max_order, tokenise=tokenise)
        return cls.of_prepared(prepared, stems=stems)

    @classmethod
    def of_prepared(cls, references: TokenisedReferences, *, stems: bool = False) -> Self:
        """The same from references that are counted already."""
        counts = references.image_counts()
        # a copy: the vocabulary belongs to the references
        vocabulary = WordIds(references.vocabulary)
        return cls(len(references), vocabulary, references.table, counts, stems)

    @property
    def max_order(self) -> int:
        """The longest n-gram."""
        return len(self.counts)

    def count(self, ngram: Tokenised) -> int:
        """The number of images with this n-gram; 0 if it is not in the table."""
        tokens = as_tokens(ngram)
        if not 1 <= len(tokens) <= self.max_order:
            return 0
        place = -1
        for order, word in enumerate(tokens):
            number = self.vocabulary.get(word, -1)
            if number < 0:
                return 0
            if order == 0:
                place = number
                continue
            keys = self.table.keys[order - 1]
            key = place * self.table.words + number
            place = int(np.searchsorted(keys, key))
            if place == len(keys) or keys[place] != key:
                return 0
        return int(self.counts[len(tokens) - 1][place])

    def idf(self, ngram: Tokenised) -> float:
        """``log(images / max(1, count))``, natural; 0 for an n-gram that every image has."""
        return math.log(self.images) - math.log(max(1, self.count(ngram)))

    def weights(self) -> list[DoubleArray]:
        """The idf of each n-gram by order, float64 (G + 1,); the last is that of unknown n-grams,
        whose index in the table is -1.
        """
        return [
            math.log(self.images) - np.log(np.maximum(1, np.append(counts, 0)))
            for counts in self.counts
        ]

    def save(self, path: str | Path) -> None:
        """Write the table as JSON, on one line.

        ``words`` holds the vocabulary and ``images`` the number of images. ``orders`` has one
        object for each length of n-gram: ``images`` counts the images of each n-gram, ``last`` is
        the index of its last word and ``before`` that of the n-gram before it in the order
        before; single words need neither and stand as in ``words``.
        """
        orders: list[dict[str, list[int]]] = [{"images": self.counts[0].tolist()}]
        for keys, counts in zip(self.table.keys, self.counts[1:], strict=True):
            before, last = np.divmod(keys, self.table.words)
            orders.append(
                {"before": before.tolist(), "last": last.tolist(), "images": counts.tolist()}
            )
        stored = {
            "format": FORMAT,
            "version": VERSION,
            "images": self.images,
            "stems": self.stems,
            "words": list(self.vocabulary),
            "orders": orders,
        }
        write_text(path, json.dumps(stored, separators=(",", ":")) + "\n")

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read a table that :meth:`save` wrote. Everything in the file is checked.

        Raises:
            DataError: the file cannot be read or holds no such table.
        """
        try:
            size = Path(path).stat().st_size
            if size > MAX_BYTES:
                raise _MalformedError(f"it has {size:,} bytes, more than the {MAX_BYTES:,} allowed")
            stored = json.loads(Path(path).read_bytes())
            return cls(**_parsed(stored))
        except OSError as error:
            raise DataError(f"{path} cannot be read: {error.strerror}") from None
        except _MalformedError as error:
            raise DataError(f"{path} holds no document frequencies: {error}") from None
        except (ValueError, RecursionError):
            raise DataError(
                f"{path} holds no document frequencies: it is no JSON; give a file that"
                " DocumentFrequencies.save wrote"
            ) from None


class _MalformedError(Exception):
    """A stored table is malformed; the message is a clause."""


def _parsed(stored: Any) -> dict[str, Any]:
    keys = {"format", "version", "images", "stems", "words", "orders"}
    if not isinstance(stored, dict) or stored.get("format") != FORMAT:
        raise _MalformedError(f"its format is not {FORMAT!r}")
    if stored.get("version") != VERSION:
        raise _MalformedError(
            f"its version is {stored.get('version')!r:.20}, and this reads {VERSION}"
        )
    if set(stored) != keys:
        raise _MalformedError(f"it must have exactly the keys {', '.join(sorted(keys))}")
    images, stems, words, orders = (stored[key] for key in ("images", "stems", "words", "orders"))
    if type(images) is not int or not 1 <= images <= MAX_IMAGES:
        raise _MalformedError(f"the number of images is {images!r:.20}, not a number from 1 up")
    if type(stems) is not bool:
        raise _MalformedError("stems is neither true nor false")
    if not (isinstance(words, list) and all(type(word) is str for word in words)):
        raise _MalformedError("words is not a list of words")
    vocabulary = WordIds((word, number) for number, word in enumerate(words))
    if len(vocabulary) != len(words):
        raise _MalformedError("a word occurs twice in its vocabulary")
    if not (isinstance(orders, list) and 1 <= len(orders) <= 9):
        raise _MalformedError("orders is not a list of one to nine orders of n-grams")
    counts: list[IntArray] = []
    tables: list[IntArray] = []
    for order, row in enumerate(orders, 1):
        wanted = {"images"} if order == 1 else {"before", "last", "images"}
        if not (isinstance(row, dict) and set(row) == wanted):
            raise _MalformedError(
                f"the n-grams of {order} words must have {', '.join(sorted(wanted))}"
            )
        # a word of the vocabulary may occur in no image, if the table was made with another
        # vocabulary
        lowest = 0 if order == 1 else 1
        numbers = _numbers(row, "images", lowest, images, order)
        if order == 1:
            if len(numbers) != len(words):
                raise _MalformedError("there is not one count for each word")
        else:
            before = _numbers(row, "before", 0, len(counts[-1]) - 1, order)
            last = _numbers(row, "last", 0, len(words) - 1, order)
            if not len(numbers) == len(before) == len(last):
                raise _MalformedError(f"the lists of the n-grams of {order} words differ in length")
            table = before * len(words) + last
            if np.any(np.diff(table) <= 0):
                raise _MalformedError(f"the n-grams of {order} words are out of order")
            tables.append(table)
        counts.append(numbers)
    return {
        "images": images,
        "vocabulary": vocabulary,
        "table": NgramTable(len(words), tuple(tables)),
        "counts": tuple(counts),
        "stems": stems,
    }


def _numbers(row: Mapping[str, Any], name: str, lowest: int, highest: int, order: int) -> IntArray:
    given = row[name]
    # not by the array's type: NumPy accepts true as 1 and 2.0 as an integer
    if not (isinstance(given, list) and all(type(number) is int for number in given)):
        raise _MalformedError(f"{name!r} of the n-grams of {order} words is no list of integers")
    if given and not lowest <= min(given) <= max(given) <= highest:
        raise _MalformedError(
            f"{name!r} of the n-grams of {order} words goes beyond {lowest} to {highest}"
        )
    return np.array(given, dtype=np.int64)
