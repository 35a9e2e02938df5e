"""``--max-pixels``: the size limit of decoded pictures."""

from __future__ import annotations

import re
from typing import Annotated

import typer

from negah.media.images import MAX_PIXELS

_NUMBER = re.compile(r"([0-9][0-9_,]*)([Mm]?)")


def _pixels(value: str | int) -> int:
    """``200000000`` or ``200M``."""
    found = _NUMBER.fullmatch(str(value))
    number = int(re.sub("[_,]", "", found[1])) if found else 0
    if found is None or number < 1:
        raise typer.BadParameter(
            f"{value!r} is not a number of pixels; write 200000000, or 200M for 200 million"
        )
    return number * 1_000_000 if found[2] else number


MaxPixels = Annotated[
    int,
    typer.Option(
        parser=_pixels,
        metavar="N",
        help="Refuse pictures of more pixels than this, such as 500M for 500 million.",
        show_default=f"{MAX_PIXELS // 1_000_000}M",
    ),
]
