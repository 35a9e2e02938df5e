"""The run in a folder: a new one is set up, the same one is resumed, a different one is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import Any

from lightning_fabric import Fabric

from negah.errors import CheckpointError, NegahError, UsageError
from negah.files import write_json
from negah.locks import exclusive, is_lock, remove_lock
from negah.run_folder import BUNDLE, LOCK, LOG, RUN, TOKENIZER, RunFolder
from negah.text import Tokenizer, load_tokenizer
from negah.training.initial import refuse_changed_encoder
from negah.training.provenance import DataRecord, same_data
from negah.training.recipe import Recipe

#: Names of keys of ``run.json`` in messages.
_NAMES = {"teachers": "teachers or weights of teachers"}

#: Of runs that do not say; as Lightning Fabric calls it.
PRECISION = "32-true"


@contextmanager
def hold(run: RunFolder) -> Iterator[None]:
    """Hold the lock of a run; a new folder that got no run is removed again.

    Raises:
        LockedError: another process trains into it.
    """
    is_new = not run.path.exists()
    run.path.mkdir(parents=True, exist_ok=True)
    with exclusive(run.lock, f"training into {run.path}"):
        try:
            yield
        finally:
            if not run.description.exists():
                remove_lock(run.lock)
                if is_new:
                    with suppress(OSError):  # the folder has other content
                        run.path.rmdir()


def open_run(
    run: RunFolder,
    identity: Mapping[str, Any],
    fabric: Fabric,
    words: Callable[[], Tokenizer],
) -> Tokenizer:
    """The tokenizer of the run; a new run is set up, a different one refused.

    Args:
        run: its folder, which exists and whose lock this training holds.
        identity: the content of ``run.json``.
        fabric: of whose processes the first writes.
        words: makes the tokenizer of a new run.

    Raises:
        CheckpointError: the folder contains a different run, or something else.
        UsageError: as ``words``.
    """
    if fabric.is_global_zero and not run.description.exists():
        words().save(run.tokenizer)
        write_json(run.description, identity)
    fabric.barrier()
    refuse_another_run(run, identity)
    return load_tokenizer(run.tokenizer)


def refuse_another_run(run: RunFolder, identity: Mapping[str, Any]) -> None:
    """Refuse a folder that contains a different run.

    Called before features are computed, and again when the number of photos is known.

    Raises:
        CheckpointError: the folder holds another run, or something else.
    """
    if not run.description.exists():
        _refuse_to_write_over(run)
        return
    found = {"precision": PRECISION, **run.facts()}
    recorded = DataRecord.read(found)
    weights = found.get("recipe", {}).get("encoder", {}).get("weights", "auto")
    refuse_changed_encoder(recorded, weights)
    with suppress(UsageError, KeyError):
        # resolved again: runs written before a section or option existed get its defaults
        recipe = Recipe.parse(found["recipe"], where=RUN)
        found["recipe"] = recipe.model_dump(mode="json")
        # a text for people: rewording it makes no other run
        found["recipe"]["description"] = identity["recipe"]["description"]
    if same_data(found.get("data"), identity["data"]):
        found["data"] = identity["data"]
    different = [_NAMES.get(key, key) for key in identity if found.get(key) != identity[key]]
    if different:
        raise CheckpointError(
            f"{run.path} contains another run (different {' and '.join(different)}). Resume it "
            f"with the command that started it, or give a new folder with --output."
        )


def _refuse_to_write_over(run: RunFolder) -> None:
    """Refuse to overwrite existing files by a new run.

    A lock and a tokenizer may be left by a run that ended before its description was written.
    """
    taken = sorted(path.name for path in run.path.glob("*.safetensors"))
    taken += [name for name in (LOG, BUNDLE) if (run.path / name).exists()]
    if run.lock.exists() and not is_lock(run.lock):
        taken.append(LOCK)
    if run.tokenizer.exists():
        try:
            load_tokenizer(run.tokenizer)
        except NegahError:
            taken.append(TOKENIZER)
    if taken:
        raise CheckpointError(
            f"{run.path} is not a training run (no {RUN}) and contains {', '.join(taken)}, which "
            f"a run would overwrite; choose another folder"
        )
