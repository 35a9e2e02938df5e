"""Which run a folder holds: a new one is set up, the same one goes on, another one is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
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
from negah.training.sources import Source


@contextmanager
def hold(run: RunFolder) -> Iterator[None]:
    """Hold the lock of a run; a folder that is new and got no run is taken away again.

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
                    with suppress(OSError):  # something else is in it
                        run.path.rmdir()


def open_run(
    run: RunFolder,
    recipe: Recipe,
    source: Source,
    identity: Mapping[str, Any],
    fabric: Fabric,
    initial: Tokenizer | None = None,
) -> Tokenizer:
    """The tokenizer of the run; a new run is set up, another one refused.

    Args:
        run: its folder, which is there and whose lock this training holds.
        recipe: what is trained.
        source: whose captions a new vocabulary is of.
        identity: what ``run.json`` holds.
        fabric: of whose processes the first writes.
        initial: of the model that a new run starts from; with ``initial.keep_words`` its words
            stay.

    Raises:
        CheckpointError: the folder holds another run, or something else.
        UsageError: ``text.tokenizer`` is another than that of the words that stay.
    """
    if fabric.is_global_zero and not run.description.exists():
        kept = initial if recipe.initial.keep_words else None
        recipe.text.build(source.vocabulary_captions(), kept).save(run.tokenizer)
        write_json(run.description, identity)
    fabric.barrier()
    refuse_another_run(run, identity)
    return load_tokenizer(run.tokenizer)


def refuse_another_run(run: RunFolder, identity: Mapping[str, Any]) -> None:
    """Refuse a folder that holds another run.

    Called before features are computed, and again when the number of photos is known.

    Raises:
        CheckpointError: the folder holds another run, or something else.
    """
    if not run.description.exists():
        _refuse_to_write_over(run)
        return
    found = run.facts()
    recorded = DataRecord.read(found)
    weights = found.get("recipe", {}).get("encoder", {}).get("weights", "auto")
    refuse_changed_encoder(recorded, weights)
    with suppress(UsageError, KeyError):
        # resolved again: a run of before a section or an option was there has its defaults
        recipe = Recipe.parse(found["recipe"], where=RUN)
        found["recipe"] = recipe.model_dump(mode="json")
    if same_data(found.get("data"), identity["data"]):
        found["data"] = identity["data"]
    different = [key for key in identity if found.get(key) != identity[key]]
    if different:
        raise CheckpointError(
            f"{run.path} holds a run with another {' and '.join(different)}. Go on with the "
            "command that started it, or give a new folder with --output."
        )


def _refuse_to_write_over(run: RunFolder) -> None:
    """A new run takes no names that are taken.

    A lock and a tokenizer may be of a run that ended before it had a description.
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
            f"{run.path} is no training run (no {RUN}) and holds {', '.join(taken)}, which a run "
            "would write over; choose another folder"
        )
