"""The stages of captioning many: files are opened in threads, batches are captioned in others.

One thread of arithmetic a batch, and as many batches side by side as there are cores: the words
of a batch come one after the other, each from small products that two cores cannot share. ONNX
Runtime and Pillow let go of Python's lock while they work.

Axes: N photos or clips, F frames, R regions, C channels, H rows and W columns of pixels.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypeGuard

import numpy as np

from negah.arrays import FloatArray
from negah.captions import Caption
from negah.decoding import DecodingOptions
from negah.errors import MediaError, UsageError
from negah.media import is_clip
from negah.pipeline import batched, map_ahead
from negah.runtime.options import RuntimeOptions
from negah.runtime.photos import ClipPart, Photo, Seen, see
from negah.runtime.streams import Stream, of_photos, write_captions

if TYPE_CHECKING:
    # FFmpeg is loaded where a clip is read, and not for photos.
    from negah.media.motion import Look
    from negah.runtime.clips import Shot

# Clips that are read ahead: one takes as much memory as its frames together.
_CLIPS_AHEAD = 2


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one photo or clip.

    Attributes:
        photo: as it was given.
        caption: its caption; None if it could not be read.
        error: why not; None if it could.
        span: of a clip that could be read, from when to when it lasts, in seconds.
    """

    photo: Photo | ClipPart
    caption: Caption | None
    error: MediaError | None
    span: tuple[float, float] | None = None


def caption_in_batches(
    given: Iterable[Photo | ClipPart],
    streams: Sequence[Stream],
    options: RuntimeOptions,
    decoding: DecodingOptions,
    size: int,
    looks: Callable[[], Sequence[Look]],
) -> Generator[list[Result], None, None]:
    """The results of batches, in the order of their photos; a clip is a batch of its own.

    Args:
        given: may be endless. As many batches are captioned ahead as there are threads, and two
            more are opened.
        streams: of the captioner.
        options: of the captioner.
        decoding: how words are searched.
        size: photos of a batch.
        looks: tells how each stream looks at a clip; it loads FFmpeg, so only a clip asks.
    """
    # a place counts unreadable files, too: it seeds the samples of its photo
    places = itertools.count()
    for clips, run in itertools.groupby(given, key=is_of_clip):
        prepare = (
            _open_clip(looks(), options.max_pixels)
            if clips
            else _open_photo(streams, options.max_pixels)
        )
        caption = _caption_clip if clips else _caption_photos
        ahead = _CLIPS_AHEAD if clips else 2 * size
        # the frames of one clip are shared among the cores already
        threads = 1 if clips else options.cores
        # closed when a file fails, too: its error would keep the threads waiting
        with (
            closing(map_ahead(prepare, run, threads=options.readers, ahead=ahead)) as opened,
            closing(
                map_ahead(
                    lambda batch, caption=caption: caption(batch, streams, decoding),  # type: ignore[misc]
                    batched(zip(opened, places, strict=False), 1 if clips else size),
                    threads=threads,
                    ahead=threads,
                )
            ) as captioned,
        ):
            yield from captioned


def names_clip(photo: Any) -> TypeGuard[str | os.PathLike[str]]:
    """Whether it is the path of a clip."""
    return isinstance(photo, str | os.PathLike) and is_clip(photo)


def is_of_clip(photo: Any) -> bool:
    """Whether it is a clip or a part of one."""
    return isinstance(photo, ClipPart) or names_clip(photo)


def see_photo(photo: Photo, streams: Sequence[Stream], max_pixels: int) -> tuple[Seen, ...]:
    """The photo as each model that sees photos reads it."""
    return tuple(
        see(photo, one.bundle.config.preprocessing, max_pixels) for one in of_photos(streams)
    )


def photo_features(
    photos: Sequence[tuple[Seen, ...]], streams: Sequence[Stream]
) -> tuple[FloatArray, ...]:
    """Features (N, 1, R, C) of each model that sees photos, of what :func:`see_photo` gave."""
    return tuple(
        stream.encoder.encode(np.stack([one.pixels_3HW for one in seen]))[:, None]
        for stream, seen in zip(of_photos(streams), zip(*photos, strict=True), strict=True)
    )


def with_warnings(caption: Caption, warnings: tuple[str, ...]) -> Caption:
    """The caption of a photo or clip, saying what was wrong with that."""
    return replace(caption, warnings=warnings) if warnings else caption


def caption_shot(
    shot: Shot, streams: Sequence[Stream], decoding: DecodingOptions, place: int
) -> Caption:
    """The caption of one clip, or of a scene of it."""
    features = tuple(
        stream.clip_features(pictures)[None]
        for stream, pictures in zip(streams, shot.seen, strict=True)
    )
    (caption,) = write_captions(streams, features, decoding, [place], shot.times)
    return with_warnings(caption, shot.warnings)


_Open: TypeAlias = "Callable[[Any], tuple[Any, Any]]"


def _open_photo(streams: Sequence[Stream], max_pixels: int) -> _Open:
    def prepare(photo: Any) -> tuple[Any, tuple[Seen, ...] | MediaError]:
        try:
            return photo, see_photo(photo, streams, max_pixels)
        except MediaError as error:
            return photo, error

    return prepare


def _open_clip(looks: Sequence[Look], max_pixels: int) -> _Open:
    from negah.runtime.clips import read_shot

    def prepare(clip: Any) -> tuple[Any, Shot | MediaError]:
        part = clip if isinstance(clip, ClipPart) else None
        video, span = (clip, None) if part is None else (part.path, part.span)
        try:
            return clip, read_shot(video, looks, span, max_pixels=max_pixels)
        except MediaError as error:
            return clip, error
        except UsageError as error:
            if part is None:
                raise
            # of many clips, one that is shorter than its captions say is a bad file
            return clip, MediaError(os.fspath(part.path), str(error))

    return prepare


#: Of one file: what was given and seen of it, and its place among all.
_Numbered: TypeAlias = "tuple[tuple[Any, Any], int]"


def _caption_photos(
    batch: Sequence[_Numbered], streams: Sequence[Stream], decoding: DecodingOptions
) -> list[Result]:
    readable = [(place, seen) for (_, seen), place in batch if not isinstance(seen, MediaError)]
    captions: Iterator[Caption] = iter(())
    if readable:
        ids, photos = zip(*readable, strict=True)
        features = photo_features(photos, streams)
        written = write_captions(of_photos(streams), features, decoding, ids, (0.0,))
        captions = map(with_warnings, written, (seen[0].warnings for seen in photos))
    return [
        Result(photo, None, seen)
        if isinstance(seen, MediaError)
        else Result(photo, next(captions), None)
        for (photo, seen), _ in batch
    ]


def _caption_clip(
    batch: Sequence[_Numbered], streams: Sequence[Stream], decoding: DecodingOptions
) -> list[Result]:
    (((clip, shot), place),) = batch
    if isinstance(shot, MediaError):
        return [Result(clip, None, shot)]
    caption = caption_shot(shot, streams, decoding, place)
    return [Result(clip, caption, None, (shot.start, shot.end))]
