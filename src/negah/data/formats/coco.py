"""COCO's ``captions_*.json`` (Chen et al., 2015), and model results in its layout.

``images`` and ``annotations`` are separate lists; the part is in the file name. Captions for
scoring may lack ``images``.
"""

from __future__ import annotations

import re
from pathlib import Path

from negah.data.examples import split_name
from negah.data.formats.entries import identifier_of
from negah.data.formats.places import image_folders
from negah.data.formats.protocol import Format
from negah.data.formats.source import Source
from negah.data.records import Reading, Record
from negah.data.rows import RowReader
from negah.errors import DataError

LAYOUT = "COCO's layout has images with file_name and annotations with captions."

_NAME = re.compile(r"captions_(train|val)\d{4}\.json")


class Coco(Format):
    """``images`` with ``id`` and ``file_name``, and ``annotations`` with captions by id."""

    files = ("captions_*.json", "annotations/captions_*.json")

    def sniff(self, source: Source) -> bool:
        """By the list ``annotations``."""
        return source.json_has("annotations")

    def read(self, source: Source) -> Reading:
        """Read all annotations.

        ``captions_train2014.json`` and the like are train, ``captions_val2014.json`` and the like
        dev; with any other name the part is left open.

        Raises:
            DataError: an entry lacks a key, or an image is listed twice.
        """
        if not self.sniff(source):
            raise DataError(f"{source.label}: {LAYOUT}")
        match = _NAME.fullmatch(source.path.name)
        split = split_name(match[1]) if match else None
        images = source.json.get("images")
        files: dict[str, tuple[str, ...]] = {}
        records: list[Record] = []
        for index, image in enumerate(images if isinstance(images, list) else ()):
            where = f"images[{index}]"
            identifier = identifier_of(image, "id", f"{source.label}, {where}")
            if identifier in files:
                raise DataError(f"{source.label}, {where}: image id {identifier} is listed twice.")
            file_name = image.get("file_name")
            files[identifier] = (file_name,) if isinstance(file_name, str) else ()
            records.append(Record(identifier, [], files[identifier], split, where=where))
        reader = RowReader(source.label, source.short)
        for record in reader.entries(source.json["annotations"], "annotations[{n}]"):
            names = record.names
            record.name = next((name for name in names if name in files), record.name)
            record.files = files.get(record.name, ())
            record.split = split
            records.append(record)
        return Reading(records, _folders(source), reader.problems, reader.count)


def _folders(source: Source) -> list[Path]:
    """COCO's archives are unpacked into ``annotations/`` and ``train2014/`` side by side."""
    if source.folder is None:
        return []
    part = source.path.stem.removeprefix("captions_")
    folder = source.path.parent
    named = [root / sub / part for root in (folder, folder.parent) for sub in ("", "images")]
    return [*named, *image_folders(folder)]


COCO = Coco()
