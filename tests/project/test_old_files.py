"""What versions before wrote is still read: see the deprecation policy in CONTRIBUTING.md.

``old/`` holds the description of a bundle and of a run as Negah wrote them on 2026-11-23. Who
changes the files of bundles or runs adds the next, and takes none away.
"""

from __future__ import annotations

import copy
import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from common import REPOSITORY
from negah.bundle import read_config

OLD = REPOSITORY / "tests" / "old"
BUNDLES = sorted(OLD.glob("bundle-*.json"))
RUNS = sorted(OLD.glob("run-*.json"))


def _kept(old: Any, new: Any) -> bool:
    """Whether all that was said is still said; what is new has come beside it."""
    if isinstance(old, dict):
        return isinstance(new, dict) and all(k in new and _kept(v, new[k]) for k, v in old.items())
    return bool(old == new)


@pytest.mark.parametrize("file", BUNDLES, ids=lambda path: path.stem)
def test_the_description_of_an_old_bundle_is_read(file: Path, tmp_path: Path) -> None:
    shutil.copy(file, tmp_path / "bundle.json")
    old = json.loads(file.read_text("utf-8"))
    config = read_config(tmp_path)
    assert config.name == old["name"]
    assert _kept(old["decoding"], config.decoding.model_dump(mode="json"))
    assert {name: spec.sha256 for name, spec in config.files.items()} == {
        name: spec["sha256"] for name, spec in old["files"].items()
    }


@pytest.mark.parametrize("file", [*BUNDLES, *RUNS], ids=lambda path: path.stem)
def test_an_old_recipe_trains_what_it_trained(file: Path) -> None:
    """Every option that it states has its value; options that it does not know have defaults."""
    pytest.importorskip("torch", reason="recipes need the train extra")
    from negah.training import Recipe

    old = json.loads(file.read_text("utf-8"))["recipe"]
    recipe = Recipe.parse(old, where=file.name).model_dump(mode="json")
    assert _kept(old, recipe)


@pytest.mark.parametrize("file", RUNS, ids=lambda path: path.stem)
def test_an_old_run_goes_on_and_another_is_refused(file: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="runs need the train extra")
    from negah.errors import CheckpointError
    from negah.run_folder import RunFolder
    from negah.training import Recipe
    from negah.training.identity import refuse_another_run

    shutil.copy(file, tmp_path / "run.json")
    old = json.loads(file.read_text("utf-8"))
    # the same command, given to this version: its recipe, resolved anew, and the same data
    recipe = Recipe.parse(copy.deepcopy(old["recipe"]), where="recipe").model_dump(mode="json")
    same = {"recipe": recipe, "data": old["data"], "training_photos": old["training_photos"]}
    refuse_another_run(RunFolder(tmp_path), same)
    reworded = copy.deepcopy(same)
    reworded["recipe"]["description"] = "The same training in other words."
    refuse_another_run(RunFolder(tmp_path), reworded)
    other = copy.deepcopy(same)
    other["recipe"]["training"]["learning_rate"] *= 2
    with pytest.raises(CheckpointError, match="different recipe"):
        refuse_another_run(RunFolder(tmp_path), other)
