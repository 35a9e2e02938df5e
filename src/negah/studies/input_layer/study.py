"""The study ``input-layer``: one-hot and embedding proved equal, words and real numbers tried."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from typing import Any, ClassVar

from negah.studies.captioning.options import quick_captions
from negah.studies.input_layer.figures import draw_forecasts
from negah.studies.input_layer.options import (
    CAPTIONERS,
    DENSE,
    FRESH,
    FROZEN,
    TUNED,
    InputLayerOptions,
    WeatherOptions,
)
from negah.studies.study import (
    Bars,
    Chart,
    Comparison,
    Drawn,
    FactSentence,
    FactTable,
    Layers,
    Measure,
    Results,
    Study,
    StudyOptions,
)

_CELLS = ("GRU", "LSTM")


_PROVED = ("outputs", "gradients", "weights")
_PROOF_TEXT = FactSentence(
    "One-hot + dense and embedding, largest difference in float64: outputs "
    "{proof[outputs]:.1e}, gradients {proof[gradients]:.1e}, weights after training "
    "{proof[weights]:.1e}."
)
_COST_TEXT = FactSentence(
    "With a vocabulary of {vocabulary:,} words, one-hot + dense takes "
    "{layers[one-hot + dense][share]:.1f} times as long as the embedding, and "
    "{layers[one-hot + dense][held_mb]:,.1f} MB instead of {layers[embedding][held_mb]:,.1f} MB.",
    each="costs",
)


class InputLayerStudy(Study):
    """Dense inputs against embeddings."""

    name: ClassVar[str] = "input-layer"
    title: ClassVar[str] = "Embedding or dense input layer"
    question: ClassVar[str] = (
        "When should a recurrent network read its input through an embedding, and when through a "
        "dense layer?"
    )
    claim: ClassVar[str] = (
        "An embedding is for words and a dense layer for continuous values; for words a dense "
        "layer on one-hot vectors does the same at a higher cost."
    )
    full: ClassVar[StudyOptions] = InputLayerOptions()
    quick: ClassVar[StudyOptions] = InputLayerOptions(
        seeds=(0, 1),
        weather=WeatherOptions(
            train_years=2, dev_years=1, test_years=2, bins=(10,), input_size=4, hidden_size=4,
            epochs=2,
        ),
        captioning=quick_captions(embedding_size=50), vectors="", proved=20, proof_steps=3,
        vocabularies=(50, 100), words=8, embedding_size=4, repeats=2,
    )  # fmt: skip
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("mse", "mean squared error, °C²", 2, "weather", "lower"),
        Measure("mse_unseen", "error outside the training range, °C²", 2, "weather", "lower"),
        Measure("cider_d", "CIDEr-D", 1, "words"),
        Measure("bleu_4", "BLEU-4", 1, "words"),
        Measure("nats", "nats per token", 3, "words", "lower"),
        Measure("input_parameters", "parameters of the input layer", 0, "cost", "lower"),
    )
    comparisons: ClassVar[tuple[Comparison, ...]] = (
        *(
            Comparison(
                f"{cell}, {bins} bins", f"{cell}, {DENSE}", measure,
                f"embeddings of {bins} bins instead of a dense layer",
            )
            for cell in _CELLS
            for bins in (10, 30, 100)
            for measure in ("mse", "mse_unseen")
        ),
        Comparison(FROZEN, FRESH, "cider_d", "frozen GloVe vectors instead of new ones"),
        Comparison(TUNED, FRESH, "cider_d", "fine-tuned GloVe vectors instead of new ones"),
        Comparison(TUNED, FROZEN, "cider_d", "fine-tuning GloVe vectors instead of freezing them"),
    )  # fmt: skip

    fact_tables: ClassVar[tuple[FactTable, ...]] = (
        FactTable(
            "proof",
            ("", *_PROVED),
            (("largest difference", *(f"{{proof[{name}]:.1e}}" for name in _PROVED)),),
        ),
        FactTable(
            "layers",
            (
                "vocabulary", "embedding, ms", "one-hot + dense, relative time",
                "embedding, MB", "one-hot + dense, MB",
                "one-hot + dense, million multiply-adds",
            ),
            ((
                "{vocabulary:,}", "{layers[embedding][ms]:,.2f}",
                "{layers[one-hot + dense][share]:,.1f}", "{layers[embedding][held_mb]:,.2f}",
                "{layers[one-hot + dense][held_mb]:,.2f}",
                "{layers[one-hot + dense][multiply_adds]!m:,.0f}",
            ),),
            each="costs",
        ),
        FactTable(
            "weather", rows=(("{name}", "{mse!e:2}", "{mse_unseen!e:2}"),), each="baselines"
        ),
        FactTable(
            "weather",
            rows=(("the best possible", "{best_possible:.2f}", "{best_possible:.2f}"),),
        ),
    )  # fmt: skip
    charts: ClassVar[tuple[Chart, ...]] = (
        Layers("cost", (("ms", "milliseconds per step"), ("held_mb", "memory of a step, MB"))),
        Drawn("forecast", draw_forecasts),
        Bars("weather", "weather"),
        Bars("words", "words"),
    )

    def variants(self, options: Any) -> Sequence[str]:
        """Forecasters, then captioners."""
        kinds = (DENSE, *(f"{bins} bins" for bins in options.weather.bins))
        forecasters = [f"{cell}, {kind}" for cell in _CELLS for kind in kinds]
        return [*forecasters, *(CAPTIONERS if options.vectors else ())]

    def verdicts(self, results: Results) -> list[str]:
        """The proof and the cost first, then what was trained."""
        told = [_PROOF_TEXT.sentences(results.facts), _COST_TEXT.sentences(results.facts)[-1:]]
        return [*chain(*told), *super().verdicts(results)]


STUDY = InputLayerStudy()
