"""Random numbers of the library's own: the same as from a global seed, without a trace."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

pytest.importorskip("torch", reason="models need the train extra")
pytest.importorskip("lightning_fabric", reason="training needs the train extra")

import torch

from negah.models.seeding import random_state, seeded, set_random_state
from negah.training import Environment, train
from tiny_training import store_features, tiny_dataset, tiny_recipe


def test_as_from_a_global_seed_and_without_a_trace() -> None:
    torch.manual_seed(7)
    expected, following = torch.rand(3), torch.rand(3)
    torch.manual_seed(11)
    before = torch.get_rng_state()
    with seeded(7):
        assert torch.equal(torch.rand(3), expected)
        with seeded(7):
            assert torch.equal(torch.rand(3), expected)
        assert torch.equal(torch.rand(3), following)
    assert torch.equal(torch.get_rng_state(), before)
    with pytest.raises(ZeroDivisionError), seeded(7):
        _ = torch.rand(3), 1 // 0
    assert torch.equal(torch.get_rng_state(), before)


def test_a_state_goes_on_where_it_was() -> None:
    with seeded(7):
        torch.rand(3)
        state = random_state()
        expected = torch.rand(3)
        set_random_state(state)
        assert torch.equal(torch.rand(3), expected)
        with pytest.raises(RuntimeError):
            set_random_state(state[:8])


@pytest.mark.usefixtures("one_thread")
def test_a_training_leaves_chance_and_signals_as_they_were(tmp_path: Path) -> None:
    store_features(tmp_path)
    own = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    before = torch.get_rng_state()
    recipe, dataset = tiny_recipe("training.epochs=1"), tiny_dataset(tmp_path / "pictures")
    train(recipe, dataset, tmp_path / "run", Environment(tmp_path / "features"))
    assert torch.equal(torch.get_rng_state(), before)
    assert {number: signal.getsignal(number) for number in own} == own
