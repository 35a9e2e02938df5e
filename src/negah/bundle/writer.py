"""Writing bundles atomically."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from negah.bundle.card import model_card
from negah.bundle.reader import Bundle, read_bundle
from negah.bundle.schema import CARD_FILE, CONFIG_FILE, BundleConfig, FileSpec
from negah.errors import UsageError
from negah.files import temporary_folder, write_json, write_text
from negah.hashing import content_sha256


def write_bundle(
    folder: str | Path, config: BundleConfig, write_files: Callable[[Path], None]
) -> Bundle:
    """Write a bundle beside ``folder``, check it, and rename it into place.

    The card is generated from ``config``; sizes and checksums are those of the files on the disk.

    Args:
        folder: of the bundle; an existing bundle or an empty folder is replaced. Other files in
            the folder are kept.
        config: the description; its ``files`` are filled in here.
        write_files: writes tokenizer, graphs and weights into the given folder.

    Raises:
        UsageError: ``folder`` contains something other than a bundle.
        BundleError: the written bundle does not pass :func:`read_bundle`.
    """
    refuse_to_overwrite(Path(folder))
    with temporary_folder(Path(folder)) as temporary:
        write_files(temporary)
        write_text(temporary / CARD_FILE, model_card(config))
        files = {file.name: _describe(file) for file in sorted(temporary.iterdir())}
        complete = config.model_copy(update={"files": files})
        write_json(temporary / CONFIG_FILE, complete.model_dump(mode="json"))
        bundle = read_bundle(temporary)
        _replace(temporary, Path(os.path.realpath(folder)))
    return replace(bundle, path=Path(folder))


def refuse_to_overwrite(folder: Path) -> None:
    """Raise UsageError if ``folder`` is not empty and contains no bundle."""
    free = not os.path.lexists(folder)
    if folder.is_dir():
        free = not any(folder.iterdir()) or bool(_own_files(folder))
    if not free:
        raise UsageError(
            f"{folder} exists and is not a bundle, so it is not overwritten. "
            "Give a folder that does not exist yet, or remove it first."
        )


def _own_files(folder: Path) -> set[str]:
    """The names of a bundle's files; empty if there is no bundle."""
    try:
        config = json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8"))
        return {CONFIG_FILE, CARD_FILE, *config["files"]}
    except (OSError, ValueError, KeyError, TypeError):
        return set()


def _describe(file: Path) -> FileSpec:
    return FileSpec(sha256=content_sha256(file), bytes=file.stat().st_size)


def _replace(temporary: Path, final: Path) -> None:
    """Replace a folder by another one; the old one is first moved aside.

    Other files of the old folder are copied before that, so that after any interruption they are in
    one of the two.
    """
    if not final.exists():
        temporary.replace(final)
        return
    own = _own_files(final)
    for other in [file for file in final.iterdir() if file.name not in own]:
        if (temporary / other.name).exists():
            raise UsageError(
                f"{final} holds {other.name}, which is not of the bundle there and would be "
                "replaced: move it elsewhere first"
            )
        if other.is_dir() and not other.is_symlink():
            shutil.copytree(other, temporary / other.name, symlinks=True)
        else:
            shutil.copy2(other, temporary / other.name, follow_symlinks=False)
    shutil.copymode(final, temporary)
    with temporary_folder(final) as aside:
        final.replace(aside / "old")
        try:
            temporary.replace(final)
        except BaseException:
            (aside / "old").replace(final)
            raise
