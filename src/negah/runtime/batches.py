"""Captioning of many files: files are opened in some threads and batches captioned in others.

Each batch uses one thread, with as many batches in parallel as there are cores: the words of a
batch are computed sequentially, each from small products that gain nothing from two cores. ONNX
Runtime and Pillow release Python's global lock while they work.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, TypeAlias

from PIL import Image

from negah.backends import Backend
from negah.captions import Caption
from negah.decoding import DecodingOptions
from negah.errors import MediaError, NegahError, UsageError
from negah.pipeline import batched, map_ahead
from negah.runtime.isolation import isolate_errors
from negah.runtime.lazy import LazyPhoto
from negah.runtime.options import RuntimeOptions
from negah.runtime.shots import caption_shot, look
from negah.runtime.stages import (
    ClipSpan,
    Photo,
    PreparedPhoto,
    caption_photos,
    is_of_clip,
    of_photos,
    see_photo,
)

if TYPE_CHECKING:
    # FFmpeg is loaded where a clip is read, and not for photos.
    from negah.runtime.clips import Shot

# Clips that are read ahead: one takes as much memory as its frames together.
_CLIPS_AHEAD = 2


@dataclass(frozen=True, slots=True)
class Result:
    """The result for one photo or clip.

    Attributes:
        photo: as it was given.
        caption: its caption; None if it could not be read.
        error: why it could not be read; None if it was read.
        span: of a clip that could be read, from when to when it lasts, in seconds.
        picture: the photo that was captioned, RGB, upright and small, where pictures were asked
            for.
    """

    photo: Photo | ClipSpan
    caption: Caption | None
    error: MediaError | None
    span: tuple[float, float] | None = None
    picture: Image.Image | None = None


@dataclass(frozen=True, slots=True)
class Batching:
    """How a set of photos or clips is captioned.

    Attributes:
        backends: that caption together.
        decoding: how words are searched.
        options: of the captioner.
        batch_size: photos that are captioned together; a clip is a batch of its own.
        clips: whether it is clips.
        frames: of a clip; None for as many as each model is made for.
        pictures: whether results have the photos' pictures.
    """

    backends: tuple[Backend, ...]
    decoding: DecodingOptions
    options: RuntimeOptions
    batch_size: int
    clips: bool = False
    frames: int | None = None
    pictures: bool = False


def caption_in_batches(
    given: Iterable[Photo | ClipSpan],
    work_on: Callable[[bool], Batching],
    places: Iterable[int] | None = None,
) -> Generator[list[Result], None, None]:
    """The results of batches, in the order of their photos; a clip is a batch of its own.

    Args:
        given: may be endless. As many batches are captioned ahead as there are threads, and two
            more are opened.
        work_on: how clips (True) or photos (False) are captioned.
        places: as of :meth:`~negah.runtime.Captioner.caption_many`.
    """
    # unreadable files have a place, too
    numbers = itertools.count() if places is None else iter(places)
    for clips, run in itertools.groupby(given, key=is_of_clip):
        work = work_on(clips)
        # the frames of one clip are shared among the cores already
        threads = 1 if clips else work.options.cores
        # closed when a file fails, too: its error would keep the threads waiting
        with (
            closing(
                map_ahead(
                    opener(work),
                    run,
                    threads=work.options.reading_threads,
                    ahead=_CLIPS_AHEAD if clips else 2 * work.batch_size,
                )
            ) as opened,
            closing(
                map_ahead(
                    lambda batch, work=work: caption_opened(batch, work),  # type: ignore[misc]
                    batched(zip(opened, numbers, strict=False), 1 if clips else work.batch_size),
                    threads=threads,
                    ahead=threads,
                )
            ) as captioned,
        ):
            yield from captioned


def in_order(batches: Generator[list[Result], None, None], *, raising: bool) -> Iterator[Result]:
    """The results of batches one by one; ``raising``: the first error ends them."""
    # its threads would go on for as long as somebody keeps the error
    with closing(batches):
        for result in itertools.chain.from_iterable(batches):
            if result.error is not None and raising:
                raise result.error
            yield result


_OpenMedia: TypeAlias = "Callable[[Any], tuple[Any, Any]]"


def opener(work: Batching) -> _OpenMedia:
    """A function that opens a photo or clip: it returns the input, and its pictures or the error.

    Raises:
        UsageError: photos are to be captioned, and no model sees them.
    """
    return _open_clips(work) if work.clips else _open_photos(work)


def caption_opened(batch: Sequence[_Numbered], work: Batching) -> list[Result]:
    """The results of what was opened.

    Args:
        batch: of each photo what the :func:`opener` gave, and the number that seeds its samples;
            of clips, one.
        work: how they are captioned.

    Raises:
        NegahError: of a model that asks a service or reads files, these failed.
    """
    try:
        return _caption_clip(batch, work) if work.clips else _caption_photos(batch, work)
    except OSError as error:
        # else whoever writes the captions would take it for an error of the output
        names = ", ".join(backend.identity.name for backend in work.backends)
        raise NegahError(f"the model {names} failed: {error}") from error


def _open_photos(work: Batching) -> _OpenMedia:
    backends = of_photos(work.backends)

    def prepare(photo: Any) -> tuple[Any, PreparedPhoto | MediaError]:
        try:
            return photo, see_photo(
                photo,
                backends,
                max_pixels=work.options.max_pixels,
                keep_picture=work.pictures,
            )
        except MediaError as error:
            return photo, error

    return prepare


def _open_clips(work: Batching) -> _OpenMedia:
    from negah.runtime.clips import read_shot

    looks = [look(backend, work.frames) for backend in work.backends]

    def prepare(clip: Any) -> tuple[Any, Shot | MediaError]:
        part = clip if isinstance(clip, ClipSpan) else None
        video, span = (clip, None) if part is None else (part.path, part.span)
        try:
            return clip, read_shot(video, looks, span, max_pixels=work.options.max_pixels)
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


def _caption_photos(batch: Sequence[_Numbered], work: Batching) -> list[Result]:
    results = [
        Result(photo, None, seen if isinstance(seen, MediaError) else None)
        for (photo, seen), _ in batch
    ]
    readable = [at for at, one in enumerate(results) if one.error is None]

    def caption(some: Sequence[int]) -> list[Caption]:
        photos, ids = [batch[at][0][1] for at in some], [batch[at][1] for at in some]
        return caption_photos(photos, of_photos(work.backends), work.decoding, ids)

    for some, captions in isolate_errors(readable, caption) if readable else ():
        if isinstance(captions, MediaError):
            (at,) = some
            results[at] = replace(results[at], error=_named(captions, results[at].photo))
            continue
        for at, one in zip(some, captions, strict=True):
            photo, seen = batch[at][0]
            results[at] = Result(photo, one, None, picture=seen.picture)
    return results


def _named(error: MediaError, photo: Any) -> MediaError:
    """An error of a model, which sees pictures without their names, with the name of the file."""
    if isinstance(photo, ClipSpan):
        photo = photo.path
    if isinstance(photo, str | os.PathLike):
        return MediaError(os.fspath(photo), error.reason)
    return MediaError(photo.name, error.reason) if isinstance(photo, LazyPhoto) else error


def _caption_clip(batch: Sequence[_Numbered], work: Batching) -> list[Result]:
    (((clip, shot), place),) = batch
    if isinstance(shot, MediaError):
        return [Result(clip, None, shot)]
    try:
        caption = caption_shot(shot, work.backends, work.decoding, place, work.options.cores)
    except MediaError as error:  # of the model
        return [Result(clip, None, _named(error, clip))]
    return [Result(clip, caption, None, (shot.start, shot.end))]
