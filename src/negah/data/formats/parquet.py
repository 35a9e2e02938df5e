"""Parquet files of the Hugging Face Hub, with embedded pictures or paths of pictures.

A column ``image`` (or ``video``, ``clip``) holds a path, or the picture itself as the Hub stores
it, a struct of ``bytes`` and ``path``; ``caption``, ``captions`` or ``text`` hold a text or a list.
``split``, ``start`` and ``end`` are optional. The part may also be in the file name:
``train-00000-of-00002.parquet``. Read with pyarrow, in batches of rows.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any

from negah.data.examples import Example
from negah.data.formats.places import clip_folders, image_folders
from negah.data.formats.protocol import Format
from negah.data.formats.source import Source
from negah.data.formats.unpacked import MAX_RATIO, MIN_LIMIT, PictureBytes, unpack
from negah.data.formats.written import UniqueNames, media_name, plain_row, read_media
from negah.data.names import image_number, is_media, stem
from negah.data.records import Reading, Record
from negah.data.rows import NAME_KEYS, RowReader
from negah.errors import DataError, MissingExtraError, OutputError
from negah.files import atomic_path
from negah.json_layout import to_json

_MAGIC = b"PAR1"
#: Columns that may contain embedded pictures.
_MEDIA = ("image", "video", "clip", "jpg", "png", "webp", "mp4")
_SAID = ("caption", "captions", "text")
_OTHERS = ("split", "start", "end")
#: Run-length encoding can claim any number of rows in a few bytes.
MAX_ROWS = 10_000_000
_TEXT_BATCH, _PICTURE_BATCH, _GROUP = 1024, 16, 100

#: Magic bytes of picture formats and their suffixes, for pictures without a name.
_KINDS = (
    (0, b"\xff\xd8\xff", ".jpg"),
    (0, b"\x89PNG", ".png"),
    (0, b"GIF8", ".gif"),
    (8, b"WEBP", ".webp"),
    (0, b"BM", ".bmp"),
    (0, b"II*\0", ".tif"),
    (0, b"MM\0*", ".tif"),
    (4, b"ftypavif", ".avif"),
    (4, b"ftyp", ".mp4"),
    (0, b"\x1a\x45\xdf\xa3", ".webm"),
    (8, b"AVI ", ".avi"),
)


class Parquet(Format):
    """One file, several, or a folder of them."""

    files = ("*.parquet", "*/*.parquet")
    many = True
    binary = True
    suffixes = (".parquet",)

    def sniff(self, source: Source) -> bool:
        """By the suffix, or the first four bytes."""
        return source.suffix == ".parquet" or source.head.startswith(_MAGIC)

    def read(self, source: Source) -> Reading:
        """Read all columns except the pictures.

        Raises:
            DataError: a file is damaged, or has no pictures or no captions.
            MissingExtraError: pyarrow is not installed.
        """
        records: list[Record] = []
        reading = Reading(records)
        holds = False
        for path in source.paths:
            several = len(source.paths) > 1
            reader = RowReader(str(path), path.name, text_column=True)
            split = source.split_of(path)
            prefix = source.prefix_of(path)
            for record in parquet_rows(path, reader, prefix):
                record.split = record.split or split
                record.where = f"{path.name}, {record.where}" if several else record.where
                records.append(record)
            reading.problems += reader.problems
            reading.rows += reader.count
            with opened(path) as file:
                holds = holds or picture_column(file) is not None
        if holds:
            reading.unpack = lambda: unpack(source, partial(_pictures, source))
        folder = source.folder
        reading.folders = list(dict.fromkeys([*image_folders(folder), *clip_folders(folder)]))
        return reading

    def write(
        self,
        examples: Sequence[Example],
        output: Path,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> None:
        """Write one file with embedded pictures, in the layout of the Hub's library."""
        arrow, parquet = _pyarrow()
        clips = all(example.is_clip for example in examples)
        media = "video" if clips else "image"
        schema = _schema(arrow, media, spans=any(example.span for example in examples))
        names = UniqueNames()
        try:
            with (
                atomic_path(output, fresh=True) as temporary,
                parquet.ParquetWriter(temporary, schema) as writer,
            ):
                for start in range(0, len(examples), _GROUP):
                    rows = [
                        {
                            media: {
                                "bytes": read_media(example),
                                "path": names.of(media_name(example)),
                            },
                            **plain_row(example),
                        }
                        for example in examples[start : start + _GROUP]
                    ]
                    writer.write_table(arrow.Table.from_pylist(rows, schema))
                    if progress is not None:
                        progress(start + len(rows), len(examples))
        except OSError as error:
            raise OutputError(output, error) from error


