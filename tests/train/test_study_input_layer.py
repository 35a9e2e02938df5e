"""The study of input layers: equality proved, its weather against its law, end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch", reason="studies need the train extra")
pytest.importorskip("matplotlib", reason="figures need the dev extra")

import torch

from common import REPOSITORY
from negah.studies.input_layer import STUDY
from negah.studies.input_layer.layers import BinnedEmbedding, OneHotDense
from negah.studies.input_layer.options import FRESH, FROZEN, TUNED
from negah.studies.input_layer.proof import measure_costs, prove_equal
from negah.studies.input_layer.weather import (
    NOISE,
    judged_days,
    make_weather,
    simple_forecasts,
    squared_error,
)
from negah.studies.made import make_photos
from negah.studies.pages import made_parts, renew
from negah.studies.results import Results
from negah.studies.study import Paths
from quick_study import quick_results, silent

PAGE = REPOSITORY / "docs" / "studies" / "input-layer.md"


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return quick_results(STUDY, tmp_path_factory.mktemp("input-layer"))


def test_an_embedding_is_one_hot_and_dense() -> None:
    worst = prove_equal(vocabulary=30, size=6, steps=5, seed=1)
    assert worst.keys() == {"outputs", "gradients", "weights"}
    assert all(difference <= 1e-12 for difference in worst.values()), worst


def test_the_proof_would_see_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    lookup = OneHotDense.forward
    monkeypatch.setattr(OneHotDense, "forward", lambda self, words: 1.001 * lookup(self, words))
    assert min(prove_equal(vocabulary=30, size=6, steps=2, seed=1).values()) > 1e-6


def test_memory_of_one_hot_grows_with_the_vocabulary() -> None:
    rows = measure_costs([100, 200], size=4, words=50, repeats=1, progress=silent)
    for row in rows:
        held = row["layers"]["one-hot + dense"]["held_mb"]
        # one-hot as int64 and as float32
        assert held * 1e6 >= 50 * row["vocabulary"] * (8 + 4)
        assert row["layers"]["one-hot + dense"]["multiply_adds"] == 50 * row["vocabulary"] * 4
        assert row["layers"]["embedding"]["held_mb"] < held


def test_bins_are_looked_up_and_summed() -> None:
    values = torch.stack([torch.arange(8.0), torch.arange(8.0).flip(0)], dim=1)
    layer = BinnedEmbedding(values, bins=4, embedding_size=3)
    first, second = (table.weight for table in layer.tables)
    assert torch.allclose(layer(values[None, None, 0]), (first[0] + second[3])[None, None])
    assert torch.allclose(layer(values[5:6]), first[2:3] + second[1:2])
    far = torch.tensor([[-100.0, 100.0]])
    assert torch.allclose(layer(far), first[:1] + second[3:])
    assert layer(values.reshape(2, 4, 2)).shape == (2, 4, 3)


def test_no_forecast_beats_the_law_and_the_law_is_the_noise() -> None:
    """The best forecast, written from the law, has the mean squared error of the noise."""
    weather = make_weather(40, np.random.default_rng(0))
    temperature_N, pressure_N, _, _, cosine_N = weather.values_NX.T
    anomaly_N = temperature_N - 10 + 10 * cosine_N
    by_law_N = (0.7 * anomaly_N - 1.8 * (pressure_N - 1013) / 8 * cosine_N)[:-1]
    chosen_N = judged_days(weather)
    best = squared_error(by_law_N + 10 - 10 * cosine_N[1:], weather, chosen_N)
    assert best == pytest.approx(NOISE**2, rel=0.05)
    simple = simple_forecasts(make_weather(20, np.random.default_rng(1)), weather)
    errors = {name: squared_error(found, weather, chosen_N) for name, found in simple.items()}
    assert all(error > 1.1 * best for error in errors.values()), errors


def test_days_beyond_training_are_chosen_by_temperature_alone() -> None:
    random = np.random.default_rng(2)
    train, shocks = make_weather(5, random), make_weather(10, random, shocks=0.03)
    chosen_N = judged_days(shocks, train)
    today_N = shocks.temperature[:-1][chosen_N]
    low, high = train.temperature.min(), train.temperature.max()
    assert len(today_N) > 10
    assert ((today_N < low) | (today_N > high)).all()
    assert not shocks.shocked_N[1:][chosen_N].any()


def test_tables_verdicts_and_page(results: dict[str, Any]) -> None:
    parts = made_parts(STUDY, results)
    assert "| the best possible | 2.25 | 2.25 |" in parts["weather"]
    assert "| persistence |" in parts["weather"]
    assert parts["words"] == ""
    assert "largest difference in float64: outputs" in parts["verdicts"]
    assert "embeddings of 10 bins" in parts["verdicts"].lower()
    assert "nan" not in "".join(parts.values())
    renew(PAGE.read_text("utf-8"), parts)


def test_figures(results: dict[str, Any], tmp_path: Path) -> None:
    drawn = STUDY.figures(Results(results), tmp_path)
    names = {"input-layer-cost.png", "input-layer-forecast.png", "input-layer-weather.png"}
    assert {path.name for path in drawn} == names
    assert all(path.stat().st_size > 1000 for path in drawn)


def test_captioners_with_vectors_of_a_file(tmp_path: Path) -> None:
    vectors = tmp_path / "vectors.50d.txt"
    rows = np.random.default_rng(0).standard_normal((3, 50))
    words = zip(("red", "circle", "a"), rows, strict=True)
    vectors.write_text("".join(f"{word} {' '.join(map(str, row))}\n" for word, row in words))
    options = STUDY.options(quick=True).model_copy(update={"vectors": str(vectors)})
    assert list(STUDY.variants(options))[-3:] == [FRESH, FROZEN, TUNED]
    paths = Paths(make_photos(tmp_path / "photos"), tmp_path / "work", tmp_path / "features")
    STUDY.prepare(options, paths, silent)
    losses = []
    for variant in (FRESH, FROZEN, TUNED):
        cell = STUDY.run_cell(options, paths, variant, 0, silent)
        assert {"cider_d", "bleu_4", "nats", "input_parameters"} == cell["values"].keys()
        losses.append(cell["values"]["nats"])
    assert len(set(losses)) == 3
