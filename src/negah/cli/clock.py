"""Formats of times in a clip."""

from __future__ import annotations

#: Start and end in seconds.
TimeRange = tuple[float, float]


def clock(seconds: float) -> str:
    """``0:03.2``, and ``1:02:03.4`` from an hour on."""
    tenths = round(seconds * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    shown = f"{minutes:02}" if hours else f"{minutes}"
    return f"{f'{hours}:' if hours else ''}{shown}:{rest // 10:02}.{rest % 10}"


def timestamp(milliseconds: int, separator: str) -> str:
    """``00:00:03.200``, as WebVTT (separator ``.``) and SubRip (``,``) have it."""
    seconds, thousandths = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02}:{minutes:02}:{seconds:02}{separator}{thousandths:03}"
