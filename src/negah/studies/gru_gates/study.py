"""The study ``gru-gates``: a GRU with and without its reset gate, and one with forced gates."""

from __future__ import annotations

from typing import Any, ClassVar

from negah.studies.gru_gates.figures import draw_forced, draw_memory
from negah.studies.gru_gates.options import (
    ADDING,
    CELLS,
    COPYING,
    GRU,
    GUESSING,
    NO_RESET,
    QUICK,
    GruGatesOptions,
)
from negah.studies.results import Results
from negah.studies.study import (
    Bars,
    Chart,
    Comparison,
    Curves,
    CurveTable,
    Drawn,
    FactTable,
    Measure,
    ResultTable,
    Study,
    StudyOptions,
    filled,
)

#: A task counts as solved at a tenth of the error of guessing, or with 99% recalled.
SOLVED = {ADDING: 0.1 / 6, COPYING: 99.0}


class GruGatesStudy(Study):
    """What the reset gate is worth, and what it makes possible."""

    name: ClassVar[str] = "gru-gates"
    title: ClassVar[str] = "What the reset gate of a GRU contributes"
    question: ClassVar[str] = (
        "What does a GRU lose without its reset gate, and can its gates make the output depend on "
        "a single past input?"
    )
    claim: ClassVar[str] = (
        "The update gate decides what a GRU keeps, and the reset gate discards a past that is no "
        "longer relevant. Without the reset gate, long-term memory gets worse and the network "
        "overfits. With suitable gates, the output depends on the input of one past step alone."
    )
    full: ClassVar[StudyOptions] = GruGatesOptions()
    quick: ClassVar[StudyOptions] = QUICK
    rows: ClassVar[tuple[str, ...]] = tuple(CELLS)
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("cider_d", "CIDEr-D"),
        Measure("bleu_4", "BLEU-4"),
        Measure("nats", "nats per token", 3, better="lower"),
        Measure("overfitting", "overfitting, nats", 3, better="lower"),
        Measure("nats_seen", "nats on training photos", 3, better="lower"),
        Measure("adding", "squared error, longest adding problem", 4, "memory", "lower"),
        Measure("copying", "symbols recalled, longest copy problem, %", 1, "memory"),
        Measure("parameters", "parameters of the captioner", 0, "cost", "lower"),
        Measure("cell_weights", "parameters of the recurrent layer", 0, "cost", "lower"),
        Measure(
            "multiply_adds", "multiply-adds per step of the recurrent layer", 0, "cost", "lower"
        ),
    )
    comparisons: ClassVar[tuple[Comparison, ...]] = tuple(
        Comparison(NO_RESET, GRU, measure, "leaving out the reset gate")
        for measure in ("cider_d", "nats", "overfitting", "adding", "copying")
    )

    fact_tables: ClassVar[tuple[FactTable, ...]] = (
        FactTable(
            "proof",
            (
                "schedule", "cell", "random cases", "largest gradient to another input",
                "smallest gradient to the chosen input", "outputs changed by another input",
            ),
            ((
                "{schedule}", "{cell}", "{cases:,}", "{largest_other:.3g}",
                "{smallest_chosen:.1e}", "{outputs_changed:,}",
            ),),
            each="proofs",
        ),
        FactTable(
            "marked",
            ("logit of the gates", "share of the gradient to unmarked inputs"),
            (("±{strength:g}", "{elsewhere:.1e}"),),
            each="marked",
        ),
        FactTable(
            "count",
            ("", "weights", "multiply-adds per step", "sigmoids and tanh per step"),
            (("{name}", "{weights:,}", "{multiply_adds:,}", "{saturating:,}"),),
            each="cost",
        ),
    )  # fmt: skip
    result_tables: ClassVar[tuple[ResultTable, ...]] = (
        CurveTable("adding", ADDING, "{:g} steps", 4, ("guessing", GUESSING[ADDING])),
        CurveTable("copying", COPYING, "{:g} blanks", 1, ("guessing", GUESSING[COPYING])),
    )
    charts: ClassVar[tuple[Chart, ...]] = (
        Bars("results"),
        Drawn("memory", draw_memory),
        Curves("curves", without=(ADDING, COPYING)),
        Drawn("forced", draw_forced),
    )

    def verdicts(self, results: Results) -> list[str]:
        """Comparisons, what was solved at which length, cost, and the proof."""
        cost = results.facts["cost"]
        share = 100 * (1 - cost[NO_RESET]["multiply_adds"] / cost[GRU]["multiply_adds"])
        return [
            *super().verdicts(results),
            *self._shorter(
                results, ADDING, "adding", "adding problem with {} steps: squared error"
            ),
            *self._shorter(
                results, COPYING, "copying", "copy problem with {} blanks: symbols recalled"
            ),
            *_solved(results),
            f"Operations at E = {results.facts['sizes'][0]} and D = {results.facts['sizes'][1]}: "
            f"without the reset gate, a step takes {share:.1f}% fewer multiply-adds.",
            *map(_proved, results.facts["proofs"]),
        ]

    def _shorter(self, results: Results, curve: str, name: str, what: str) -> list[str]:
        """Of the reset gate, at the lengths but the longest, which has a comparison of its own."""
        measure, unit = self.measure(name), " points" if curve == COPYING else ""
        sentences = []
        for length in results.points(curve)[:-1]:
            found = results.difference_at(NO_RESET, GRU, curve, length)
            assert found is not None
            sentences.append(
                f"Leaving out the reset gate, {what.format(f'{length:g}')} "
                f"{measure.compared(found, unit)}."
            )
        return sentences


def _solved(results: Results) -> list[str]:
    """The longest length up to which every seed solved the task."""
    sentences = []
    for curve, what in ((ADDING, "adding"), (COPYING, "copy")):
        parts, unit = [], "steps" if curve == ADDING else "blanks"
        for variant in results.variants:
            longest = 0.0
            for length in results.points(curve):
                values = results.at(variant, curve, length)
                if curve == ADDING and max(values) > SOLVED[curve]:
                    break
                if curve == COPYING and min(values) < SOLVED[curve]:
                    break
                longest = length
            parts.append(f"{variant} {f'{longest:g} {unit}' if longest else 'none'}")
        bound = (
            f"error at most {SOLVED[ADDING]:.4f}, a tenth of that of guessing"
            if curve == ADDING
            else f"at least {SOLVED[COPYING]:g}% recalled"
        )
        sentences.append(
            f"Longest {what} problem that every seed solves ({bound}): {', '.join(parts)}."
        )
    return sentences


def _proved(row: dict[str, Any]) -> str:
    exact = row["largest_other"] == 0.0 and row["outputs_changed"] == 0
    said = (
        "the output depends on the chosen input alone; the gradients to all others are exactly 0"
        if exact and row["smallest_chosen"] > 0
        else "the output also depends on other inputs; their gradients reach {largest_other:.2g}, "
        "and changing them changes {outputs_changed:,} of {cases:,} outputs"
    )
    return filled("Forced gates, {schedule} ({cell}), {cases:,} random cases: " + said + ".", row)


STUDY = GruGatesStudy()
