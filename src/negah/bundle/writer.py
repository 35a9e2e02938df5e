"""Writing a bundle so that a crash never leaves half of one."""

from __future__ import annotations

import hashlib
import secrets
import shutil
from collections.abc import Callable
from pathlib import Path

from negah.bundle.card import model_card
from negah.bundle.reader import Bundle, read_bundle
from negah.bundle.schema import CARD_FILE, CONFIG_FILE, BundleConfig, FileSpec
from negah.errors import UsageError
from negah.files import write_json, write_text


def write_bundle(
    folder: str | Path, config: BundleConfig, write_files: Callable[[Path], None]
) -> Bundle:
    """Write a bundle beside ``folder``, check it, and rename it into place.

    The card is generated from ``config``, and sizes and checksums are taken from what stands
    on the disk.

    Args:
        folder: where; an existing bundle or an empty folder is replaced.
        config: the description; its ``files`` are filled in here.
        write_files: writes tokenizer, graphs and weights into the folder that it is given.

    Raises:
        UsageError: ``folder`` is something else than a bundle, which is not overwritten.
        BundleError: what was written does not pass :func:`read_bundle`.
    """
    final = Path(folder)
    refuse_to_overwrite(final)
    final.parent.mkdir(parents=True, exist_ok=True)
    temporary = final.with_name(f".{final.name}.{secrets.token_hex(4)}.tmp")
    temporary.mkdir()
    try:
        write_files(temporary)
        write_text(temporary / CARD_FILE, model_card(config))
        files = {file.name: _describe(file) for file in sorted(temporary.iterdir())}
        complete = config.model_copy(update={"files": files})
        write_json(temporary / CONFIG_FILE, complete.model_dump(mode="json"))
        bundle = read_bundle(temporary)
        _replace(temporary, final)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return Bundle(final, bundle.config, bundle.tokenizer)


def refuse_to_overwrite(folder: Path) -> None:
    """Raise UsageError if ``folder`` holds anything but a bundle."""
    if folder.is_dir():
        free = (folder / CONFIG_FILE).is_file() or not any(folder.iterdir())
    else:
        free = not folder.exists()
    if not free:
        raise UsageError(
            f"{folder} exists and is not a bundle, so it is not overwritten. "
            "Give a folder that does not exist yet, or remove it first."
        )


def _describe(file: Path) -> FileSpec:
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    return FileSpec(sha256=digest, bytes=file.stat().st_size)


def _replace(temporary: Path, final: Path) -> None:
    """Put a folder in the place of another; the old one is moved aside, then removed."""
    if not final.exists():
        temporary.replace(final)
        return
    aside = final.with_name(f".{final.name}.{secrets.token_hex(4)}.old")
    final.replace(aside)
    try:
        temporary.replace(final)
    except OSError:
        aside.replace(final)
        raise
    shutil.rmtree(aside)
