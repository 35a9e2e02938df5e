"""The study of output layers: its measures against counts by hand, its path from end to end."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="studies need the train extra")
pytest.importorskip("matplotlib", reason="figures need the dev extra")

import torch

from common import REPOSITORY
from negah.models import ShowTell, ShowTellOptions
from negah.studies.memory import HeldBytes
from negah.studies.output_layer import STUDY
from negah.studies.output_layer.cells import WithOutputLayer, loss
from negah.studies.output_layer.cost import measure_costs, zipf_counts
from negah.studies.output_layer.heads import FullSoftmax, NegativeSampling, make_output_layer
from negah.studies.pages import made_parts, renew
from negah.studies.results import Results
from negah.text import EOS, SOS, UNK
from quick_study import quick_results, silent

PAGE = REPOSITORY / "docs" / "studies" / "output-layer.md"
VOCABULARY = 12


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return quick_results(STUDY, tmp_path_factory.mktemp("output-layer"))


def test_every_row_has_its_numbers(results: dict[str, Any]) -> None:
    found = Results(results)
    for variant in ("full softmax", "adaptive softmax", "negative sampling"):
        for measure in ("cider_d", "bleu_4", "nats", "parameters"):
            assert found.estimate(variant, measure) is not None, (variant, measure)
    assert found.estimate("negative sampling", "log_normaliser") is not None
    assert found.estimate("full softmax", "log_normaliser") is None
    assert len(found.curves("full softmax", "dev nats per token")[0]) == 2


def test_tables_verdicts_and_page(results: dict[str, Any]) -> None:
    parts = made_parts(STUDY, results)
    assert "| 20 | 20 / 19 / 20 | 1 / 1 / 1 | 20 / 20 / 20 |" in parts["counts"]
    assert "softmax 20/19/20, one sigmoid 1/1/1" in parts["verdicts"]
    assert parts["time"].count("\n") == 1 + 2 * 2
    assert parts["memory"].count("\n") == 1 + 2
    assert "nan" not in "".join(parts.values())
    renew(PAGE.read_text("utf-8"), parts)


def test_figures(results: dict[str, Any], tmp_path: Path) -> None:
    drawn = STUDY.figures(Results(results), tmp_path)
    assert {path.name for path in drawn} == {
        "output-layer-time.png",
        "output-layer-memory.png",
        "output-layer-results.png",
        "output-layer-curves.png",
    }
    assert all(path.stat().st_size > 1000 for path in drawn)


def make(name: str) -> tuple[ShowTell, WithOutputLayer]:
    torch.manual_seed(0)
    options = ShowTellOptions(embedding_size=16, hidden_size=16, dropout=0)
    own, other = ShowTell(options, 3, VOCABULARY), ShowTell(options, 3, VOCABULARY)
    other.load_state_dict(own.state_dict())
    model = WithOutputLayer(other, make_output_layer(name, 16, zipf_counts(VOCABULARY)))
    return own.eval(), model.eval()


def test_with_the_layer_that_was_taken_out_nothing_changes() -> None:
    own, model = make("full softmax")
    assert isinstance(model.layer, FullSoftmax)
    model.layer.scores.load_state_dict(own.output.state_dict())
    features = torch.randn(2, 1, 4, 3)
    inputs = torch.tensor([[[SOS, 5, 6], [SOS, 7, 0]], [[SOS, 4, 4], [SOS, 11, 5]]])
    counts = inputs > 0
    expected_NV = own(features, inputs, counts).log_softmax(-1)
    assert torch.allclose(model(features, inputs, counts), expected_NV, atol=1e-6)
    targets_N = torch.full((len(expected_NV),), EOS)
    mean = loss(model, features, inputs, counts, targets_N)
    assert torch.allclose(mean, -expected_NV[:, EOS].mean())


@pytest.mark.parametrize("name", ["full softmax", "adaptive softmax", "negative sampling"])
def test_step_by_step_is_teacher_forcing(name: str) -> None:
    _, model = make(name)
    features = torch.randn(2, 1, 4, 3)
    inputs_BKT = torch.tensor([[[SOS, 5, 6]], [[SOS, 4, 11]]])
    forced_TBV = model(features, inputs_BKT, inputs_BKT > 0).reshape(3, 2, VOCABULARY)
    memory, state = model.start(features)
    for place in range(3):
        output = model.step(memory, state, inputs_BKT[:, :, place])
        assert torch.allclose(output.logits[:, 0], forced_TBV[place], atol=1e-5)
        state = output.state


def test_held_bytes() -> None:
    """1,000 numbers of 4 bytes: two at once, a view and a change in place cost nothing."""
    with HeldBytes() as held:
        first = torch.zeros(1000)
        second = first + 1
        second.view(10, 100).add_(1)
        assert held.held == 8000
        del first
        third = second + 1
        assert held.held == 8000
        del second, third
    assert (held.held, held.peak) == (0, 8000)


def test_weights_are_counted_by_hand() -> None:
    (row,) = measure_costs([50], hidden=16, words=4, hypotheses=2, repeats=1, progress=silent)
    layers = row["layers"]
    for name in ("full softmax", "negative sampling", "negative sampling, sparse updates"):
        assert layers[name]["parameters_mb"] == 4 * 50 * 17 / 1e6
    for layer in layers.values():
        # weights, two moments of Adam, and what a step holds
        assert layer["peak_mb"] > 3 * layer["parameters_mb"]
    assert layers["full softmax"]["step"] == layers["full softmax"]["decode"] == 1


def test_zipf_counts() -> None:
    counts_V = zipf_counts(104)
    assert counts_V[[0, SOS, UNK]].sum() == 0
    assert counts_V[4:].tolist() == [round(100 / rank) for rank in range(1, 101)]
    assert counts_V[EOS] == counts_V.max()
    assert NegativeSampling(16, counts_V).noise_V.argmax() == EOS
