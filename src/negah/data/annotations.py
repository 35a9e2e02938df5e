"""Two JSON layouts of caption annotations: Karpathy's splits, and COCO's own files.

Karpathy's ``dataset_*.json`` (Karpathy and Fei-Fei, CVPR 2015) holds ``images`` with
``sentences`` and a ``split``. COCO's ``captions_*.json`` (Chen et al., 2015) holds
``images`` and ``annotations`` apart; its part is in the file's name.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from negah.data.examples import Problem, split_name
from negah.data.flickr import image_folders
from negah.data.records import Reading, Record, RecordTable
from negah.data.rows import id_text
from negah.errors import DataError

_COCO_NAME = re.compile(r"captions_(train|val)\d{4}\.json")


def read_karpathy(path: Path, content: dict[str, Any]) -> Reading:
    """Read a parsed ``dataset_*.json``; ``restval`` is train, ``val`` is dev.

    A picture is looked for under ``filepath/filename`` (COCO), then ``filename``.

    Raises:
        DataError: an entry lacks a key, has an unknown part, or names a picture again.
    """
    records: dict[str, Record] = {}
    for index, image in enumerate(content["images"]):
        where = f"{path}, images[{index}]"
        file_name = text_of(image, "filename", where)
        folder = image.get("filepath", "")
        name = f"{folder}/{file_name}" if isinstance(folder, str) and folder else file_name
        split = split_name(text_of(image, "split", where))
        if split is None:
            raise DataError(
                f"{where}: unknown split {image['split']!r}. Allowed: train, restval, val, test."
            )
        if name in records:
            raise DataError(f"{where}: image {name!r} is listed twice.")
        sentences = _list(image, "sentences", where)
        # an empty list is an empty caption: left out, and counted
        captions = [text_of(one, "raw", f"{where}.sentences") for one in sentences] or [""]
        records[name] = Record(tuple(dict.fromkeys((name, file_name))), captions, split)
    rows = sum(len(record.captions) for record in records.values())
    return Reading(list(records.values()), image_folders(path.parent), rows=rows)


def read_coco(path: Path, content: dict[str, Any]) -> Reading:
    """Read a parsed ``captions_*.json``.

    ``captions_train2014.json`` and the like are train, ``captions_val2014.json`` and the
    like dev; under any other name the part is left open.

    Raises:
        DataError: an entry lacks a key or names a picture again.
    """
    match = _COCO_NAME.fullmatch(path.name)
    split = split_name(match[1]) if match else None
    names: dict[str, str] = {}
    table = RecordTable(path)
    for index, image in enumerate(content["images"]):
        where = f"{path}, images[{index}]"
        name = text_of(image, "file_name", where)
        identifier = _identifier(image, "id", where)
        if identifier in names:
            raise DataError(f"{where}: image id {identifier} is listed twice.")
        names[identifier] = name
        table.add(name, [], split, f"images[{index}]")
    problems: list[Problem] = []
    annotations = _list(content, "annotations", str(path))
    for index, annotation in enumerate(annotations):
        where = f"{path}, annotations[{index}]"
        identifier = _identifier(annotation, "image_id", where)
        caption = text_of(annotation, "caption", where)
        if identifier in names:
            table.add(names[identifier], [caption], split, f"annotations[{index}]")
        else:
            problems.append(
                Problem("unknown name", identifier, f"annotations[{index}] has no image")
            )
    return Reading(table.records(), _coco_folders(path), problems, len(annotations))


def _coco_folders(path: Path) -> list[Path]:
    """COCO's archives unpack into ``annotations/`` and ``train2014/`` side by side."""
    part = path.stem.removeprefix("captions_")
    roots = (path.parent, path.parent.parent)
    named = [root / sub / part for root in roots for sub in ("", "images")]
    return [*named, *image_folders(path.parent)]


def text_of(entry: Any, key: str, where: str) -> str:
    """A text that an entry of a JSON file must have.

    Raises:
        DataError: it has not. ``where`` leads the message.
    """
    if not isinstance(entry, dict):
        raise DataError(f"{where}: must be an object (given: {entry!r:.80}).")
    value = entry.get(key)
    if not isinstance(value, str):
        found = ", ".join(map(repr, list(entry)[:20]))
        raise DataError(f"{where}: needs the text {key!r} (found: {found}).")
    return value


def _identifier(entry: Any, key: str, where: str) -> str:
    found = id_text(entry.get(key)) if isinstance(entry, dict) else None
    if found is None:
        raise DataError(f"{where}: needs the number {key!r} (given: {entry!r:.80}).")
    return found


def _list(entry: Any, key: str, where: str) -> list[Any]:
    value = entry.get(key) if isinstance(entry, dict) else None
    if not isinstance(value, list):
        raise DataError(f"{where}: {key!r} must be a list.")
    return value
