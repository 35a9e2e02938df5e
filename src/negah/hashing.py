"""Hashes of file contents."""

from __future__ import annotations

import hashlib
from pathlib import Path


def content_sha256(path: Path) -> str:
    """SHA-256 of a file's bytes, 64 hexadecimal digits.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
