"""Captions in the metadata of a photo, or in a sidecar file."""

from __future__ import annotations

from negah.metadata.files import Existing, Naming, described, embed, sidecar_of, write_sidecar
from negah.metadata.xmp import Packet, Written, XmpError, is_language_tag

__all__ = [
    "Existing",
    "Naming",
    "Packet",
    "Written",
    "XmpError",
    "described",
    "embed",
    "is_language_tag",
    "sidecar_of",
    "write_sidecar",
]
