"""The study of GloVe and a fine-tuned CNN: what learns in each case, and what is said of it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

pytest.importorskip("torch", reason="studies need the train extra")
pytest.importorskip("matplotlib", reason="figures need the dev extra")

import torch

from common import REPOSITORY
from negah.errors import UsageError
from negah.models import ShowTell, ShowTellOptions
from negah.studies import find_study
from negah.studies.captioning import (
    Variation,
    multiply_adds,
    open_captions,
    prepare_captions,
    train_captioner,
)
from negah.studies.made import make_photos
from negah.studies.made_of import environment
from negah.studies.pages import made_parts, renew
from negah.studies.results import Results
from negah.studies.study import Paths
from negah.studies.three_cases import STUDY
from negah.studies.three_cases.cells import (
    WithTail,
    check_source,
    make_captioner,
    tuned_encoder,
    with_tail,
)
from negah.studies.three_cases.study import (
    FROZEN,
    GLOVE_FROZEN,
    GLOVE_TUNED,
    LAST_LAYERS,
)

Cell = Literal["lstm", "gru", "gru-no-reset", "rnn"]
PAGE = REPOSITORY / "docs" / "studies" / "three-cases.md"


def silent(*_: Any) -> None:
    """No progress."""


pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(scope="module")
def paths(tmp_path_factory: pytest.TempPathFactory) -> Paths:
    folder = tmp_path_factory.mktemp("three-cases")
    return Paths(make_photos(folder / "photos"), folder / "work", folder / "features")


@pytest.fixture(scope="module")
def results(paths: Paths) -> dict[str, Any]:
    """In this process: that each cell has one of its own is tested with the harness."""
    options = STUDY.options(quick=True)
    STUDY.prepare(options, paths, silent)
    cells = [
        {"variant": variant, "seed": 0, **STUDY.run_cell(options, paths, variant, 0, silent)}
        for variant in STUDY.variants(options)
    ]
    found: dict[str, Any] = {
        "study": STUDY.name,
        "title": STUDY.title,
        "question": STUDY.question,
        "claim": STUDY.claim,
        "command": "negah study three-cases",
        "options": options.model_dump(mode="json"),
        "environment": environment(),
        "facts": STUDY.facts(options, paths, silent),
        "cells": cells,
    }
    return {**found, "verdicts": STUDY.verdicts(Results(found))}


def test_every_case_has_its_numbers(results: dict[str, Any]) -> None:
    assert find_study("three-cases") is STUDY
    found = Results(results)
    assert len(found.variants) == 5
    for variant in found.variants:
        for measure in ("cider_d", "bleu_1", "bleu_2", "bleu_4", "rouge_l", "nats", "learned"):
            assert found.estimate(variant, measure) is not None, (variant, measure)


def test_what_is_frozen_stays_and_what_learns_moves(results: dict[str, Any]) -> None:
    moved = {v: Results(results).values(v, "moved") for v in Results(results).variants}
    assert moved[FROZEN] is None
    assert moved[GLOVE_FROZEN] == [0.0]
    for variant in (GLOVE_TUNED, LAST_LAYERS):
        (share,) = moved[variant] or [0.0]
        assert share > 0.01, variant


def test_caching_changes_no_gradient(results: dict[str, Any]) -> None:
    gradients = results["facts"]["gradients"]
    assert gradients["float64"] < 1e-12
    assert gradients["float32"] < 1e-4
    assert 0 < gradients["stored as float16"] < 0.1
    caching = results["facts"]["caching"]
    assert 0 < caching["frozen"] < caching["cached"] < caching["recomputed"]


def test_coverage_is_of_the_training_captions(results: dict[str, Any]) -> None:
    """The made vectors leave out one word, the most frequent of the vocabulary."""
    coverage = results["facts"]["coverage"]
    assert coverage["types"] - coverage["found_types"] == 1
    assert len(coverage["missing"]) == 1
    assert coverage["found_running"] < coverage["running"]


def test_tables_verdicts_and_page(results: dict[str, Any]) -> None:
    parts = made_parts(STUDY, results)
    assert {"coverage", "caching", "gradients", "pretrained", "results", "cost"} <= parts.keys()
    assert "Claimed (b) > (c) > (a), by CIDEr-D" in parts["verdicts"]
    assert "times as fast" in parts["verdicts"]
    assert "nan" not in "".join(parts.values())
    renew(PAGE.read_text("utf-8"), parts)


def made_results(scores: Mapping[str, list[float]]) -> Results:
    """Cells with these CIDEr-D, one a seed."""
    cells = [
        {"variant": variant, "seed": seed, "values": {"cider_d": score}}
        for variant, values in scores.items()
        for seed, score in enumerate(values)
    ]
    return Results({"cells": cells})


@pytest.mark.parametrize(
    ("tuned", "layers", "frozen", "verdict"),
    [
        ([30, 31, 32], [20, 21, 22], [10, 11, 12], "the order holds, beyond chance"),
        ([30, 31, 32], [20, 41, 22], [10, 11, 12], "not all of it beyond chance"),
        ([10, 11, 12], [20, 21, 22], [10, 11, 12], "the order does not hold, beyond chance"),
        ([10, 11, 12], [15, 5, 25], [20, 21, 22], "the order does not hold, beyond chance"),
        ([20, 21, 22], [20, 31, 20], [10, 11, 12], "another order, which may be chance"),
        ([30], [20], [10], "not all of it beyond chance"),
    ],
)
def test_the_claimed_order(
    tuned: list[float], layers: list[float], frozen: list[float], verdict: str
) -> None:
    found = made_results({FROZEN: frozen, GLOVE_TUNED: tuned, LAST_LAYERS: layers})
    assert STUDY.order(found, "cider_d").endswith(f"{verdict}.")


def test_the_claimed_order_over_photos_and_in_nats() -> None:
    """Lower nats are better; photos may tell what seeds cannot."""
    nats = {FROZEN: 3.3, LAST_LAYERS: 3.2, GLOVE_TUNED: 3.1}
    cells = [
        {
            "variant": row, "seed": seed, "values": {"nats": mean + 0.3 * seed * (row == FROZEN)},
            "extra": {"photos": {"nats": [[10 * mean + n, 10] for n in range(20)]}},
        }
        for row, mean in nats.items()
        for seed in (0, 1)
    ]  # fmt: skip
    sentence = STUDY.order(Results({"cells": cells}), "nats")
    assert "(b) − (c) −0.100, over photos −0.100 to −0.100, p < 0.001" in sentence
    assert sentence.endswith(
        "over seeds the means are in this order, not all of it beyond chance; over photos the "
        "order holds, beyond chance."
    )


def test_exactly_three_convolutions_learn_and_batch_norms_stand_still(paths: Paths) -> None:
    """Also in training mode: neither frozen again, nor drifting."""
    options = STUDY.options(quick=True)
    captioning = with_tail(options)
    prepare_captions(captioning, paths, silent)
    data = open_captions(captioning, paths, silent, regions=True)
    encoder = tuned_encoder(options)
    captioner = make_captioner(options, encoder.channels, len(data.tokenizer))
    model = WithTail(encoder, captioner, data.standard)
    before = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}
    train_captioner(
        model, data, captioning, 0, progress=silent, label="", variation=Variation(validate=False)
    )
    moved = {n for n, tensor in encoder.state_dict().items() if not torch.equal(tensor, before[n])}
    assert moved == {n for n, p in encoder.named_parameters() if p.requires_grad}
    kernels = [n for n in moved if encoder.state_dict()[n].ndim == 4]
    assert len(kernels) == options.layers
    model.train()
    assert not any(module.training for module in model.tail.modules())
    assert model.captioner.training


def test_behind_the_tail_is_the_captioner_on_its_regions(paths: Paths) -> None:
    options = STUDY.options(quick=True)
    data = open_captions(with_tail(options), paths, silent, regions=True)
    encoder = tuned_encoder(options)
    torch.manual_seed(0)
    captioner = make_captioner(options, encoder.channels, 9)
    model = WithTail(encoder, captioner, data.standard).eval()
    trunk = data.train.features([0, 3])
    regions_BFRC = data.standard(encoder.tail(trunk[:, 0]))[:, None]
    tokens = torch.tensor([[[1, 4, 5]], [[1, 6, 8]]])
    counts = torch.ones_like(tokens, dtype=torch.bool)
    with torch.no_grad():
        torch.testing.assert_close(
            model(trunk, tokens, counts), model.captioner(regions_BFRC, tokens, counts)
        )
        memory, state = model.start(trunk)
        first = model.step(memory, state, tokens[..., 0]).logits
    torch.testing.assert_close(first[:, 0], model(trunk, tokens, counts)[:2], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("cell", "gates"), [("lstm", 4), ("gru", 3), ("gru-no-reset", 2), ("rnn", 1)]
)
def test_multiply_adds_by_hand(paths: Paths, cell: Cell, gates: int) -> None:
    captioning = STUDY.options(quick=True).captioning
    data = open_captions(captioning, paths, silent)
    size = len(data.tokenizer)
    e, d = captioning.embedding_size, captioning.hidden_size
    model = ShowTell(
        ShowTellOptions(cell=cell, embedding_size=e, hidden_size=d), data.channels, size
    )
    k = captioning.captions
    lengths = [[len(i) + 1 for i in data.ids(c[:k], 24)] for c in data.train.captions[:16]]
    longest = max(map(max, lengths))
    expected = data.channels * e  # the picture, once a photo
    expected += k * (1 + longest) * gates * (e + d) * d  # picture and padded words
    expected += np.mean([sum(of_photo) for of_photo in lengths]) * d * size
    assert multiply_adds(model, data, captioning) == pytest.approx(expected)


def test_a_group_learns_from_its_first_epoch_on(paths: Paths) -> None:
    captioning = STUDY.options(quick=True).captioning.model_copy(update={"epochs": 2})
    data = open_captions(captioning, paths, silent)
    torch.manual_seed(0)
    sizes = {"embedding_size": captioning.embedding_size, "hidden_size": captioning.hidden_size}
    model = ShowTell(ShowTellOptions(**sizes), data.channels, len(data.tokenizer))
    waiting = model.embedding.weight
    others = [p for p in model.parameters() if p is not waiting]
    seen = []
    train_captioner(
        model, data, captioning, 0, progress=silent, label="",
        variation=Variation(
            validate=False,
            parameters=[
                {"params": [waiting], "lr": 0.01, "first_epoch": 1},
                {"params": others, "lr": 0.01},
            ],
            hook=lambda *_: seen.append((waiting.detach().clone(), others[0].detach().clone())),
        ),
    )  # fmt: skip
    first, second = seen[0], seen[len(seen) // 2]  # as each epoch begins
    assert torch.equal(first[0], second[0])
    assert not torch.equal(first[1], second[1])
    assert not torch.equal(second[0], waiting)


def test_vectors_of_another_width_are_refused_first(tmp_path: Path) -> None:
    path = tmp_path / "v.txt"
    path.write_text("a 1 2 3\n", encoding="utf-8")
    options = STUDY.options(quick=True).model_copy(update={"vectors": str(path)})
    with pytest.raises(UsageError, match="3 numbers, word_size is 6"):
        check_source(options)
