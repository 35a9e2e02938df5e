"""Output formats for the captions of a shard: JSON lines, Parquet, or a tar with the photos.

A sink writes the file of one shard to a temporary path; the folder moves it into place. The same
rows must give the same bytes on every machine, without times or data of the process. Other packages
add sinks with entry points of the group ``negah.sinks``.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import IO, Any, Protocol

from negah.data.formats.unpacked import DamagedPicture
from negah.data.formats.webdataset import parts_of, why_not
from negah.data.formats.written import UniqueNames
from negah.data.names import is_media, is_safe
from negah.errors import DataError, MediaError, MissingExtraError
from negah.jobs.inputs import Shard
from negah.jobs.reading import open_tar, read_shard
from negah.json_layout import to_json
from negah.registry import Registry

#: What is known of one captioned photo or clip: ``path`` (in its shard, or as it was named), of a
#: Parquet file ``row`` from 0, of a clip ``start`` and ``end``, then what
#: :meth:`Caption.to_dict <negah.captions.Caption.to_dict>` gives.
Row = Mapping[str, Any]

_GROUP = 1000
_CHUNK = 2**20


class ShardWriter(Protocol):
    """Writes the rows of one shard."""

    def write(self, row: Row) -> None:
        """Write the row of the next photo."""


class Sink(Protocol):
    """An output format for the captions of a shard.

    Attributes:
        suffix: of its files, with the dot.
        evidence: whether the format can contain the words and their evidence.
    """

    @property
    def suffix(self) -> str:
        """See above."""
        ...

    @property
    def evidence(self) -> bool:
        """See above."""
        ...

    def open(self, shard: Shard, path: Path) -> AbstractContextManager[ShardWriter]:
        """A writer for one shard; the file is complete if the block succeeds.

        Args:
            shard: that is captioned; it may be read again.
            path: of an empty file to write to.

        Raises:
            OSError: it cannot be written.
            DataError: the shard changed while it was captioned.
            MissingExtraError: a package for this format is not installed.
        """
        ...


SINKS: Registry[Sink] = Registry(
    "shard format",
    "negah.sinks",
    {
        "jsonl": "negah.jobs.sinks:JSON_LINES",
        "parquet": "negah.jobs.sinks:PARQUET",
        "tar": "negah.jobs.sinks:TAR",
    },
)


class JsonLines:
    """One object per line."""

    suffix = ".jsonl"
    evidence = True

    @contextmanager
    def open(self, shard: Shard, path: Path) -> Iterator[ShardWriter]:
        """See :meth:`Sink.open`."""
        temporary = path
        with temporary.open("w", encoding="utf-8", newline="\n") as file:
            yield _LineWriter(file)


@dataclass(frozen=True, slots=True)
class _LineWriter:
    file: IO[str]

    def write(self, row: Row) -> None:
        """See :meth:`ShardWriter.write`."""
        self.file.write(to_json(row) + "\n")


class ParquetFile:
    """One row per caption: path, row, start, end, caption, score, logprob, confidence, and lists.

    ``alternatives`` are further captions, best first; ``warnings`` as in JSON. Missing values are
    null.
    """

    suffix = ".parquet"
    evidence = False

    @contextmanager
    def open(self, shard: Shard, path: Path) -> Iterator[ShardWriter]:
        """See :meth:`Sink.open`."""
        try:
            import pyarrow
            import pyarrow.parquet
        except ImportError:
            raise MissingExtraError("pyarrow", "writing Parquet", extra="parquet") from None
        text, number = pyarrow.string(), pyarrow.float64()
        schema = pyarrow.schema(
            [
                ("path", text),
                ("row", pyarrow.int64()),
                *((name, number) for name in ("start", "end")),
                ("caption", text),
                *((name, number) for name in ("score", "logprob", "confidence")),
                *((name, pyarrow.list_(text)) for name in ("alternatives", "warnings")),
            ]
        )
        with pyarrow.parquet.ParquetWriter(path, schema) as writer:
            rows = _TableWriter(
                lambda group: writer.write_table(pyarrow.Table.from_pylist(group, schema))
            )
            yield rows
            rows.flush()


class _TableWriter:
    def __init__(self, write_group: Any) -> None:
        self._write_group = write_group
        self._group: list[dict[str, Any]] = []

    def write(self, row: Row) -> None:
        """See :meth:`ShardWriter.write`."""
        others = [other["caption"] for other in row.get("alternatives", ())]
        # bytes of names that are no text as they stand in JSON
        name = row["path"].encode("utf-8", "backslashreplace").decode()
        self._group.append({**row, "path": name, "alternatives": others})
        if len(self._group) >= _GROUP:
            self.flush()

    def flush(self) -> None:
        """Write the buffered rows."""
        if self._group:
            self._write_group(self._group)
            self._group = []


class TarFile:
    """A webdataset: each captioned photo with ``key.txt``, its caption, and ``key.json``, its row.

    Other members of a photo in an input tar are kept; its ``key.txt`` and ``key.json`` are stored
    under ``original`` in the new ``key.json``. Photos are read a second time, so that they need not
    be held in memory while they are captioned.
    """

    suffix = ".tar"
    evidence = True

    @contextmanager
    def open(self, shard: Shard, path: Path) -> Iterator[ShardWriter]:
        """See :meth:`Sink.open`."""
        rows = _JsonRows()
        yield rows
        with tarfile.TarFile(path, "w", format=tarfile.PAX_FORMAT) as archive:
            if shard.kind == "tar":
                _copy_tar(shard, rows.by_place, archive)
            else:
                _pack(shard, rows.by_place, archive)


@dataclass(slots=True)
class _JsonRows:
    """The rows of one shard as JSON, by the name and the row of their photos."""

    by_place: dict[tuple[str, int | None], str] = field(default_factory=dict)

    def write(self, row: Row) -> None:
        """See :meth:`ShardWriter.write`."""
        self.by_place.setdefault((row["path"], row.get("row")), to_json(row))


_RowsByPlace = dict[tuple[str, int | None], str]


def _pack(shard: Shard, rows: _RowsByPlace, archive: tarfile.TarFile) -> None:
    """The photos of a list or a Parquet file."""
    keys = UniqueNames()
    for name, row, photo in read_shard(shard):
        said = rows.pop((name, row), None)
        if said is None:
            continue
        path = PurePosixPath(name.replace("\\", "/"))
        # the key ends at the first dot
        stem = (path.stem if row is None else f"{row:08d}").replace(".", "_").strip() or "photo"
        key = keys.of(stem)
        member = f"{key}{path.suffix.lower() if is_media(name) else '.jpg'}"
        try:
            if isinstance(photo, str):
                with Path(photo).open("rb") as file:
                    _copy(archive, member, file.seek(0, io.SEEK_END), _from_start(file))
            else:
                with photo.content() as content:
                    _add(archive, member, content)
        except (MediaError, FileNotFoundError) as error:
            raise DataError(f"{shard.name}: changed while it was captioned ({error})") from None
        _add_caption(archive, key, said, {})


def _from_start(file: IO[bytes]) -> Iterator[bytes]:
    file.seek(0)
    while chunk := file.read(_CHUNK):
        yield chunk


def _copy_tar(shard: Shard, rows: _RowsByPlace, archive: tarfile.TarFile) -> None:
    """The samples of a tar whose photos were captioned."""
    captions = {parts_of(tarfile.TarInfo(name))[0]: said for (name, _), said in rows.items()}
    written: set[str] = set()
    current, texts = "", dict[str, str]()

    def finish() -> None:
        if current and current not in written:
            _add_caption(archive, current, captions[current], texts)
            written.add(current)
        texts.clear()

    tar = open_tar(shard)
    for member in tar.members():
        key, suffix, name = parts_of(member)
        if key != current:
            finish()
            current = key if key in captions else ""
        if not current:
            continue
        is_text = suffix in ("txt", "json")
        if why_not(member, name, text=is_text) is not None:
            continue
        try:
            if is_text:
                texts.setdefault(suffix, b"".join(tar.read(member)).decode("utf-8", "replace"))
            else:
                _copy(archive, name, member.size, tar.read(member))
        except DamagedPicture as error:
            raise DataError(f"{shard.name}: changed while it was captioned ({error})") from None
    finish()
    if tar.loss is not None or written != captions.keys():
        raise DataError(f"{shard.name}: changed while it was captioned")


def _add_caption(archive: tarfile.TarFile, key: str, said: str, texts: Mapping[str, str]) -> None:
    row = json.loads(said)
    if texts:
        row["original"] = dict(texts)
    _add(archive, f"{key}.txt", row["caption"].encode())
    _add(archive, f"{key}.json", to_json(row).encode())


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    _copy(archive, name, len(content), iter((content,)))


def _copy(archive: tarfile.TarFile, name: str, size: int, chunks: Iterator[bytes]) -> None:
    assert is_safe(name), name
    member = tarfile.TarInfo(name)  # of no time and no owner: the same bytes on every machine
    member.size = size
    archive.addfile(member, io.BufferedReader(_Chunks(chunks), _CHUNK))


class _Chunks(io.RawIOBase):
    """Chunks of bytes as a file."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._left = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        if not self._left:
            self._left = next(self._chunks, b"")
        part, self._left = self._left[: len(buffer)], self._left[len(buffer) :]
        buffer[: len(part)] = part
        return len(part)


JSON_LINES, PARQUET, TAR = JsonLines(), ParquetFile(), TarFile()
