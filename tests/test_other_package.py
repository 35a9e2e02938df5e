"""Captioner, encoder and objective of another package, found by entry points."""

from __future__ import annotations

import importlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="training needs the train extra")
pytest.importorskip("lightning_fabric", reason="training needs the train extra")

import negah  # noqa: E402
from negah.bundle import read_bundle  # noqa: E402
from negah.errors import TrainingError, UnknownNameError, UsageError  # noqa: E402
from negah.export import load_captioner  # noqa: E402
from negah.export.run import export_run, load_run  # noqa: E402
from negah.models import CAPTIONERS, ENCODERS, CamRnnOptions, load_encoder  # noqa: E402
from negah.training import load_recipe  # noqa: E402
from negah.training.objectives import OBJECTIVES  # noqa: E402
from tiny_training import Recorder, interrupt, run_training, tiny_dataset, tiny_recipe  # noqa: E402

PACKAGE = Path(__file__).parent / "other_package"
REGISTRIES = CAPTIONERS.registry, OBJECTIVES.registry, ENCODERS

pytestmark = pytest.mark.usefixtures("one_thread", "other_package")


@pytest.fixture(scope="module")
def other_package() -> Iterator[None]:
    """As if it were installed; afterwards as if it had never been."""
    known = [dict(registry._loaded) for registry in REGISTRIES]
    sys.path.insert(0, str(PACKAGE))
    importlib.invalidate_caches()
    yield
    sys.path.remove(str(PACKAGE))
    importlib.invalidate_caches()
    for registry, before in zip(REGISTRIES, known, strict=True):
        registry._loaded.clear()
        registry._loaded.update(before)


def test_a_training_of_it_alone_resumes_exports_and_captions(tmp_path: Path) -> None:
    """Free-running captions of ONNX and PyTorch are the same; a resumed run ends in the same."""
    recipe, dataset = load_recipe(str(PACKAGE / "mean-gru.yaml")), tiny_dataset(tmp_path / "photos")
    whole, first, rest = Recorder(), Recorder(5, interrupt), Recorder()
    assert run_training(recipe, dataset, tmp_path / "run", tmp_path / "f", reporter=whole).finished
    run_training(recipe, dataset, tmp_path / "again", tmp_path / "f", reporter=first)
    run_training(recipe, dataset, tmp_path / "again", tmp_path / "f", reporter=rest)
    assert first.losses + rest.losses == whole.losses
    assert whole.losses[-1] < whole.losses[0] / 2
    rows = map(json.loads, (tmp_path / "run" / "log.jsonl").read_text().splitlines())
    assert all("missed" in row for row in rows if row["kind"] == "train")
    broken = load_recipe(
        str(PACKAGE / "mean-gru.yaml"), ["training.objective={kind: poly, epsilon: 1.0e+39}"]
    )
    with pytest.raises(TrainingError, match="the loss is inf at step 0; lower"):
        run_training(broken, dataset, tmp_path / "broken", tmp_path / "f")
    run = load_run(tmp_path / "run")
    photos = [example.path for example in dataset.examples]
    bundle, proof = export_run(run, tmp_path / "bundle", photos)
    assert proof is not None
    assert proof.equal_text_share == 1
    assert (bundle.config.model.kind, bundle.config.encoder.name) == ("mean-gru", "colour-grid")
    assert bundle.config.provenance.encoder_weights == "colour-grid"
    encoder, captioner = load_captioner(read_bundle(tmp_path / "bundle"))
    assert (encoder.grid, encoder.channels) == ((8, 8), 3)
    assert captioner.options == recipe.model
    assert negah.load(tmp_path / "bundle").caption(photos[0]).text


def test_names_and_mistakes_follow_from_the_registries() -> None:
    with pytest.raises(UnknownNameError, match=r"Did you mean 'mean-gru'\? Known: cam-rnn, mean-"):
        load_recipe("cam-rnn", ["model.kind=mean-gruu"])
    with pytest.raises(UsageError, match=r"model: unknown option 'hiden_size'.*hidden_size"):
        load_recipe(str(PACKAGE / "mean-gru.yaml"), ["model.hiden_size=3"])
    with pytest.raises(UnknownNameError, match=r"unknown objective 'pol'\. Did you mean 'poly'"):
        tiny_recipe("training.objective=pol")
    with pytest.raises(UsageError, match=r"training\.objective: weight: .*100"):
        tiny_recipe("training.objective={kind: unlikelihood, weight: 1000}")
    with pytest.raises(UnknownNameError, match=r"unknown encoder 'colour'.*Known: colour-grid"):
        load_encoder(tiny_recipe("encoder.name=colour").encoder)
    with pytest.raises(UsageError, match="trainable_blocks must be 0"):
        load_encoder(tiny_recipe("encoder.name=colour-grid").encoder)
    with pytest.raises(UsageError, match="need the field  kind"):
        CAPTIONERS.register("other", CamRnnOptions)
