"""Text files of any encoding: the reader that all commands share.

Supported are UTF-8 with or without a byte order mark, and UTF-16 and UTF-32 with one, as written by
PowerShell and Excel's "Unicode text"; also UTF-16 without a mark if every other byte is zero. Line
ends are kept, because file names and table cells may contain them; :func:`lines` splits at all of
them.
"""

from __future__ import annotations

import codecs
import gzip
import re
import sys
import zlib
from pathlib import Path

from negah.errors import DataError

#: The name of standard input in place of a file.
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
#: Number of bytes at the start that are checked for UTF-16 without a mark.
_HEAD = 4096
_ESCAPED = re.compile("[\udc80-\udcff]")
_HALVES = re.compile("[\ud800-\udfff]")


def read_text(path: Path, source: str | None = None) -> str:
    """The text of a file or of standard input, with bytes that are not UTF-8 escaped.

    So file names that are not valid UTF-8 can be read; :func:`check_utf8` refuses them elsewhere. A
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
    """As :func:`read_text`, but refuses bytes that are not UTF-8.

    Raises:
        DataError: it cannot be read, is too large, or is not UTF-8.
    """
    return check_utf8(read_text(path), str(path))


def decode(content: bytes, source: str) -> str:
    """Decode bytes to text; bytes that are not UTF-8 become ``\\udc80`` to ``\\udcff`` (PEP 383).

    Raises:
        DataError: it has the mark of UTF-16 or UTF-32 but is not valid.
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
            f"{error.start + len(mark)} is not valid. Save the file with UTF-8 encoding."
        ) from None


def is_text(head: bytes) -> bool:
    """Whether a file with this beginning can be text: of text, only UTF-16 and UTF-32 have zero
    bytes."""
    marked = head.startswith(tuple(mark for mark, _ in _MARKS))
    return b"\0" not in head or marked or _unmarked(head) != "utf-8"


def check_utf8(text: str, source: str) -> str:
    """The text, unless it has escaped bytes.

    Raises:
        DataError: it has.
    """
    found = None if text.isascii() else _ESCAPED.search(text)
    if found is None:
        return text
    before = text[: found.start()]
    line = len(lines(before))
    byte = len(before.encode("utf-8", "surrogateescape"))
    raise not_utf8(f"{source}: cannot be read: not UTF-8 text (byte {byte}), in line {line}")


def not_utf8(what: str) -> DataError:
    """An error that says what to do about bytes that are not UTF-8."""
    return DataError(f"{what}. Save the file with UTF-8 encoding (in Excel: CSV UTF-8).")


def is_escaped(text: str) -> bool:
    """Whether the text has escaped bytes, which were not UTF-8."""
    return not text.isascii() and _ESCAPED.search(text) is not None


def writable(text: str) -> str:
    """``text`` with lone surrogates, which JSON can hold but UTF-8 cannot, replaced by U+FFFD."""
    return text if text.isascii() else _HALVES.sub("\ufffd", text)


def printable(name: str) -> str:
    """A name as it can be printed: with bytes that are not text escaped: ``caf\\udce9.jpg``."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


def lines(text: str) -> list[str]:
    """The lines of a text with any line ends; the last may be empty.

    Not ``splitlines``, which would also break captions at Unicode's separators.
    """
    if "\r" in text:
        text = text.replace("\r\n", "\n").replace("\r", "\n")
    return text.split("\n")


def _unmarked(content: bytes) -> str:
    """The encoding of UTF-16 text without a mark: with Latin letters, every other byte is zero.

    A line end, full stop or slash is required among the characters, so a list of one-letter names
    separated by zero bytes is not mistaken for UTF-16.
    """
    head = content[:_HEAD]
    for encoding, zeros, others, pattern in (
        ("utf-16-le", head[1::2], head[::2], rb"[\n./]\0"),
        ("utf-16-be", head[::2], head[1::2], rb"\0[\n./]"),
    ):
        if zeros.count(0) * 2 > len(zeros) and 0 not in others and re.search(pattern, head):
            return encoding
    return "utf-8"
