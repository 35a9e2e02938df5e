"""Karpathy's ``dataset_*.json`` (Karpathy and Fei-Fei, CVPR 2015).

It holds ``images``, each with ``sentences`` and a ``split``.
"""

from __future__ import annotations

from negah.data.examples import split_name
from negah.data.formats.entries import list_of, text_of
from negah.data.formats.places import image_folders
from negah.data.formats.protocol import Format
from negah.data.formats.source import Source
from negah.data.records import Reading, Record
from negah.errors import DataError

LAYOUT = "Karpathy's layout has images, each with filename, sentences and split."


class Karpathy(Format):
    """``images`` with ``filename``, ``sentences`` and ``split``."""

    files = ("dataset_*.json",)

    def sniff(self, source: Source) -> bool:
        """By the sentences of the first image."""
        if not source.json_has("images") or "annotations" in source.json:
            return False
        images = source.json["images"]
        return bool(images) and isinstance(images[0], dict) and "sentences" in images[0]

    def read(self, source: Source) -> Reading:
        """Read all images; ``restval`` is train, ``val`` is dev.

        Pictures are looked up as ``filepath/filename`` (COCO), then ``filename``.

        Raises:
            DataError: an entry lacks a key, has an unknown part, or names a picture again.
        """
        if not self.sniff(source):
            raise DataError(f"{source.label}: {LAYOUT}")
        records: dict[str, Record] = {}
        for index, image in enumerate(source.json["images"]):
            where = f"images[{index}]"
            place = f"{source.label}, {where}"
            file_name = text_of(image, "filename", place)
            folder = image.get("filepath", "")
            name = f"{folder}/{file_name}" if isinstance(folder, str) and folder else file_name
            split = split_name(text_of(image, "split", place))
            if split is None:
                raise DataError(
                    f"{place}: unknown split {image['split']!r}. "
                    "Allowed: train, restval, val, test."
                )
            if name in records:
                raise DataError(f"{place}: image {name!r} is listed twice.")
            sentences = list_of(image, "sentences", place)
            # an empty list counts as an empty caption, which is left out
            captions = [text_of(one, "raw", f"{place}.sentences") for one in sentences] or [""]
            files = tuple(dict.fromkeys((name, file_name)))
            records[name] = Record(name, captions, files, split, where=where)
        rows = sum(len(record.captions) for record in records.values())
        return Reading(list(records.values()), image_folders(source.folder), rows=rows)


KARPATHY = Karpathy()
