"""webdataset: tar files with ``key.jpg`` and ``key.txt`` or ``key.json``.

Layout: https://github.com/webdataset/webdataset. The key is the path up to the first dot of the
file's name. ``key.txt`` is one caption; ``key.json`` may have
``caption``, ``text`` or a list ``captions``, and ``split``, ``start`` and ``end``.
"""

from __future__ import annotations

import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

from negah.data.examples import Example, Problem
from negah.data.formats.protocol import Format
from negah.data.formats.source import Source
from negah.data.formats.tars import Tar, is_plain, is_tar
from negah.data.formats.unpacked import DamagedPicture, PictureBytes, unpack
from negah.data.formats.written import UniqueNames, media_name, plain_row, read_media
from negah.data.names import is_media, is_safe
from negah.data.records import Reading, Record
from negah.data.rows import RowReader, parse_json
from negah.errors import DataError, OutputError
from negah.files import atomic_path
from negah.json_layout import to_json
from negah.textfiles import check_utf8, decode, printable

LAYOUT = (
    "A webdataset is a tar file with a photo or clip (key.jpg, key.png, key.webp, key.mp4, ...) "
    "and its caption (key.txt or key.json) under one key."
)
_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_TEXTS = ("txt", "json")
_SAID = ("captions", "caption", "text")
#: Maximum size of a member with captions.
_MAX_TEXT = 2**20


@dataclass(slots=True)
class _KeyMembers:
    """The members of one key: the name of its photo or clip, and its texts by suffix."""

    key: str
    media: str | None = None
    texts: dict[str, bytes] = field(default_factory=dict)


