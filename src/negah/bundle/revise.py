"""Changing the description of a bundle: graphs, weights and tokenizer are kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from negah.bundle.reader import Bundle
from negah.bundle.schema import CARD_FILE
from negah.bundle.writer import write_bundle


def revise_bundle(
    bundle: Bundle,
    folder: str | Path,
    *,
    write_others: Callable[[Path], None] = lambda folder: None,
    **changes: Any,
) -> Bundle:
    """Write a bundle with some fields of its description replaced; card and checksums follow.

    Args:
        bundle: the model; it may stand in ``folder``, which is then replaced in one step.
        folder: where the result shall be.
        write_others: writes further files into the folder that it is given, over those of the
            same names.
        changes: fields of :class:`~negah.bundle.BundleConfig`, such as ``scores``.

    Raises:
        UsageError: ``folder`` is something else than a bundle, which is not overwritten.
        BundleError: the changed description is not valid.
    """

    def copy_files(target: Path) -> None:
        for name in bundle.config.files:
            if name != CARD_FILE:
                shutil.copyfile(bundle.path / name, target / name)
        write_others(target)

    return write_bundle(folder, bundle.config.model_copy(update=changes), copy_files)
