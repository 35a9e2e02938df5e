"""Partial decoding of damaged pictures: without metadata, or with a missing end.

A damaged picture is read twice. What the file does not hold, its missing end and the memory that
no decoder writes to, is filled in two ways, and pixels that come out different were not in the
file. That holds for every kind, and needs no switch of the whole process such as Pillow's
``LOAD_TRUNCATED_IMAGES``, which does not tell either how much of a picture it made up.

Axes: H rows, W columns, C colours, B blocks of columns.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import reduce
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ImageFile import ImageFile

from negah.arrays import BoolArray
from negah.errors import MediaError
from negah.media.kinds import PictureFormat
from negah.media.repair import repaired

#: A picture of which fewer rows than this share can be read is refused.
LEAST_SHARE = 0.1

#: Interlacing leaves gaps of up to this many pixels, or rows, between those that came first.
_GAP = 8

#: Approximate number of pixels compared at once.
_BAND = 1 << 20


@dataclass(frozen=True, slots=True)
class Salvaged:
    """A picture with everything that could be read.

    Attributes:
        image: as its reader gave it.
        read_HW: which of its pixels were in the file; None for all of them.
        coarse: whether all rows are there, but not all detail.
        info: where the orientation may stand.
    """

    image: ImageFile
    read_HW: BoolArray | None
    coarse: bool
    info: dict[Any, Any]


def salvage(
    kind: PictureFormat,
    content: bytes,
    prepare: Callable[[ImageFile], None],
    decoded: ImageFile | None = None,
) -> Salvaged:
    """Read the available part of a picture.

    Args:
        kind: of the picture.
        content: the whole file.
        prepare: called with the picture before it is decoded; what it raises ends the work.
        decoded: the picture, where its reader took no exception to the file.

    Raises:
        Exception: whatever the reader raises where nothing can be decoded.
    """
    repair = repaired(kind.name, content)
    if decoded is not None and repair.complete:
        return Salvaged(decoded, None, False, decoded.info)

    def with_orientation(image: ImageFile) -> None:
        image.info.update(repair.info)
        prepare(image)

    contents = repair.contents()
    found: list[ImageFile] = []
    if decoded is not None:
        next(contents)
        found.append(decoded)
    first, second = _two(kind, contents, with_orientation, found)
    read_HW = _equal(first, second)
    found.clear()
    del second  # it may be large
    if repair.missing:
        # What was made up is decoded from the top down, and ends in the same grey at last.
        read_HW[np.argmin(read_HW.all(axis=1)) :] &= read_HW.all()
    info = first.info
    if read_HW.all():
        return Salvaged(first, None, not repair.detailed, info)
    if repair.whole:
        return Salvaged(first, None, True, info)
    if repair.instead is not None:
        return salvage(kind, repair.instead, prepare)
    return Salvaged(first, read_HW, False, info)


def keep_read_rows(rgb: Image.Image, read_HW: BoolArray) -> tuple[Image.Image, float]:
    """The part of a picture from the first row that was read to the last.

    Pixels and rows that interlacing left out between two that were read take the colour of the
    one before; what lacks at the top or the bottom is cut off, for nothing is known of it.

    Returns:
        the part, and the share of the rows that were read.
    """
    rows = _longest_run(_whole_rows(read_HW))
    share = rows.size / rgb.height
    if share < LEAST_SHARE:
        return rgb, share
    top, end = int(rows[0]), int(rows[-1]) + 1
    kept = rgb if end - top == rgb.height else _part(rgb, slice(top, end))
    _fill_gaps(kept, read_HW[top:end], rows - top)
    return kept, share


def _fill_gaps(rgb: Image.Image, read_HW: BoolArray, rows: npt.NDArray[np.intp]) -> None:
    """Give what interlacing left out the colour of what was read before it; ``rows`` were read."""
    are_read = np.zeros(len(read_HW), dtype=bool)
    are_read[rows] = True
    last: npt.NDArray[np.uint8] | None = None  # the last row that was read
    for band in _bands(*read_HW.shape):
        if read_HW[band].all():
            last = np.asarray(_part(rgb, slice(band.stop - 1, band.stop)))[0]
            continue
        pixels_HWC = np.array(_part(rgb, band))
        for row in np.flatnonzero(are_read[band]):
            kept_W = read_HW[band][row]
            if not kept_W.all():
                pixels_HWC[row] = pixels_HWC[row, _last_before(kept_W)]
        before = _last_before(are_read[band])
        filled_HWC = pixels_HWC[before]
        ahead = ~are_read[band.start + before]
        if last is not None:
            filled_HWC[ahead] = last
        last = filled_HWC[-1]
        rgb.paste(Image.fromarray(filled_HWC), (0, band.start))


def _two(
    kind: PictureFormat,
    contents: Iterable[bytes],
    prepare: Callable[[ImageFile], None],
    found: list[ImageFile],
) -> tuple[ImageFile, ImageFile]:
    """Two pictures that are the same where the file says what they are; the first may be there."""
    failure: Exception | None = None
    for given in contents:
        try:
            found.append(_decode_on(kind, given, len(found), prepare))
        except (MediaError, MemoryError):
            raise
        except Exception as error:
            failure = failure or error
        if len(found) == 2:
            return found[0], found[1]
    assert failure is not None
    raise failure


def _decode_on(
    kind: PictureFormat, content: bytes, filling: int, prepare: Callable[[ImageFile], None]
) -> ImageFile:
    """One of the two pictures, on black or on white."""
    image = kind.reader(io.BytesIO(content))
    prepare(image)
    make_room = image.load_prepare

    def fill() -> None:
        make_room()
        ground = 255 if filling else 0
        bands = Image.getmodebands(image.im.mode)
        for tile in image.tile:
            if tile[1] is not None:
                image.im.paste(ground if bands == 1 else (ground,) * bands, tile[1])

    image.load_prepare = fill  # type: ignore[method-assign]
    try:
        image.load()
    except MemoryError:
        raise
    except Exception:
        if getattr(image, "_im", None) is None:
            raise
        # What was decoded before is there. Without tiles nothing more is tried; a picture that
        # would have been turned then has not been.
        image.tile = []
        image._size = image.im.size
    finally:
        del image.load_prepare  # which refers to the picture, and would keep it in memory
    return image


def _bands(height: int, width: int) -> Iterator[slice]:
    """Rows to be looked at together: arrays of a whole picture may take a gigabyte."""
    step = max(1, _BAND // max(1, width))
    for top in range(0, height, step):
        yield slice(top, min(height, top + step))


def _part(image: Image.Image, rows: slice) -> Image.Image:
    """Some rows of a picture; ``crop`` would warn of many, by a limit of the process."""
    part = Image.new(image.mode, (image.width, rows.stop - rows.start))
    part.paste(image, (0, -rows.start))
    return part


def _equal(first: Image.Image, second: Image.Image) -> BoolArray:
    equal_HW = np.zeros((first.height, first.width), dtype=bool)
    if (first.mode, first.size) != (second.mode, second.size):
        return equal_HW
    for band in _bands(*equal_HW.shape):
        equal = np.equal(np.asarray(_part(first, band)), np.asarray(_part(second, band)))
        if equal.all():
            equal_HW[band] = True
        else:
            colours = [equal] if equal.ndim == 2 else np.moveaxis(equal, 2, 0)
            equal_HW[band] = reduce(np.logical_and, colours)  # faster than .all(axis=2)
    return equal_HW


def _whole_rows(read_HW: BoolArray) -> npt.NDArray[np.intp]:
    """The rows in which no gap is wider than interlacing leaves."""
    height, width = read_HW.shape
    starts = np.arange(0, width, _GAP)
    whole_H = np.zeros(height, dtype=bool)
    for band in _bands(height, width):
        blocks_HB = np.logical_or.reduceat(read_HW[band], starts, axis=1)
        whole_H[band] = blocks_HB.all(axis=1)
    return np.flatnonzero(whole_H)


def _longest_run(rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """The most rows of which none is further from the next than interlacing leaves."""
    runs = np.split(rows, np.flatnonzero(np.diff(rows) > _GAP) + 1)
    return max(runs, key=len)


def _last_before(there: BoolArray) -> npt.NDArray[np.intp]:
    """For each place the last one before it, or itself, that is there; else the first."""
    return np.maximum.accumulate(np.where(there, np.arange(len(there)), 0))
