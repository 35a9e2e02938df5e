"""Which run a folder holds: a new one is set up, the same one goes on, another one is refused."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from lightning_fabric import Fabric

from negah.errors import CheckpointError, NegahError, UsageError
from negah.files import write_json
from negah.run_folder import BUNDLE, LOCK, LOG, RUN, TOKENIZER, RunFolder
from negah.text import Tokenizer, load_tokenizer
from negah.training.provenance import same_data
from negah.training.recipe import Recipe
from negah.training.sources import Source


def open_run(
    run: RunFolder, recipe: Recipe, source: Source, identity: Mapping[str, Any], fabric: Fabric
) -> Tokenizer:
    """The tokenizer of the run; a new run is set up, another one refused.

    Args:
        run: its folder.
        recipe: what is trained.
        source: whose captions a new vocabulary is of.
        identity: what ``run.json`` holds.
        fabric: of whose processes the first writes.

    Raises:
        CheckpointError: the folder holds another run, or something else.
    """
    if fabric.is_global_zero and not run.description.exists():
        run.path.mkdir(parents=True, exist_ok=True)
        recipe.text.build(source.vocabulary_captions()).save(run.tokenizer)
        write_json(run.description, identity)
    fabric.barrier()
    refuse_another_run(run, identity)
    return load_tokenizer(run.tokenizer)


def refuse_another_run(run: RunFolder, identity: Mapping[str, Any]) -> None:
    """Before an hour of features is computed for nothing, and again with the number of photos.

    Raises:
        CheckpointError: the folder holds another run, or something else.
    """
    if not run.description.exists():
        _refuse_to_write_over(run)
        return
    try:
        found = run.facts()
    except (OSError, ValueError):
        raise CheckpointError(
            f"{run.description} is not of a training run of Negah; choose another folder"
        ) from None
    with suppress(UsageError, KeyError, TypeError):
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
    """A new run takes no names that are taken; a tokenizer may be of a run that was killed."""
    taken = sorted(path.name for path in run.path.glob("*.safetensors"))
    taken += [name for name in (LOG, LOCK, BUNDLE) if (run.path / name).exists()]
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