class WebDataset(Format):
    """Shards: a tar file, several (``data-{000..009}.tar``), or a folder of them."""

    files = tuple(f"{folder}*{suffix}" for folder in ("", "*/") for suffix in _SUFFIXES)
    many = True
    binary = True
    suffixes = (".tar",)

    def sniff(self, source: Source) -> bool:
        """By the suffix, or the header of the first member."""
        return source.path.name.lower().endswith(_SUFFIXES) or is_tar(source.head)

    def read(self, source: Source) -> Reading:
        """Read the captions of all shards; parts come from the JSON or the file names.

        A truncated or damaged shard yields what precedes the damage.

        Raises:
            DataError: they contain no captions.
        """
        reader = RowReader(source.label, source.short, text_column=True)
        records: list[Record] = []
        seen: list[str] = []
        for path in source.paths:
            records += _read_shard(source, path, reader, seen)
        if not records:
            losses = "; ".join(str(problem) for problem in reader.problems[:3])
            found = ", ".join(map(repr, seen)) or "nothing"
            what = losses or f"found: {found:.300}"
            raise DataError(f"{source.label}: it contains no captions ({what}). {LAYOUT}")
        pictures = partial(_pictures, source)
        return Reading(
            records, problems=reader.problems, rows=reader.count,
            unpack=lambda: unpack(source, pictures),
        )  # fmt: skip

    def write(
        self,
        examples: Sequence[Example],
        output: Path,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Write one tar file with ``key.jpg`` and ``key.json`` of each example."""
        keys = UniqueNames()
        try:
            with (
                atomic_path(output, fresh=True) as temporary,
                tarfile.TarFile(temporary, "w", format=tarfile.PAX_FORMAT) as archive,
            ):
                for number, example in enumerate(examples, start=1):
                    name = PurePosixPath(media_name(example))
                    # the key ends at the first dot
                    stem = example.path.stem.replace(".", "_") or str(number)
                    key = keys.of(name.with_name(stem).as_posix())
                    suffix = example.path.suffix.lower()
                    _add(archive, f"{key}{suffix}", read_media(example))
                    _add(archive, f"{key}.json", to_json(plain_row(example)).encode())
                    if progress is not None:
                        progress(number, len(examples))
        except OSError as error:
            raise OutputError(output, error) from error


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size = len(content)
    archive.addfile(member, io.BytesIO(content))


def _read_shard(source: Source, path: Path, reader: RowReader, seen: list[str]) -> Iterator[Record]:
    """The records of one shard; losses are added to the reader's problems."""
    prefix, split = source.prefix_of(path), source.split_of(path)
    shard = path.name if prefix else ""
    tar = Tar(path)
    for sample in _samples(tar, shard, reader, seen):
        where = f"{shard}, {sample.key}" if shard else sample.key
        try:
            record = _record(sample, where, prefix, reader)
        except DataError as error:  # one bad text must not lose the whole shard
            reader.count += 1
            reason = str(error).removeprefix(f"{source.label}, {where}").lstrip(":, ")
            reader.leave_out("malformed line", where, reason)
            continue
        if record is not None:
            record.split = record.split or split
            yield record
    if tar.loss is not None:
        reader.count += 1
        reader.problems.append(Problem("malformed line", path.name, tar.loss))


def _record(sample: _KeyMembers, where: str, prefix: str, reader: RowReader) -> Record | None:
    """The record of a sample; None if it has no caption.

    Raises:
        DataError: a text cannot be read, or is implausible.
    """
    said: dict[str, Any] = {}
    place = f"{reader.source}, {where}"
    if "json" in sample.texts:
        content = parse_json(check_utf8(decode(sample.texts["json"], place), place), place)
        if isinstance(content, dict):
            said = {key: content[key] for key in ("split", "start", "end") if key in content}
            caption = next((content[key] for key in _SAID if content.get(key)), None)
            if caption is not None:
                said["captions"] = caption
    if "captions" not in said and "txt" in sample.texts:
        said["caption"] = check_utf8(decode(sample.texts["txt"], place), place).strip()
    if not {"caption", "captions"} & said.keys():
        if sample.media is not None:
            reader.leave_out(
                "no caption", where, "neither key.txt nor key.json contains a caption", 0
            )
        return None
    name = f"{prefix}{sample.media or sample.key}"
    record = reader.row(where, {"path": name, **said})
    if record is not None and sample.media is None:
        record.files = ()
    return record


def _samples(tar: Tar, shard: str, reader: RowReader, seen: list[str]) -> Iterator[_KeyMembers]:
    """Group members by key; unusable ones are left out and recorded as problems."""
    samples: dict[str, _KeyMembers] = {}
    for member in tar.members():
        if len(seen) < 5:
            seen.append(printable(member.name[:80]))
        key, suffix, name = parts_of(member)
        text = suffix in _TEXTS
        if not key or not (text or is_media(name)):
            continue
        reason = why_not(member, name, text=text)
        if reason is None:
            sample = samples.setdefault(key, _KeyMembers(key))
            if suffix in sample.texts or sample.media == name:
                reason = "a duplicate name"
            elif text:
                try:
                    sample.texts[suffix] = b"".join(tar.read(member))
                except DamagedPicture:
                    continue  # reported when reading continues
            elif sample.media is None:
                sample.media = name
        if reason is not None:
            reader.count += 1
            kind = "malformed line" if is_safe(name) else "unsafe name"
            where = f"{shard}, {printable(name[:80])}" if shard else printable(name[:80])
            reader.leave_out(kind, where, reason)
    yield from samples.values()


def why_not(member: tarfile.TarInfo, name: str, *, text: bool) -> str | None:
    """Why a member is skipped, in a clause; None if it is read."""
    if not is_safe(name):
        return "a path that leads out of the archive"
    if not is_plain(member):
        return "a link, device or sparse file, which are not read"
    if text and member.size > _MAX_TEXT:
        return f"{member.size:,} bytes of text; at most {_MAX_TEXT:,} are read"
    return None


def parts_of(member: tarfile.TarInfo) -> tuple[str, str, str]:
    """Key, suffix and name of a member; the key is empty if it belongs to no sample."""
    if member.isdir():
        return "", "", ""
    path = PurePosixPath(member.name)
    stem, _, suffix = path.name.partition(".")
    name = path.as_posix()
    return (path.with_name(stem).as_posix() if stem else ""), suffix.lower(), name


def _pictures(source: Source) -> Iterator[PictureBytes]:
    """The photos and clips of all shards: the first of each key."""
    for path in source.paths:
        prefix = source.prefix_of(path)
        keys: set[str] = set()
        tar = Tar(path)
        for member in tar.members():
            key, _, name = parts_of(member)
            if not key or key in keys or not is_media(name) or why_not(member, name, text=False):
                continue
            keys.add(key)
            yield f"{prefix}{name}", tar.read(member)


WEBDATASET = WebDataset()
