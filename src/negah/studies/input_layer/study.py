"""The study ``input-layer``: one-hot and embedding proved equal, words and real numbers tried."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from negah.studies.captioning.options import quick_captions
from negah.studies.input_layer.options import (
    DENSE,
    FRESH,
    FROZEN,
    TUNED,
    InputLayerOptions,
    WeatherOptions,
)
from negah.studies.results import Results, estimate
from negah.studies.study import Comparison, Measure, Paths, Progress, Study, markdown

_CELLS = ("GRU", "LSTM")
_BASELINES = ("persistence", "climatology", "linear regression")


class InputLayerStudy(Study):
    """Dense inputs against embeddings."""

    name: ClassVar[str] = "input-layer"
    title: ClassVar[str] = "When dense, when embedding"
    question: ClassVar[str] = (
        "When should a recurrent network read its input through an embedding, and when through a "
        "dense layer?"
    )
    claim: ClassVar[str] = (
        "An embedding is for words and a dense layer for continuous values; for words a dense "
        "layer on one-hot vectors does the same at a higher cost."
    )
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("mse", "mean squared error, °C²", 2, "weather", "lower"),
        Measure("mse_unseen", "the same, beyond training's temperatures", 2, "weather", "lower"),
        Measure("cider_d", "CIDEr-D", 1, "words"),
        Measure("bleu_4", "BLEU-4", 1, "words"),
        Measure("nats", "nats per token", 3, "words", "lower"),
        Measure("input_parameters", "parameters of the input layer", 0, "cost", "lower"),
    )
    comparisons: ClassVar[tuple[Comparison, ...]] = (
        *(
            Comparison(
                f"{cell}, {bins} bins", f"{cell}, {DENSE}", measure,
                f"embeddings of {bins} bins in place of real numbers",
            )
            for cell in _CELLS
            for bins in (10, 30, 100)
            for measure in ("mse", "mse_unseen")
        ),
        Comparison(FROZEN, FRESH, "cider_d", "frozen GloVe vectors in place of fresh ones"),
        Comparison(TUNED, FRESH, "cider_d", "fine-tuned GloVe vectors in place of fresh ones"),
        Comparison(TUNED, FROZEN, "cider_d", "fine-tuning the vectors"),
    )  # fmt: skip

    def options(self, quick: bool) -> InputLayerOptions:
        """(See the base class.)"""
        if not quick:
            return InputLayerOptions()
        weather = WeatherOptions(
            train_years=2, dev_years=1, test_years=2, bins=(10,), input_size=4, hidden_size=4,
            epochs=2,
        )  # fmt: skip
        return InputLayerOptions(
            seeds=(0, 1), weather=weather, captioning=quick_captions(embedding_size=50), vectors="",
            proved=20, proof_steps=3, vocabularies=(50, 100), words=8, embedding_size=4, repeats=2,
        )  # fmt: skip

    def variants(self, options: Any) -> Sequence[str]:
        """Forecasters, then captioners."""
        kinds = (DENSE, *(f"{bins} bins" for bins in options.weather.bins))
        forecasters = [f"{cell}, {kind}" for cell in _CELLS for kind in kinds]
        return [*forecasters, *((FRESH, FROZEN, TUNED) if options.vectors else ())]

    def prepare(self, options: Any, paths: Paths, progress: Progress) -> None:
        """(See the base class.)"""
        if options.vectors:
            from negah.studies.captioning import prepare_captions

            prepare_captions(options.captioning, paths, progress)

    def run_cell(
        self, options: Any, paths: Paths, variant: str, seed: int, progress: Progress
    ) -> dict[str, Any]:
        """(See the base class.)"""
        if variant in (FRESH, FROZEN, TUNED):
            from negah.studies.input_layer import captioner

            return captioner.run_cell(options, paths, variant, seed, progress)
        from negah.studies.input_layer import forecast

        return forecast.run_cell(options.weather, variant, seed, progress)

    def facts(self, options: Any, paths: Paths, progress: Progress) -> dict[str, Any]:
        """The proof of equality, the cost of both layers, and forecasts without a network."""
        from negah.studies.input_layer.forecast import baselines
        from negah.studies.input_layer.proof import measure_costs, prove_equal
        from negah.studies.input_layer.weather import NOISE

        found = [baselines(options.weather, seed) for seed in options.seeds]
        return {
            "proof": prove_equal(
                vocabulary=options.proved, size=16, steps=options.proof_steps, seed=0
            ),
            "costs": measure_costs(
                options.vocabularies,
                size=options.embedding_size,
                words=options.words,
                repeats=options.repeats,
                progress=progress,
            ),
            "baselines": {
                name: {m: [one[name][m] for one in found] for m in ("mse", "mse_unseen")}
                for name in _BASELINES
            },
            "best_possible": NOISE**2,
        }

    def tables(self, results: Results) -> dict[str, str]:
        """``proof``, ``layers``, ``weather`` with its baselines, ``words`` and ``cost``."""
        found = {
            "proof": _proof(results),
            "layers": _layers(results),
            "weather": _weather(self._table(_having(results, "mse"), "weather"), results),
            "cost": self._table(results, "cost"),
        }
        words = _having(results, "cider_d")
        found["words"] = self._table(words, "words") if words.variants else ""
        return found

    def verdicts(self, results: Results) -> list[str]:
        """The proof and the cost first, then what was trained."""
        proof = results.facts["proof"]
        last = results.facts["costs"][-1]
        one_hot = last["layers"]["one-hot + dense"]
        return [
            "One-hot + dense and an embedding, largest difference in float64: outputs "
            f"{proof['outputs']:.1e}, gradients {proof['gradients']:.1e}, weights after training "
            f"{proof['weights']:.1e}.",
            f"At {last['vocabulary']:,} words one-hot + dense takes {one_hot['share']:.1f} times "
            f"the embedding's time and holds {one_hot['held_mb']:,.1f} MB against "
            f"{last['layers']['embedding']['held_mb']:,.1f} MB.",
            *super().verdicts(results),
        ]

    def figures(self, results: Results, folder: Path) -> list[Path]:
        """Cost over the vocabulary, errors with their baselines, and a stretch of forecasts."""
        from negah.studies.figures import draw_bars
        from negah.studies.input_layer.figures import draw_costs, draw_forecasts

        weather, words = _having(results, "mse"), _having(results, "cider_d")
        drawn = [
            draw_costs(results, folder / f"{self.name}-cost.png"),
            draw_forecasts(weather, folder / f"{self.name}-forecast.png"),
            draw_bars(weather, self.measures[:2], folder / f"{self.name}-weather.png"),
        ]
        if words.variants:
            drawn.append(draw_bars(words, self.measures[2:5], folder / f"{self.name}-words.png"))
        return drawn


def _having(results: Results, measure: str) -> Results:
    """The rows that have a measure."""
    cells = [cell for cell in results.raw["cells"] if measure in cell["values"]]
    return Results({**results.raw, "cells": cells})


def _proof(results: Results) -> str:
    proof = results.facts["proof"]
    names = ("outputs", "gradients", "weights")
    return markdown(
        ["", *names], [["largest difference", *(f"{proof[name]:.1e}" for name in names)]]
    )


def _layers(results: Results) -> str:
    rows = []
    for row in results.facts["costs"]:
        embedding, one_hot = row["layers"]["embedding"], row["layers"]["one-hot + dense"]
        rows.append(
            [
                f"{row['vocabulary']:,}",
                f"{embedding['ms']:,.2f}",
                f"{one_hot['share']:,.1f}",
                f"{embedding['held_mb']:,.2f}",
                f"{one_hot['held_mb']:,.2f}",
                f"{one_hot['multiply_adds'] / 1e6:,.0f}",
            ]
        )
    return markdown(
        [
            "words", "embedding, ms", "one-hot, times that", "embedding holds, MB",
            "one-hot holds, MB", "one-hot, million multiply-adds",
        ],
        rows,
    )  # fmt: skip


def _weather(table: str, results: Results) -> str:
    rows = []
    for name, found in results.facts["baselines"].items():
        cells = [estimate(found[measure]).text(2) for measure in ("mse", "mse_unseen")]
        rows.append(f"| {name} | {cells[0]} | {cells[1]} |")
    best = f"{results.facts['best_possible']:.2f}"
    return "\n".join([table, *rows, f"| the best possible | {best} | {best} |"])
