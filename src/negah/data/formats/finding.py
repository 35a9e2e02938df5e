"""Finding the files that a path refers to, and their format, for all commands."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path, PurePath

from negah.data.formats.protocol import Format
from negah.data.formats.source import Source, expand_braces
from negah.errors import DataError, UsageError
from negah.registry import Registry

_log = logging.getLogger(__name__)

#: Formats of other packages that cannot be imported and were warned about.
reported: set[str] = set()

_HERE = "negah.data.formats"
_OWN = {
    "flickr8k": f"{_HERE}.flickr8k:FLICKR8K",
    "table": f"{_HERE}.table:TABLE",
    "karpathy": f"{_HERE}.karpathy:KARPATHY",
    "coco": f"{_HERE}.coco:COCO",
    "msrvtt": f"{_HERE}.msrvtt:MSRVTT",
    "msvd": f"{_HERE}.msvd:MSVD",
    "imagefolder": f"{_HERE}.imagefolder:IMAGEFOLDER",
    "webdataset": f"{_HERE}.webdataset:WEBDATASET",
    "parquet": f"{_HERE}.parquet:PARQUET",
    "lines": f"{_HERE}.lines:LINES",
}

#: All formats by name; files of a folder are searched for in this order.
FORMATS: Registry[Format] = Registry("data format", "negah.formats", _OWN)


def own_files(*, beside: bool = False) -> tuple[str, ...]:
    """Patterns of the files that the formats of this package read in a folder.

    Args:
        beside: patterns of files that are read in addition to a named file instead.
    """
    formats = [FORMATS.get(name) for name in _OWN]
    found = (one for form in formats for one in (form.beside if beside else form.files))
    return tuple(dict.fromkeys(found))


def locate(given: Path) -> Source:
    """The file or shards that a path refers to: a file, a folder, or ``data-{000..009}.tar``.

    Raises:
        DataError: the path does not exist, the folder has no caption file or several data sets, or
            a shard is missing.
        UsageError: the range in braces is invalid.
    """
    if given.is_dir():
        return _in_folder(given)
    paths = expand_braces(given)
    for path in paths:
        if not path.is_file():
            raise DataError(f"{path}: no such file or folder.")
    return Source(paths)


def identify(source: Source, *, by_line: bool) -> Format | None:
    """The format that recognises a file or shards; None if none does.

    Args:
        source: what to look at.
        by_line: whether formats that name no files are tried as well.

    Raises:
        DataError: the file cannot be read, or is JSON that cannot be parsed.
    """
    usable = [form for _, form in importable() if by_line or not form.by_line]
    for form in sorted(usable, key=lambda form: form.last):
        if form.binary in (None, source.is_binary) and form.sniff(source):
            return _checked(form, source)
    return None


def format_named(name: str, source: Source) -> Format:
    """The format of a given name, for a file or shards.

    Raises:
        UnknownNameError: there is none.
        DataError: several files are given, but the format reads only one.
    """
    return _checked(FORMATS.get(name), source)


def _checked(form: Format, source: Source) -> Format:
    if len(source.paths) > 1 and not form.many:
        names = ", ".join(path.name for path in source.paths[:10])
        raise DataError(f"{source.label}: several files are given: {names}. Name the one to read.")
    return form


def importable() -> Iterator[tuple[str, Format]]:
    """All formats with their names, except those of other packages that cannot be imported.

    A warning about these is logged once.
    """
    for name in FORMATS:
        try:
            form = FORMATS.get(name)
        except UsageError as error:
            if name in _OWN:
                raise
            if name not in reported:
                reported.add(name)
                _log.warning("%s", error)
        else:
            yield name, form


def _in_folder(folder: Path) -> Source:
    patterns = [(one, form) for _, form in importable() for one in form.files]
    patterns.sort(key=lambda one: "*" in one[0])  # plain names first
    for pattern, form in patterns:
        found = sorted(
            path
            for path in folder.glob(pattern)
            if path.is_file() and not _is_hidden(path.relative_to(folder))
        )
        if len(found) > 1 and not form.many:
            names = ", ".join(path.name for path in found[:10])
            raise DataError(f"{folder}: holds several data sets: {names}. Name the one to read.")
        if found:
            return Source(found, root=folder if form.many else None)
    wanted = ", ".join(pattern for pattern, _ in patterns)
    raise DataError(f"{folder}: no caption file in this folder. Looked for: {wanted}.")


def _is_hidden(below: PurePath) -> bool:
    """Whether a name begins with a dot, as ``._train-0.tar``, which macOS writes beside a file."""
    return any(part.startswith(".") for part in below.parts)
