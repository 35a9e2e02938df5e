"""Changing the description of a bundle; graphs, weights and tokenizer are kept."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from negah.bundle.reader import Bundle, read_bundle
from negah.bundle.schema import CARD_FILE
from negah.bundle.writer import write_bundle


def change_decoding(folder: str | Path, replacements: Mapping[str, Any]) -> Bundle:
    """Replace default decoding options of a bundle.

    Scores on its card were measured with the options before, so they are left out.

    Args:
        folder: of the bundle.
        replacements: options by name.

    Raises:
        BundleError: ``folder`` is no bundle, or a damaged one; or it lacks what the options need.
        UsageError: an unknown option, a wrong value, or a contradiction.
    """
    bundle = read_bundle(folder)
    decoding = bundle.config.decoding.changed(replacements)
    if decoding == bundle.config.decoding:
        return bundle
    return revise_bundle(bundle, folder, decoding=decoding, scores=())


def revise_bundle(
    bundle: Bundle,
    folder: str | Path,
    *,
    write_others: Callable[[Path], None] = lambda folder: None,
    **changes: Any,
) -> Bundle:
    """Write a bundle with some fields of its description replaced; card and checksums follow.

    Args:
        bundle: the model; it may be in ``folder``, which is then replaced in one step.
        folder: of the result.
        write_others: writes additional files into the given folder, replacing files with the
            same names.
        changes: fields of :class:`~negah.bundle.BundleConfig`, such as ``scores``.

    Raises:
        UsageError: ``folder`` contains something other than a bundle.
        BundleError: the changed description is not valid.
    """

    def copy_files(target: Path) -> None:
        for name in bundle.config.files:
            if name != CARD_FILE:
                shutil.copyfile(bundle.path / name, target / name)
        write_others(target)

    return write_bundle(folder, bundle.config.model_copy(update=changes), copy_files)
