"""Writing captions into the metadata of files and into sidecars, without losing existing text."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from negah.errors import MediaError, OutputError
from negah.files import atomic_path
from negah.metadata.choices import Existing, Naming
from negah.metadata.containers import ContainerError, container_of
from negah.metadata.iptc import read_caption, write_caption
from negah.metadata.xmp import EMPTY, Packet, Written, XmpError, xml_text


def embed(path: Path, written: Written, existing: Existing, *, target: Path | None = None) -> bool:
    """Write a caption into the XMP of a JPEG, PNG, WebP or TIFF; in a JPEG also into IPTC-IIM.

    No pixel is decoded, and no other metadata is changed. The file appears complete or not at all.

    Args:
        path: of the photo.
        written: what is written.
        existing: treatment of an existing description.
        target: the copy to be written, which must not exist; None to change the file itself.

    Returns:
        whether anything was written; False if an existing description was kept.

    Raises:
        MediaError: the file cannot be read or changed safely; states the reason.
        OutputError: the target cannot be written.
    """
    content, before = _read(path)
    container = container_of(content)
    if container is None:
        raise MediaError(path, "is no JPEG, PNG, WebP or TIFF: write a sidecar beside it")
    try:
        is_jpeg = container.name == "JPEG"
        packet = Packet(container.read(content) or EMPTY)
        caption = read_caption(content) if is_jpeg else ""
        new = _changed(packet, written, existing, caption)
        if new is None:
            return False
        changed = container.write(content, new)
        if is_jpeg:
            changed = write_caption(changed, Packet(new).description)
        if container.read(changed) != new:
            raise ContainerError("it would not give back what was written")
    except (ContainerError, XmpError) as error:
        raise MediaError(path, f"gets no metadata: {error}; write a sidecar beside it") from error
    if target is None:
        _put(path, changed, before)
    else:
        _put(target, changed)
    return True


def sidecar_of(path: Path, naming: Naming) -> Path:
    """The sidecar of a photo: an existing one under either name, otherwise as in ``naming``."""
    full, stem = path.with_name(f"{path.name}.xmp"), path.with_suffix(".xmp")
    there = [one for one in (full, stem) if one.is_file()]
    return there[0] if there else (full if naming is Naming.FULL else stem)


def write_sidecar(path: Path, written: Written, existing: Existing, naming: Naming) -> bool:
    """Write a caption into the XMP file beside a photo, keeping its other content.

    Returns:
        whether anything was written; False if an existing description was kept.

    Raises:
        MediaError: an existing sidecar cannot be read or changed safely.
        OutputError: it cannot be written.
    """
    sidecar = sidecar_of(path, naming)
    content, before = _read(sidecar) if sidecar.is_file() else (EMPTY, None)
    try:
        new = _changed(Packet(content), written, existing)
    except XmpError as error:
        raise MediaError(sidecar, f"is left alone: {error}") from error
    if new is None:
        return False
    _put(sidecar, new, before)
    return True


def described(path: Path, naming: Naming | None = None) -> bool:
    """Whether a photo or its sidecar has a description or alternative text.

    Args:
        path: of the photo.
        naming: of sidecars, to check the sidecar; None to check the file.
    """
    try:
        if naming is not None:
            sidecar = sidecar_of(path, naming)
            content = _read(sidecar)[0] if sidecar.is_file() else None
        else:
            whole = _read(path)[0]
            container = container_of(whole)
            content = None if container is None else container.read(whole)
            if container is not None and container.name == "JPEG" and read_caption(whole):
                return True
        packet = None if content is None else Packet(content)
    except (MediaError, ContainerError, XmpError):  # what is wrong is said when it is written
        return False
    return packet is not None and bool(packet.description or packet.alt)


def _changed(
    packet: Packet, written: Written, existing: Existing, caption: str = ""
) -> bytes | None:
    """The packet with the caption; None if nothing is to be written.

    Args:
        packet: the existing packet.
        written: what is written.
        existing: treatment of existing texts.
        caption: an existing text outside the packet.
    """
    old = packet.description or packet.alt or caption
    there = list(dict.fromkeys(filter(None, (packet.description, caption))))
    written = replace(written, description=xml_text(written.description), alt=xml_text(written.alt))
    in_language = packet.in_language(written.language)
    named = written.description, written.alt
    # what a person wrote is nobody else's
    own, previous = written if written.model else replace(written, description="", alt=""), ""
    if old and existing is Existing.SKIP:
        return None
    if old and existing is Existing.APPEND:
        if written.description in packet.description.split("\n"):
            return None
        named = _behind(in_language[:1], named[0]), _behind(in_language[1:], named[1], " ")
        description = xml_text(_behind(there, written.description))
        alt = _behind((packet.alt,), written.alt, " ")
        written = replace(written, description=description, alt=alt)
    else:
        is_own = packet.is_own and there == [packet.description]
        kept = [] if is_own else [*there, packet.alt]
        # under the name of the language may stand what the default does not say
        known = {*there, packet.alt, *packet.own_texts}
        previous = _behind(dict.fromkeys(kept + [one for one in in_language if one not in known]))
    new = packet.write(written, own, previous, named)
    again = Packet(new)
    if (again.description, again.alt) != (written.description, written.alt) or (
        written.language and again.in_language(written.language) != named
    ):
        raise XmpError("its XMP would not say what was written")
    return new


def _behind(there: Iterable[str], text: str = "", between: str = "\n") -> str:
    """A text appended to existing ones, without empty ones."""
    return between.join(filter(None, (*there, text)))


_FileStamp = tuple[int, int]


def _read(path: Path) -> tuple[bytes, _FileStamp]:
    try:
        with path.open("rb") as file:
            identity = _identity(os.fstat(file.fileno()))
            return file.read(), identity
    except OSError as error:
        raise MediaError(path, error.strerror or str(error)) from error


def _identity(stat: os.stat_result) -> _FileStamp:
    return stat.st_size, stat.st_mtime_ns


def _put(path: Path, content: bytes, before: _FileStamp | None = None) -> None:
    """Write a file, flushed to the disk before it replaces another."""
    try:
        if before is None and os.path.lexists(path):
            raise OutputError(path, "something is there already")
        with atomic_path(path, fresh=before is None) as temporary:
            with temporary.open("wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            if before is not None and _identity(path.stat()) != before:
                raise OutputError(path, "it has been changed meanwhile")
    except OSError as error:
        raise OutputError(path, error) from error
