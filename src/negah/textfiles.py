"""Text files of any origin: bytes -> text, by the one reader that all commands share.

Read are UTF-8 with or without a byte order mark, and UTF-16 and UTF-32 with one, as PowerShell and
Excel's "Unicode text" write them; also UTF-16 without, where every other byte is zero. Line ends
are kept, because names of files and cells of tables may hold them; :func:`lines` knows them all.
"""

from __future__ import annotations

import codecs
import gzip
import re
import sys
import zlib
from pathlib import Path

from negah.errors import DataError

#: Stands for standard input where a file is named.
STDIN = Path("-")
#: Larger files are refused; COCO's training captions have 64 MB.
MAX_BYTES = 512 * 2**20

_MARKS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins as UTF-16 does
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
#: So many bytes at the start tell whether UTF-16 stands there without a mark.
_HEAD = 4096
_ESCAPED = re.compile("[\udc80-\udcff]")
_HALVES = re.compile("[\ud800-\udfff]")


def read_text(path: Path, source: str | None = None) -> str:
    """The text of a file, or of standard input, in which bytes that are not UTF-8 are escaped.

    So a name of a file that is not text can be read; :func:`check_utf8` refuses what is left. A
    file that ends in ``.gz`` is unpacked.

    Args:
        path: the file; :data:`STDIN` is standard input.
        source: names it in errors; by default its path.

    Raises:
        DataError: it cannot be read, or is too large.
    """
    source = str(path) if source is None else source
    try:
        if path == STDIN:
            content = sys.stdin.buffer.read(MAX_BYTES + 1)
        elif path.suffix == ".gz":
            with gzip.open(path) as file:
                content = file.read(MAX_BYTES + 1)
        else:
            with path.open("rb") as file:
                content = file.read(MAX_BYTES + 1)
    except (OSError, ValueError, EOFError, zlib.error) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise DataError(f"{source}: cannot be read: {reason}.") from None
    if len(content) > MAX_BYTES:
        raise DataError(f"{source}: larger than {MAX_BYTES // 2**20} MiB, the most that is read.")
    return decode(content, source)


def read_utf8(path: Path) -> str:
    """As :func:`read_text`, for a file that is text throughout.

    Raises:
        DataError: it cannot be read, is too large, or is not UTF-8.
    """
    return check_utf8(read_text(path), str(path))


def decode(content: bytes, source: str) -> str:
    """Text of bytes; those that are not UTF-8 become ``\\udc80`` to ``\\udcff`` (PEP 383).

    Raises:
        DataError: it has the mark of UTF-16 or UTF-32 and is neither.
    """
    mark, encoding = next((one for one in _MARKS if content.startswith(one[0])), (b"", None))
    content = content[len(mark) :]
    encoding = encoding or _unmarked(content)
    errors = "surrogateescape" if encoding == "utf-8" else "strict"
    try:
        return content.decode(encoding, errors)
    except UnicodeDecodeError as error:
        raise DataError(
            f"{source}: cannot be read: begins as {encoding.upper()} does, but byte "
            f"{error.start + len(mark)} is none of it. Save the file with UTF-8 encoding."
        ) from None


def is_text(head: bytes) -> bool:
    """Whether a file that begins so can be text: a zero byte stands in UTF-16 and UTF-32 alone."""
    marked = head.startswith(tuple(mark for mark, _ in _MARKS))
    return b"\0" not in head or marked or _unmarked(head) != "utf-8"


def check_utf8(text: str, source: str) -> str:
    """The text, if no byte of it was escaped.

    Raises:
        DataError: one was.
    """
    found = None if text.isascii() else _ESCAPED.search(text)
    if found is None:
        return text
    before = text[: found.start()]
    line = len(lines(before))
    byte = len(before.encode("utf-8", "surrogateescape"))
    raise not_utf8(f"{source}: cannot be read: not UTF-8 text (byte {byte}), in line {line}")


def not_utf8(what: str) -> DataError:
    """The error that says what to do about bytes which are not UTF-8."""
    return DataError(f"{what}. Save the file with UTF-8 encoding (in Excel: CSV UTF-8).")


def is_escaped(text: str) -> bool:
    """Whether a byte of it was no UTF-8."""
    return not text.isascii() and _ESCAPED.search(text) is not None


def writable(text: str) -> str:
    """``text`` with halves of characters, which JSON can hold and no file can store, as U+FFFD."""
    return text if text.isascii() else _HALVES.sub("\ufffd", text)


def shown(name: str) -> str:
    """A name as it can be printed: what is no text of it as an escape, ``caf\\udce9.jpg``."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def lines(text: str) -> list[str]:
    """The lines of a text, whichever line ends it has; the last may be empty.

    Not ``splitlines``, which would also break captions at Unicode's separators.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.split("\n")


def _unmarked(content: bytes) -> str:
    """UTF-16 of mostly Latin letters has zeros in every other byte.

    A line end is among them, or a full stop or slash, which no name of one letter is: so they are
    not such names with a zero behind each.
    """
    head = content[:_HEAD]
    for encoding, zeros, others, pattern in (
        ("utf-16-le", head[1::2], head[::2], rb"[\n./]\0"),
        ("utf-16-be", head[::2], head[1::2], rb"\0[\n./]"),
    ):
        if zeros.count(0) * 2 > len(zeros) and 0 not in others and re.search(pattern, head):
            return encoding
    return "utf-8"
