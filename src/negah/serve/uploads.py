"""Photos and clips in requests: base64, data URLs and forms; nothing is fetched."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser, parse_options_header

from negah.media.kinds import is_clip_content
from negah.serve.problems import RefusedError

_HEAD_BYTES = 4096
_MOST_PARTS = 64
_DATA_URL = re.compile(r"data:([\w.+-]+/[\w.+-]+)?((?:;[\w.+-]+=[\w.+\"-]+)*)(;base64)?,", re.ASCII)
_ADDRESS = re.compile(r"\s*(?:[a-z][a-z0-9+.-]*:|//|/|\.{1,2}/|~|\\\\)", re.IGNORECASE)

#: Types of data URLs for photos and clips; the actual type is detected from the content.
_TYPES = ("image/", "video/", "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Upload:
    """A photo or clip in a request.

    Attributes:
        content: of its file.
        clip: whether it is a clip, by its content.
    """

    content: bytes
    clip: bool


def upload_of(content: bytes) -> Upload:
    """Detect the type of a file by its content.

    Raises:
        RefusedError: it is empty.
    """
    if not content:
        raise RefusedError(422, "the photo or clip is empty (0 bytes)", "unreadable")
    return Upload(content, is_clip_content(content[:_HEAD_BYTES]))


def from_base64(text: str, where: str) -> Upload:
    """A photo or clip in base64, or in a data URL.

    Args:
        text: from the request.
        where: the field, for messages.

    Raises:
        RefusedError: it is an address, or not base64.
    """
    if text[:5].lower() == "data:":
        return from_data_url(text, where)
    try:
        return upload_of(_decoded(text, where))
    except RefusedError:
        # "/9j/" begins the base64 of a JPEG: what can be decoded is no address
        if _ADDRESS.match(text[:64]):
            raise _no_address(where) from None
        raise


def from_data_url(url: str, where: str) -> Upload:
    """A photo or clip in a data URL (RFC 2397).

    Raises:
        RefusedError: it is another kind of address, or has another type.
    """
    if url[:5].lower() != "data:":
        raise _no_address(where)
    found = _DATA_URL.match("data:" + url[5:])
    if found is None or found[3] is None:
        raise RefusedError(
            400, f"{where}: a data URL begins like data:image/jpeg;base64, and this not"
        )
    media_type = (found[1] or "text/plain").lower()
    if not media_type.startswith(_TYPES):
        raise RefusedError(
            415,
            f"{where}: a data URL of type {media_type}; allowed are image/..., video/... and "
            "application/octet-stream",
            "wrong_type",
        )
    return upload_of(_decoded(url[found.end() :], where))


def _no_address(where: str) -> RefusedError:
    return RefusedError(
        400,
        f"{where}: this is an address, and the service fetches nothing, neither from a network nor "
        "from its own files: send the photo or clip itself, in base64 or as a data URL "
        "(data:image/jpeg;base64,...)",
        "address_refused",
    )


def _decoded(text: str, where: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except (binascii.Error, ValueError):
        raise RefusedError(400, f"{where}: this is no base64") from None


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart form (RFC 7578).

    Attributes:
        files: fields and contents of the parts with a file name, in order.
        fields: text of the other parts.
    """

    files: tuple[tuple[str, bytes], ...]
    fields: Mapping[str, str]


class _MultipartCallbacks:
    """Callbacks of the parser for each part."""

    def __init__(self) -> None:
        self.files: list[tuple[str, bytes]] = []
        self.fields: dict[str, str] = {}
        self.ended = False
        self._count = 0
        self._name = self._value = b""
        self._headers: dict[bytes, bytes] = {}
        self._content: list[bytes] = []

    def on_part_begin(self) -> None:
        self._count += 1
        if self._count > _MOST_PARTS:
            raise RefusedError(413, f"the form has more than {_MOST_PARTS} parts", "too_large")
        self._headers, self._content = {}, []

    def on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._content.append(data[start:end])

    def on_part_end(self) -> None:
        disposition, options = parse_options_header(self._headers.get(b"content-disposition"))
        if disposition != b"form-data" or b"name" not in options:
            raise RefusedError(
                400, "a part of the form has no name (Content-Disposition: form-data)"
            )
        name = options[b"name"].decode("utf-8", "replace")
        content = b"".join(self._content)
        if b"filename" in options:  # which is not looked at
            self.files.append((name, content))
            return
        if name in self.fields:
            raise RefusedError(400, f"the form has the field {name[:64]!r} twice")
        try:
            self.fields[name] = content.decode("utf-8")
        except UnicodeDecodeError:
            raise RefusedError(
                400, f"the field {name[:64]!r} of the form is no UTF-8 text"
            ) from None

    def on_end(self) -> None:
        self.ended = True


def read_form(body: bytes, content_type: str) -> Form:
    """Parse a multipart form.

    Raises:
        RefusedError: it is damaged or incomplete, or has too many parts.
    """
    _, options = parse_options_header(content_type)
    boundary = options.get(b"boundary", b"")
    if not 0 < len(boundary) <= 70:
        raise RefusedError(400, "the form has no boundary of 1 to 70 characters (Content-Type)")
    parts = _MultipartCallbacks()
    names = (
        *("on_part_begin", "on_header_field", "on_header_value", "on_header_end"),
        *("on_part_data", "on_part_end", "on_end"),
    )
    callbacks: Any = {name: getattr(parts, name) for name in names}
    parser = MultipartParser(boundary, callbacks)
    try:
        parser.write(body)
        parser.finalize()
    except MultipartParseError as error:
        raise RefusedError(400, f"the form cannot be read: {str(error)[:200]}") from None
    if not parts.ended:
        raise RefusedError(400, "the form breaks off before its last boundary")
    return Form(tuple(parts.files), parts.fields)
