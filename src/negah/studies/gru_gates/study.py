"""The study ``gru-gates``: a GRU with and without its reset gate, and one with forced gates."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from negah.studies.gru_gates.options import ADDING, COPYING, GruGatesOptions, quick_options
from negah.studies.results import Estimate, Results, estimate
from negah.studies.study import Comparison, Measure, Paths, Progress, Study, markdown, signed

GRU, NO_RESET, LSTM = "GRU", "GRU without reset gate", "LSTM"
CELLS = {GRU: "gru", NO_RESET: "gru-no-reset", LSTM: "lstm"}
#: How guessing would do.
GUESSING = {ADDING: 1 / 6, COPYING: 100 / 8}
#: A task counts as solved at a tenth of the error of guessing, or with 99% recalled.
SOLVED = {ADDING: 0.1 / 6, COPYING: 99.0}


class GruGatesStudy(Study):
    """What the reset gate is worth, and what it makes possible."""

    name: ClassVar[str] = "gru-gates"
    title: ClassVar[str] = "What the reset gate of a GRU is worth"
    question: ClassVar[str] = (
        "What does a GRU lose without its reset gate, and how can its gates make the output depend "
        "on one past input alone?"
    )
    claim: ClassVar[str] = (
        "The update gate decides what a GRU keeps, and the reset gate lets it drop a past that no "
        "longer matters; without it, memory over long distances suffers and the network overfits. "
        "With the right gates, the output depends on the input of one past step alone."
    )
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("cider_d", "CIDEr-D"),
        Measure("bleu_4", "BLEU-4"),
        Measure("nats", "nats per token", 3, better="lower"),
        Measure("overfitting", "over-fitting, nats", 3, better="lower"),
        Measure("nats_seen", "nats on training photos", 3, better="lower"),
        Measure("adding", "adding, longest: squared error", 4, "memory", "lower"),
        Measure("copying", "copying, longest: recalled, %", 1, "memory"),
        Measure("parameters", "parameters of the captioner", 0, "cost", "lower"),
        Measure("cell_weights", "of its recurrent layer", 0, "cost", "lower"),
        Measure("multiply_adds", "multiply-adds of a step of it", 0, "cost", "lower"),
    )
    comparisons: ClassVar[tuple[Comparison, ...]] = tuple(
        Comparison(NO_RESET, GRU, measure, "leaving out the reset gate")
        for measure in ("cider_d", "nats", "overfitting", "adding", "copying")
    )

    def options(self, quick: bool) -> GruGatesOptions:
        """(See the base class.)"""
        return quick_options() if quick else GruGatesOptions()

    def variants(self, options: Any) -> Sequence[str]:
        """(See the base class.)"""
        return tuple(CELLS)

    def prepare(self, options: Any, paths: Paths, progress: Progress) -> None:
        """(See the base class.)"""
        from negah.studies.captioning import prepare_captions

        prepare_captions(options.captioning, paths, progress)

    def run_cell(
        self, options: Any, paths: Paths, variant: str, seed: int, progress: Progress
    ) -> dict[str, Any]:
        """(See the base class.)"""
        from negah.studies.gru_gates.cells import run_cell

        return run_cell(CELLS[variant], options, paths, seed, progress)

    def facts(self, options: Any, paths: Paths, progress: Progress) -> dict[str, Any]:
        """The proof of the forced schedules, and what a cell costs."""
        from dataclasses import asdict

        from negah.studies.gru_gates.cost import cell_cost
        from negah.studies.gru_gates.proof import prove

        sizes = options.captioning.embedding_size, options.captioning.hidden_size
        cost = {variant: asdict(cell_cost(cell, *sizes)) for variant, cell in CELLS.items()}
        return {"cost": cost, "sizes": sizes, **prove(options.proofs, progress)}

    def tables(self, results: Results) -> dict[str, str]:
        """The usual ones, both tasks by length, ``proof``, ``marked`` and ``count``."""
        return {
            **super().tables(results),
            "adding": _by_length(results, ADDING, "steps", 4),
            "copying": _by_length(results, COPYING, "blanks", 1),
            "proof": _proof(results),
            "marked": _marked(results),
            "count": _count(results),
        }

    def verdicts(self, results: Results) -> list[str]:
        """Comparisons, what was solved at which length, cost, and the proof."""
        cost = results.facts["cost"]
        share = 100 * (1 - cost[NO_RESET]["multiply_adds"] / cost[GRU]["multiply_adds"])
        return [
            *super().verdicts(results),
            *_differences(results, ADDING, "adding problem of {} steps: squared error", 4),
            *_differences(results, COPYING, "copy problem over {} blanks: recalled", 1),
            *_solved(results),
            f"Counted for E = {results.facts['sizes'][0]} and D = {results.facts['sizes'][1]}: "
            f"without the reset gate, a step takes {share:.1f}% fewer multiply-adds.",
            *map(_proved, results.facts["proofs"]),
        ]

    def figures(self, results: Results, folder: Path) -> list[Path]:
        """Bars, tasks over length, training curves, and gradients under forced gates."""
        from negah.studies.figures import draw_bars, draw_curves
        from negah.studies.gru_gates.figures import draw_forced, draw_memory

        shown = [measure for measure in self.measures if measure.table == "results"]
        training = [name for name in results.curve_names() if name not in GUESSING]
        return [
            draw_bars(results, shown[:4], folder / f"{self.name}-results.png"),
            draw_memory(
                results, (ADDING, COPYING), (GUESSING[ADDING], GUESSING[COPYING]),
                folder / f"{self.name}-memory.png",
            ),
            draw_curves(results, folder / f"{self.name}-curves.png", training),
            draw_forced(results, folder / f"{self.name}-forced.png"),
        ]  # fmt: skip


def _at(results: Results, variant: str, curve: str, length: float) -> list[float]:
    """What was measured at a length, one value a seed."""
    return [
        value for points in results.curves(variant, curve) for at, value in points if at == length
    ]


def _lengths(results: Results, curve: str) -> list[float]:
    return [point[0] for point in results.curves(results.variants[0], curve)[0]]


def _by_length(results: Results, curve: str, unit: str, digits: int) -> str:
    lengths = _lengths(results, curve)
    rows = [
        [
            variant,
            *(estimate(_at(results, variant, curve, n)).text(digits) for n in lengths),
        ]
        for variant in results.variants
    ]
    rows.append(["guessing", *[f"{GUESSING[curve]:.{digits}f}"] * len(lengths)])
    return markdown(["", *(f"{length:g} {unit}" for length in lengths)], rows)


def _differences(results: Results, curve: str, what: str, digits: int) -> list[str]:
    """Of the reset gate, at the lengths but the longest, which has a comparison of its own."""
    sentences = []
    for length in _lengths(results, curve)[:-1]:
        pairs = zip(
            _at(results, NO_RESET, curve, length), _at(results, GRU, curve, length), strict=True
        )
        found = estimate([without - with_it for without, with_it in pairs])
        unit = " points" if curve == COPYING else ""
        sentences.append(
            f"Leaving out the reset gate, {what.format(f'{length:g}')} {signed(found, digits)}"
            f"{unit}, {_meaning(found, curve)}."
        )
    return sentences


def _meaning(found: Estimate, curve: str) -> str:
    if found.half is None:
        return "of a single seed, which shows nothing"
    if not found.beyond_zero:
        return f"no difference that {found.n} seeds can show"
    return "better" if (found.mean < 0) == (curve == ADDING) else "worse"


def _solved(results: Results) -> list[str]:
    """The longest length up to which every seed solved the task."""
    sentences = []
    for curve, what in ((ADDING, "The adding problem is"), (COPYING, "The copy problem is")):
        parts = []
        for variant in results.variants:
            longest = 0.0
            for length in _lengths(results, curve):
                values = _at(results, variant, curve, length)
                if curve == ADDING and max(values) > SOLVED[curve]:
                    break
                if curve == COPYING and min(values) < SOLVED[curve]:
                    break
                longest = length
            parts.append(f"{variant} {f'up to {longest:g}' if longest else 'at no length'}")
        bound = (
            f"error under {SOLVED[ADDING]:.4f}, a tenth of guessing"
            if curve == ADDING
            else f"{SOLVED[COPYING]:g}% recalled"
        )
        unit = "steps" if curve == ADDING else "blanks"
        sentences.append(f"{what} solved in every seed ({bound}; {unit}): {', '.join(parts)}.")
    return sentences


def _proof(results: Results) -> str:
    header = [
        "schedule", "cell", "random cases", "largest gradient to another input",
        "smallest gradient to the chosen one", "outputs that another input changed",
    ]  # fmt: skip
    return markdown(
        header,
        [
            [
                row["schedule"],
                row["cell"],
                f"{row['cases']:,}",
                f"{row['largest_other']:.3g}",
                f"{row['smallest_chosen']:.1e}",
                f"{row['outputs_changed']:,}",
            ]
            for row in results.facts["proofs"]
        ],
    )


def _proved(row: dict[str, Any]) -> str:
    exact = row["largest_other"] == 0.0 and row["outputs_changed"] == 0
    said = (
        "the output depends on the chosen input alone: gradients to all others are exactly 0"
        if exact and row["smallest_chosen"] > 0
        else f"other inputs show: gradients of up to {row['largest_other']:.2g}, and "
        f"{row['outputs_changed']:,} outputs changed"
    )
    return (
        f"Forced gates, {row['schedule']} ({row['cell']}), {row['cases']:,} random cases: {said}."
    )


def _marked(results: Results) -> str:
    rows = results.facts["marked"]
    return markdown(
        ["logit of the gates", *(f"±{row['strength']:g}" for row in rows)],
        [["gradient to inputs without the mark", *(f"{row['elsewhere']:.1e}" for row in rows)]],
    )


def _count(results: Results) -> str:
    return markdown(
        ["", "weights", "multiply-adds of a step", "logistic functions and tanh"],
        [
            [variant, *(f"{row[name]:,}" for name in ("weights", "multiply_adds", "saturating"))]
            for variant, row in results.facts["cost"].items()
        ],
    )
