"""What a user decides about captions in metadata."""

from __future__ import annotations

from enum import StrEnum


class Existing(StrEnum):
    """How an existing description is treated."""

    #: The file is left as it is.
    SKIP = "skip"
    #: Ours is written behind it.
    APPEND = "append"
    #: Ours takes its place; a person's text is kept beside it, under ``negah:Previous``.
    REPLACE = "replace"


class Naming(StrEnum):
    """The name of the sidecar of ``a.jpg``."""

    #: ``a.jpg.xmp``, as darktable and digiKam do.
    FULL = "full"
    #: ``a.xmp``, as Adobe's programs do.
    STEM = "stem"