def parquet_rows(path: Path, reader: RowReader, prefix: str = "") -> Iterator[Record]:
    """The rows of one file; pictures are named, not decoded.

    Args:
        path: of the file.
        reader: validates the rows, and collects what is left out.
        prefix: of the names of embedded pictures.

    Raises:
        DataError: it is damaged, or has no pictures or no captions.
        MissingExtraError: pyarrow is not installed.
    """
    with opened(path) as file:
        picture = picture_column(file)
        columns = [name for name in (*NAME_KEYS, *_SAID, *_OTHERS) if name in columns_of(file)]
        columns = [name for name in columns if name != picture]
        _check_columns(path, file, picture, columns)
        names = iter(_picture_names(file, picture)) if picture is not None else None
        row = 0
        for batch in file.iter_batches(_TEXT_BATCH, columns=columns, use_threads=False):
            for entry in batch.to_pylist():
                row += 1
                given = {key: value for key, value in entry.items() if value is not None}
                if names is not None:
                    given["path"] = f"{prefix}{next(names)}"
                if not any(key in given for key in _SAID):
                    given["captions"] = []
                record = reader.row(f"row {row}", given)
                if record is not None:
                    yield record


def _check_columns(path: Path, file: Any, picture: str | None, columns: Sequence[str]) -> None:
    named = picture is not None or any(name in columns for name in NAME_KEYS)
    said = any(name in columns for name in _SAID)
    if named and said:
        return
    missing = [] if named else ["no column with pictures or their paths"]
    missing += [] if said else ["no column with captions"]
    found = ", ".join(f"{name} ({kind})" for name, kind in list(columns_of(file).items())[:10])
    raise DataError(
        f"{path}: {' and '.join(missing)} (found: {found:.300}). A Parquet file needs image, video "
        "or clip (a path, or a struct of bytes and path) and caption, captions or text (a text or "
        "a list of texts), and may have split, start and end."
    )


def columns_of(file: Any) -> dict[str, Any]:
    """The types of the columns by their names."""
    return {field.name: field.type for field in file.schema_arrow}


def picture_column(file: Any) -> str | None:
    """The column of embedded pictures; None if there is none."""
    arrow, _ = _pyarrow()
    kinds = arrow.types
    for name in _MEDIA:
        kind = columns_of(file).get(name)
        if kind is None:
            continue
        if kinds.is_struct(kind):
            inner = {kind.field(at).name: kind.field(at).type for at in range(kind.num_fields)}
            kind = inner.get("bytes")
        if kind is not None and (kinds.is_binary(kind) or kinds.is_large_binary(kind)):
            return name
    return None


def _picture_names(file: Any, picture: str) -> list[str]:
    """The names of the pictures, in order: their path if it is unique, else the row number.

    Paths are from the machine that wrote the file; their folders are ignored.
    """
    arrow, _ = _pyarrow()
    kind = columns_of(file)[picture]
    given: list[str] = [""] * file.metadata.num_rows
    if arrow.types.is_struct(kind) and any(
        kind.field(at).name == "path" for at in range(kind.num_fields)
    ):
        leaf = [f"{picture}.path"]
        given = []
        for batch in file.iter_batches(_TEXT_BATCH, columns=leaf, use_threads=False):
            given += [_base(one) for one in batch.column(0).to_pylist()]
    counts = Counter(name.casefold() for name in given)
    kept = {name for name in given if name and counts[name.casefold()] == 1}
    names = UniqueNames(_all_names(kept))
    return [
        name if name in kept else names.of(f"{row:08d}{'-' if name else ''}{name}")
        for row, name in enumerate(given)
    ]


