"""The readable report of a data set inspection."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from negah.data.clips import ClipCounts

if TYPE_CHECKING:
    from negah.data.inspection import Inspection, SplitCounts

_SHOWN = 10
_SIZES_SHOWN = 5


def page(found: Inspection) -> list[str]:
    """The lines; long lists are cut to their first ten, with a count."""
    lines = [found.name]
    for split, counts in found.splits.items():
        lines.append(
            f"  {split + ':':<6} {_amount(counts)}, {counts.captions} captions "
            f"({counts.repeated_captions} repeat another)"
        )
        lines.append(f"         captions per {_one(counts)}: {counts.captions_per_image}")
        lines.append(f"         words per caption:  {counts.words_per_caption}")
    if found.division is not None and found.division.text:
        lines.append(f"  {found.division.text}")
    lines.extend(
        f"  captioned, but missing: {lost.files} of {split}, with {lost.captions} captions"
        for split, lost in found.missing.items()
    )
    lines.extend(_vocabulary(found))
    if found.clips is not None:
        lines.extend(_clips(found.clips))
    for kind, messages in found.problems.items():
        lines.extend(_listing(kind, messages))
    if any(counts.images for counts in found.splits.values()) or not found.splits:
        if found.unreadable is None:
            lines.append("  unreadable images: not checked")
        else:
            lines.extend(_listing("unreadable images", found.unreadable))
            lines.extend(_listing("images read only in part", found.partial))
    things = _things(found.splits.values())
    for title, groups in (
        (f"equal {things} within a part", found.duplicates),
        (f"LEAKS, equal {things} in different parts", found.leaks),
    ):
        lines.extend(_listing(title, [" = ".join(group) for group in groups]))
    if "train" not in found.splits:
        one = "clip" if things == "clips" else "image"
        lines.append(f"  nothing to train on: the part train has no {one}")
    elif found.all_unreadable:
        lines.append(f"  nothing to train on: none of the {things} can be read")
    if found.mixed:
        lines.append(
            "  photos and clips: a training sees the middle frame of each clip (clips.frames=1); "
            "to use more of them, make a data set of only the clips"
        )
    return lines


def _amount(counts: SplitCounts) -> str:
    amounts = ((counts.images, "images"), (counts.clips, "clips"))
    return " and ".join(f"{count} {word}" for count, word in amounts if count)


def _one(counts: SplitCounts) -> str:
    return " or ".join(
        word for count, word in ((counts.images, "image"), (counts.clips, "clip")) if count
    )


def _things(parts: Iterable[SplitCounts]) -> str:
    given = list(parts)
    clips = any(counts.clips for counts in given)
    images = any(counts.images for counts in given)
    return "files" if images and clips else "clips" if clips else "images"


def _vocabulary(found: Inspection) -> list[str]:
    lines = ["  vocabulary of the training captions:"] if found.vocabulary else []
    for entry in found.vocabulary:
        dev = "" if entry.unknown_dev is None else f", {entry.unknown_dev:.2%} of dev"
        lines.append(
            f"    at least {entry.min_count:>2} times: {entry.words} words; "
            f"unknown: {entry.unknown_train:.2%} of train{dev}"
        )
    return lines


def _clips(clips: ClipCounts) -> list[str]:
    sizes = [f"{size} ({count})" for size, count in clips.sizes.items()]
    more = [f"{len(sizes) - _SIZES_SHOWN} more"] if len(sizes) > _SIZES_SHOWN else []
    lines = [
        f"  clips: {_duration(clips.total_seconds)} in {clips.files} files; "
        f"{clips.min_seconds:.1f} to {clips.max_seconds:.1f} s each, "
        f"median {clips.median_seconds:.1f} s",
    ]
    if sizes:
        lines.append(f"         frames: {', '.join([*sizes[:_SIZES_SHOWN], *more])} pixels")
    return [*lines, *_listing("unreadable clips", clips.unreadable)]


def _duration(seconds: float) -> str:
    """``1 h 2 min 3 s``."""
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min {rest} s" if hours else f"{minutes} min {rest} s"


def _listing(title: str, lines: Sequence[str]) -> list[str]:
    if not lines:
        return [f"  {title}: none"]
    shown = [f"    {line}" for line in lines[:_SHOWN]]
    more = [f"    ... and {len(lines) - _SHOWN} more"] if len(lines) > _SHOWN else []
    return [f"  {title}: {len(lines)}", *shown, *more]
