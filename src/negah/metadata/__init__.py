"""Captions in the metadata of a photo, or in a sidecar file."""

from __future__ import annotations

from typing import TYPE_CHECKING

from negah.lazy_names import lazy_names
from negah.metadata.choices import Existing, Naming

if TYPE_CHECKING:
    from negah.metadata.files import described, embed, sidecar_of, write_sidecar
    from negah.metadata.xmp import Packet, Written, XmpError, is_language_tag
else:  # the command line knows the choices, and few captions get into metadata
    _FILES = ("described", "embed", "sidecar_of", "write_sidecar")
    _XMP = ("Packet", "Written", "XmpError", "is_language_tag")
    __getattr__ = lazy_names(
        __name__,
        dict.fromkeys(_FILES, "negah.metadata.files") | dict.fromkeys(_XMP, "negah.metadata.xmp"),
    )

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