def _all_names(files: Iterable[str]) -> Iterator[str]:
    """The names of files, and their aliases: without the suffix, or by number."""
    for name in files:
        yield name
        yield stem(name)
        if (found := image_number(name)) is not None:
            yield f"{found:08d}"


def _base(value: Any) -> str:
    path = value.get("path") if isinstance(value, dict) else None
    name = PurePosixPath(str(path or "").replace("\\", "/")).name
    return name if is_media(name) else ""


def _pictures(source: Source) -> Iterator[PictureBytes]:
    """The photos and clips of all files."""
    for path in source.paths:
        prefix = source.prefix_of(path)
        with opened(path) as file:
            picture = picture_column(file)
            if picture is None:
                continue
            names = iter(_picture_names(file, picture))
            for batch in file.iter_batches(_PICTURE_BATCH, columns=[picture], use_threads=False):
                for value in batch.column(0):
                    name, content = next(names), value.as_py()
                    content = content.get("bytes") if isinstance(content, dict) else content
                    if content:
                        suffix = "" if is_media(name) else _suffix(content)
                        yield f"{prefix}{name}{suffix}", (content,)


def _suffix(content: bytes) -> str:
    return next((s for at, mark, s in _KINDS if content[at : at + len(mark)] == mark), ".unknown")


@contextmanager
def opened(path: Path | str, stream: IO[bytes] | None = None) -> Iterator[Any]:
    """Open the file, after checking the sizes that it claims.

    Args:
        path: of the file, or the address that names it in errors.
        stream: the file, open for reading bytes, if it is no local one.

    Raises:
        DataError: it is damaged, here or while it is read, or its uncompressed size is implausible.
        MissingExtraError: pyarrow is not installed.
    """
    arrow, parquet = _pyarrow()
    try:
        packed = Path(path).stat().st_size if stream is None else stream.seek(0, io.SEEK_END)
        with parquet.ParquetFile(path if stream is None else stream, pre_buffer=False) as file:
            about = file.metadata
            size = sum(about.row_group(at).total_byte_size for at in range(about.num_row_groups))
            if about.num_rows > MAX_ROWS:
                raise DataError(
                    f"{path}: {about.num_rows:,} rows; at most {MAX_ROWS:,} are read of a file."
                )
            if size > MIN_LIMIT + MAX_RATIO * packed:
                raise DataError(
                    f"{path}: unpacks to {size:,} bytes, over {MAX_RATIO} times its size, which "
                    f"is not plausible for photos."
                )
            yield file
    except (arrow.ArrowException, OSError, ValueError, KeyError, StopIteration) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: not a Parquet file, or damaged: {reason:.200}.") from None


def _schema(arrow: Any, media: str, *, spans: bool) -> Any:
    """Columns as the library ``datasets`` writes them, with its features in the metadata."""
    text = {"dtype": "string", "_type": "Value"}
    fields = [
        (media, arrow.struct([("bytes", arrow.binary()), ("path", arrow.string())])),
        ("captions", arrow.list_(arrow.string())),
        ("split", arrow.string()),
    ]
    features: dict[str, Any] = {
        media: {"_type": media.capitalize()},
        "captions": {"feature": text, "_type": "List"},
        "split": text,
    }
    for name in ("start", "end") if spans else ():
        fields.append((name, arrow.float64()))
        features[name] = {"dtype": "float64", "_type": "Value"}
    about = to_json({"info": {"features": features}}).encode()
    return arrow.schema(fields, metadata={b"huggingface": about})


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError("pyarrow", "reading and writing Parquet", extra="parquet") from None
    return pyarrow, pyarrow.parquet


PARQUET = Parquet()
