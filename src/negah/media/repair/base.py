"""The result of a repair: a rebuilt file whose missing end is filled in several ways."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

# A file that ends is filled up with one of these; a decoder may take exception to some. None has
# a byte 0xFF, which begins a marker in a JPEG.
_FILLINGS = (b"\0", bytes(number * 89 % 251 for number in range(1, 251)), b"\xaa", b"\x55")

#: More than a few rows' worth in a JPEG: what is compared is where two pictures part.
SPARE = 4096

#: If the stated length is this many times the data, too little is present to be shown.
LONGEST = 10


@dataclass(frozen=True, slots=True)
class Repaired:
    """A rebuilt file.

    Attributes:
        before: what is there, rebuilt.
        missing: how many bytes are to be made up behind that; 0 where a reader needs no end,
            or nothing is missing.
        after: what ends the file.
        info: where the orientation may stand, under Pillow's names.
        ends: whether the first content is as good without anything made up.
        whole: whether all rows are there, even where two pictures differ: what lacks is
            detail, and the first content is to be taken as it is.
        detailed: whether nothing lacks if two pictures do not differ.
        complete: whether nothing lacks if the reader took no exception to the file.
        instead: the file to be read if rows lack in this one, for what is at its end is none.
    """

    before: bytes
    missing: int = 0
    after: bytes = b""
    info: dict[str, Any] = field(default_factory=dict)
    ends: bool = False
    whole: bool = False
    detailed: bool = True
    complete: bool = False
    instead: bytes | None = None

    def contents(self) -> Iterator[bytes]:
        """The file, made up in several ways; one content twice where nothing is missing."""
        if not self.missing:
            yield from (self.before + self.after,) * 2
            return
        for number, filling in enumerate(_FILLINGS):
            length = 0 if self.ends and not number else self.missing
            made_up = (filling * (length // len(filling) + 1))[:length]
            yield self.before + made_up + self.after
