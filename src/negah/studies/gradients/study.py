"""The study ``gradients``: what of a gradient arrives, and what cures a network of 40 layers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from negah.studies.captioning.options import CaptionOptions, quick_captions
from negah.studies.gradients.figures import draw_layers, draw_memory, draw_training
from negah.studies.study import (
    Bars,
    Chart,
    Comparison,
    Drawn,
    Measure,
    Results,
    Study,
    StudyOptions,
    signed,
)

LSTM, GRU, NO_RESET, RNN = "LSTM", "GRU", "GRU without reset gate", "plain RNN"
DEEP, GLOVE, TUNED = "40-layer LSTM", "frozen GloVe", "CNN blocks trained"


@dataclass(frozen=True, slots=True)
class Cure:
    """What is changed of the deep network.

    Attributes:
        rate: its learning rate; None for that of the deep network.
        residual: whether a layer's input is added to its output.
        norm: whether a layer's input is normalised.
    """

    rate: float | None = None
    residual: bool = False
    norm: bool = False


#: The rows that try to cure the deep network.
CURES: Mapping[str, Cure] = {
    "40 layers, rate 0.001": Cure(rate=1e-3),
    "40 layers, residual": Cure(residual=True),
    "40 layers, layer norm": Cure(norm=True),
    "40 layers, all three": Cure(1e-3, residual=True, norm=True),
}


class GradientsOptions(StudyOptions):
    """How much of everything."""

    captioning: CaptionOptions = Field(
        CaptionOptions(
            captions=1, dev_photos=100, test_photos=200, epochs=2,
            embedding_size=96, hidden_size=96, beam=1,
        ),
        description="data and budget of every training",
    )  # fmt: skip
    layers: int = Field(40, ge=2, le=64, description="of the deep LSTM")
    deep_rate: float = Field(0.01, gt=0, description="its learning rate, as in the student's text")
    vectors: str = Field("package", description="GloVe, as in a recipe; '': drawn at random")
    word_size: int = Field(50, ge=1, description="numbers of a GloVe vector")
    blocks: int = Field(2, ge=1, description="last blocks of the CNN that learn in that case")
    tail_rate: float = Field(1e-4, gt=0, description="their learning rate")
    examined: int = Field(8, ge=1, description="dev photos that gradients are measured on")
    moments: int = Field(8, ge=2, description="times through training that they are measured")
    probes: int = Field(2, ge=1, description="random vectors for each caption's Jacobian")


class GradientsStudy(Study):
    """Vanishing, exploding or healthy."""

    name: ClassVar[str] = "gradients"
    title: ClassVar[str] = "Where gradients vanish and explode"
    question: ClassVar[str] = (
        "Where do the gradients of a recurrent captioner vanish or explode: over words, over "
        "layers, and in which of the three cases?"
    )
    claim: ClassVar[str] = (
        "Gradients vanish in the deep recurrent network; it was trained with 40 LSTM layers and a "
        "learning rate of 0.01, in each of the three cases."
    )
    full: ClassVar[StudyOptions] = GradientsOptions()
    quick: ClassVar[StudyOptions] = GradientsOptions(
        seeds=(0, 1), captioning=quick_captions(epochs=1), layers=6, vectors="", word_size=8,
        blocks=1, examined=3, moments=2, probes=1,
    )  # fmt: skip
    rows: ClassVar[tuple[str, ...]] = (LSTM, GRU, NO_RESET, RNN, GLOVE, TUNED, DEEP, *CURES)
    # only deep networks have more than one layer, and a figure of their own
    charts: ClassVar[tuple[Chart, ...]] = (
        Bars("results", without=("layer_share",)),
        Drawn("memory", draw_memory),
        Drawn("layers", draw_layers),
        Drawn("training", draw_training),
    )
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("jacobian_10", "of a state left after 10 words", 3, better=""),
        Measure("nats", "nats per token", 3, better="lower"),
        Measure("distinct", "different captions, %", 0, better=""),
        Measure("layer_share", "gradient of the lowest layer over the top's", 4, better=""),
        Measure("jacobian_1", "left after 1 word", 3, "memory", ""),
        Measure("jacobian_5", "after 5", 3, "memory", ""),
        Measure("jacobian_10_start", "after 10, before training", 3, "memory", ""),
        Measure("hidden_10", "h alone, after 10", 4, "memory", ""),
        Measure("reach", "last word's gradient, first over last state", 4, "memory", ""),
        Measure("update", "update over weight, recurrent", 5, "learning", ""),
        Measure("saturation", "saturated gates or units, %", 1, "learning", ""),
        Measure("dead", "words that never got a gradient, %", 1, "learning", "lower"),
        Measure("encoder", "gradient norm in the CNN", 3, "learning", ""),
        Measure("parameters", "parameters", 0, "cost", "lower"),
    )  # fmt: skip
    comparisons: ClassVar[tuple[Comparison, ...]] = (
        Comparison(RNN, LSTM, "jacobian_10", "a plain cell in place of the LSTM's"),
        Comparison(NO_RESET, GRU, "jacobian_10", "leaving out the reset gate"),
        Comparison(DEEP, LSTM, "nats", "forty layers, at a rate of 0.01, in place of one"),
        *(
            Comparison(cure, against, "nats", f"{cure.removeprefix('40 layers, ')} {what}")
            for cure in CURES
            for against, what in ((DEEP, "in forty layers"), (LSTM, "in place of one layer"))
        ),
        Comparison(GLOVE, LSTM, "jacobian_10", "frozen GloVe vectors in a narrower table"),
        Comparison(TUNED, LSTM, "jacobian_10", "training the CNN's last blocks"),
    )

    def verdicts(self, results: Results) -> list[str]:
        """Which cure works, what is found of each captioner, then the comparisons."""
        return [*self._cured(results),
                *(self._of(results, variant) for variant in results.variants),
                *super().verdicts(results)]  # fmt: skip

    def _cured(self, results: Results) -> list[str]:
        """Of each cure, whether the gradients are healthy in all seeds, and what it gains."""
        found = []
        for cure in CURES:
            gain = results.difference(cure, DEEP, "nats")
            share, distinct = (results.estimate(cure, m) for m in ("layer_share", "distinct"))
            if gain is None or share is None or distinct is None:
                continue
            states = [results.cell(cure, s)["extra"]["verdict"]["state"] for s in results.seeds]
            healthy = states.count("healthy")
            cured = healthy == len(states) and gain.beyond_zero and gain.mean < 0
            does = "cures" if cured else "does not cure"
            if gain.half is None:
                does = "with a single seed may or may not cure"
            found.append(
                f"{cure} {does} the network: gradients healthy in "
                f"{healthy} of {len(states)} seeds, the lowest layer's {share.mean:.1e} of the "
                f"top's, nats per token {signed(gain, 3)} against {DEEP}, "
                f"{distinct.text(1)}% of captions different."
            )
        return found

    def _of(self, results: Results, variant: str) -> str:
        """What the verdict on a captioner is, in how many seeds, and why."""
        verdicts = [results.cell(variant, seed)["extra"]["verdict"] for seed in results.seeds]
        states = Counter(verdict["state"] for verdict in verdicts)
        (state, times), *_ = states.most_common(1)
        findings = Counter(
            (finding["kind"], finding["where"])
            for verdict in verdicts
            for finding in verdict["findings"]
        )
        kinds = [
            f"{kind} ({where}{'' if seeds == len(verdicts) else f'; in {seeds} of the seeds'})"
            for (kind, where), seeds in findings.most_common()
        ]
        change = next((f["change"][0] for verdict in verdicts for f in verdict["findings"]), "")
        text = f"{variant}: gradients {state} in {times} of {len(verdicts)} seeds"
        left = results.estimate(variant, "jacobian_10")
        if left is not None:
            text += f"; of a change of the state {left.text(3)} is left after 10 words"
        if kinds:
            text += f". Found: {', '.join(kinds)}. First thing to change: {change}"
        return text + "."


STUDY = GradientsStudy()
