"""Repositories of the Hugging Face hub: the cached copy, fetched first if it is incomplete."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from pathlib import Path

from negah.errors import UsageError

SCHEME = "hf:"

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")


def repository(name: str) -> str:
    """``hf:ORG/NAME@REVISION`` -> ``ORG/NAME``."""
    return name.removeprefix(SCHEME).partition("@")[0]


def fetch(name: str, patterns: Sequence[str], is_whole: Callable[[Path], bool]) -> Path:
    """The folder of a repository in the cache of the hub.

    The network is used only if the cache has no complete copy of the revision.

    Args:
        name: ``hf:ORG/NAME`` or ``hf:ORG/NAME@REVISION``.
        patterns: of the files to fetch, in the top folder.
        is_whole: whether a copy is complete.

    Raises:
        UsageError: there is no such repository, or the hub cannot be reached.
    """
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    if not _NAME.fullmatch(name.removeprefix(SCHEME)):
        raise UsageError(f"a model of the hub is named hf:ORG/NAME or hf:ORG/NAME@REVISION: {name}")
    revision = name.partition("@")[2] or None

    def snapshot(*, local: bool) -> Path:
        return Path(
            snapshot_download(
                repository(name),
                revision=revision,
                allow_patterns=list(patterns),
                ignore_patterns=["*/*"],
                local_files_only=local,
            )
        )

    try:
        folder = snapshot(local=True)
        if is_whole(folder):
            return folder
    except (LocalEntryNotFoundError, ValueError, OSError):
        pass  # asked of the hub, which says what is wrong
    return _download(name, lambda: snapshot(local=False))


def _download(name: str, snapshot: Callable[[], Path]) -> Path:
    from huggingface_hub import constants
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        return snapshot()
    except GatedRepoError:
        raise UsageError(
            f"{name}: its owners give it to those who agreed to their terms: agree on "
            f"https://huggingface.co/{repository(name)}, then run: hf auth login"
        ) from None
    except RevisionNotFoundError:
        revision = name.partition("@")[2]
        raise UsageError(f"{name}: the repository has no revision {revision!r}") from None
    except RepositoryNotFoundError:
        raise UsageError(f"{name}: the hub has no such model, or it is private") from None
    except LocalEntryNotFoundError:
        raise UsageError(
            f"{name}: the hub cannot be reached, and the model is not in the cache "
            f"({constants.HF_HUB_CACHE}), or not all of it: connect once, run 'hf download "
            f"{repository(name)}' where there is a network, or give the folder of the model"
        ) from None
    except Exception as error:  # HTTP, proxies, disks: many classes, and no base
        first = str(error).strip().partition("\n")[0]
        raise UsageError(f"{name} cannot be fetched: {type(error).__name__}: {first}") from error
