"""Storyboards as JSON lines, validated as untrusted input.

The first line is a header; each other line is a storyboard::

    {"format": "negah-storyboards", "version": 1}
    {"name": "vid1", "split": "train", "captions": ["a squirrel eats"],
     "photos": [["coco/images/1.jpg", 0.52]],
     "words": [{"stem": "squirrel", "share": 0.9, "classes": [335], "borne_out": [0]}]}
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from negah.data.rows import parse_json
from negah.data.storyboards.boards import MatchedPhoto, Storyboard, StoryboardWord
from negah.data.storyboards.lexicon import CLASSES
from negah.errors import DataError
from negah.files import write_text
from negah.json_layout import to_json
from negah.textfiles import lines, read_utf8

#: Maximum length of a path component in characters, as in file systems.
_LONGEST = 255
_HEADER = {"format": "negah-storyboards", "version": 1}


@dataclass(frozen=True, slots=True)
class StoredBoards:
    """The content of a storyboard file.

    Attributes:
        boards: with photos by index in :attr:`photos`.
        photos: paths below the folder of the photos, with ``/``.
    """

    boards: tuple[Storyboard, ...]
    photos: tuple[str, ...]


def write_storyboards(path: Path, boards: Sequence[Storyboard], photos: Sequence[str]) -> None:
    """Write storyboards atomically.

    Args:
        path: of the file.
        boards: with photos by index in ``photos``.
        photos: paths below the folder of the photos, with ``/``.
    """
    records = (_HEADER, *(_record(board, photos) for board in boards))
    write_text(path, "".join(f"{to_json(record)}\n" for record in records))


def read_storyboards(path: Path) -> StoredBoards:
    """Read a file of storyboards.

    Raises:
        DataError: it cannot be read, or is not of this format.
    """
    first, *boards_found = lines(read_utf8(path).rstrip("\r\n"))
    if not first.startswith("{") or parse_json(first, f"{path}, line 1") != _HEADER:
        raise DataError(
            f"{path} is not a storyboard file: its first line is not {json.dumps(_HEADER)}. "
            "Make one with: negah data storyboards"
        )
    numbers: dict[str, int] = {}
    boards: dict[str, Storyboard] = {}
    for number, line in enumerate(boards_found, start=2):
        where = f"{path}, line {number}"
        try:
            board = _board(parse_json(line, where), numbers)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DataError(f"{where}: no storyboard ({error})") from None
        if board.name in boards:
            raise DataError(f"{where}: repeats the storyboard {board.name!r}")
        boards[board.name] = board
    if not boards:
        raise DataError(f"{path}: no storyboards")
    return StoredBoards(tuple(boards.values()), tuple(numbers))


def _record(board: Storyboard, photos: Sequence[str]) -> dict[str, Any]:
    return {
        "name": board.name,
        "split": board.split,
        "captions": list(board.captions),
        "photos": [[photos[shown.photo], round(shown.fit, 4)] for shown in board.photos],
        "words": [
            {
                "stem": word.stem,
                "share": round(word.share, 4),
                "classes": list(word.classes),
                "borne_out": list(word.borne_out),
            }
            for word in board.words
        ],
    }


def _board(record: dict[str, Any], numbers: dict[str, int]) -> Storyboard:
    captions = tuple(_text(caption, "a caption") for caption in _list(record["captions"]))
    photos = tuple(
        MatchedPhoto(numbers.setdefault(_name(name), len(numbers)), _share(fit, "fit"))
        for name, fit in map(_list, _list(record["photos"]))
    )
    if record["split"] not in ("train", "dev"):
        raise ValueError(f"split is train or dev, not {record['split']!r}")
    if not captions or not photos:
        raise ValueError("a storyboard has captions and photos")
    words = tuple(
        StoryboardWord(
            _text(word["stem"], "a stem"),
            _share(word["share"], "share"),
            tuple(_below(at, CLASSES, "class") for at in _list(word["classes"])),
            tuple(_below(at, len(photos), "photo") for at in _list(word["borne_out"])),
        )
        for word in _list(record["words"])
    )
    if not all(word.classes for word in words):
        raise ValueError("a word has classes")
    return Storyboard(_text(record["name"], "a name"), record["split"], captions, photos, words)


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError(f"expected a list, not {value!r}")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"{what} is text, not {value!r}")
    if not value.isprintable():  # control characters and lone surrogates
        raise ValueError(f"{what} has a character that cannot be shown: {value!r}")
    return value


def _name(value: Any) -> str:
    path = PurePosixPath(_text(value, "a photo"))
    windows = PureWindowsPath(value)
    outside = path.is_absolute() or windows.drive or windows.root or ".." in windows.parts
    if outside or "\\" in value or max(map(len, path.parts), default=0) > _LONGEST:
        raise ValueError(f"photo {value[:80]!r} is outside the folder of the photos")
    return path.as_posix()


def _share(value: Any, what: str) -> float:
    # rounding may have raised a cosine of 1 slightly
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1.001:
        raise ValueError(f"{what} is a number from 0 to 1, not {value!r}")
    return float(value)


def _below(value: Any, count: int, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < count:
        raise ValueError(f"{what} {value!r} is not from 0 to {count - 1}")
    return value
