"""Cells -> means, intervals and paired differences over seeds, the table, the findings.

Intervals are of Student's t over seeds; differences are paired by seed, since seed k gives
every variant the same order of clips and captions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from negah.studies.results import Estimate, estimate
from negah.studies.study import markdown
from negah.studies.synthetic.options import WITHOUT_PREVIOUS

#: What is measured: a title, where a cell keeps it, and what makes it percent.
MEASURES: Mapping[str, tuple[str, tuple[str, ...], float]] = {
    "exact": ("exact", ("captions", "exact"), 100),
    "exact_together": ("exact, together", ("captions", "exact_together"), 100),
    "exact_in_turn": ("exact, in turn", ("captions", "exact_in_turn"), 100),
    "attributes": ("attributes", ("captions", "attributes"), 100),
    "bleu_4": ("BLEU-4", ("captions", "bleu_4"), 1),
    "cider_d": ("CIDEr-D", ("captions", "cider_d"), 1),
    "temporal": ("temporal", ("attention", "temporal", "all", "accuracy"), 100),
    "temporal_chance": ("chance", ("attention", "temporal", "all", "chance"), 100),
    "temporal_in_turn": (
        "temporal, in turn",
        ("attention", "temporal", "in turn", "accuracy"),
        100,
    ),
    "temporal_in_turn_chance": ("chance", ("attention", "temporal", "in turn", "chance"), 100),
    "pointing": ("pointing", ("attention", "pointing", "all", "accuracy"), 100),
    "pointing_chance": ("chance", ("attention", "pointing", "all", "chance"), 100),
    "thing_together": (
        "right thing, together",
        ("attention", "thing", "together", "accuracy"),
        100,
    ),
    "gate_auc": ("gate AUC", ("gate", "auc"), 100),
    "gate_visual": ("gate, visual words", ("gate", "visual"), 100),
    "gate_function": ("gate, function words", ("gate", "function"), 100),
}


class Results:
    """The cells of a study by variant and seed.

    Args:
        results: what :func:`~negah.studies.synthetic.run.run_study` returned.
    """

    def __init__(self, results: Mapping[str, Any]) -> None:
        self.raw = results
        self.variants = list(dict.fromkeys(cell["variant"] for cell in results["cells"]))
        self.seeds = list(dict.fromkeys(cell["seed"] for cell in results["cells"]))
        self._cells = {(cell["variant"], cell["seed"]): cell for cell in results["cells"]}

    def values(self, variant: str, measure: str) -> list[float] | None:
        """One value a seed; None where the variant has no such thing."""
        _, path, factor = MEASURES[measure]
        found = []
        for seed in self.seeds:
            value: Any = self._cells[variant, seed]
            for name in path:
                value = None if value is None else value.get(name)
            if value is None:
                return None
            found.append(value * factor)
        return found

    def estimate(self, variant: str, measure: str) -> Estimate | None:
        """Mean and interval over seeds."""
        values = self.values(variant, measure)
        return None if values is None else estimate(values)

    def difference(self, variant: str, to: str, measure: str) -> Estimate | None:
        """Mean and interval of ``variant`` minus ``to``, paired by seed."""
        values = [self.values(name, measure) for name in (variant, to)]
        if values[0] is None or values[1] is None:
            return None
        return estimate([a - b for a, b in zip(*values, strict=True)])


def tables(results: Mapping[str, Any]) -> dict[str, str]:
    """The tables of the study as Markdown: ``captions`` and ``attention``."""
    found = Results(results)
    first = found.variants[0]
    captions = ["exact", "exact_together", "exact_in_turn", "attributes", "bleu_4", "cider_d"]
    rows = [
        [
            variant,
            *(str(found.estimate(variant, name)) for name in captions),
            "" if variant == first else str(found.difference(variant, first, "cider_d")),
        ]
        for variant in found.variants
    ]
    header = [*(MEASURES[name][0] for name in captions), f"CIDEr-D against {first}"]
    return {
        "captions": markdown(["system", *header], rows),
        "attention": markdown(
            [
                "system",
                "pointing (chance)",
                "temporal (chance)",
                "temporal, in turn (chance)",
                "right thing, together (chance 50)",
                "gate AUC (chance 50)",
            ],
            [
                [
                    variant,
                    _with_chance(found, variant, "pointing"),
                    _with_chance(found, variant, "temporal"),
                    _with_chance(found, variant, "temporal_in_turn"),
                    _or_dash(found.estimate(variant, "thing_together")),
                    _or_dash(found.estimate(variant, "gate_auc")),
                ]
                for variant in found.variants
            ],
        ),
    }


def _with_chance(found: Results, variant: str, measure: str) -> str:
    value = found.estimate(variant, measure)
    chance = found.estimate(variant, f"{measure}_chance")
    return "–" if value is None or chance is None else f"{value} ({chance.mean:.1f})"


def _or_dash(value: Estimate | None) -> str:
    return "–" if value is None else str(value)


#: Which systems are compared, on what, and what that would show.
_QUESTIONS = (
    ("Frame", "None", "exact", "frame attention against none"),
    ("Visual", "Frame", "exact", "bottom-up region attention against frames alone"),
    ("VT", "Visual", "exact", "phrase attention"),
    ("CAM", "VT", "exact", "the gate"),
    ("CAM, hidden", "CAM", "exact", "regions asked by the word against bottom-up ones"),
    ("CAM, hidden", "CAM", "exact_together", "the same where both things are seen together"),
    ("CAM, hidden", "CAM", "exact_in_turn", "the same where they are seen in turn"),
    ("CAM", "CAM, S = 1", "exact", "phrases of up to three words against one"),
    ("CAM", "CAM, S = 2", "exact", "phrases of up to three words against two"),
    ("CAM, hidden", WITHOUT_PREVIOUS, "exact", "the weight of the frame before"),
    ("CAM, hidden", WITHOUT_PREVIOUS, "pointing", "the same for pointing"),
)


def verdicts(results: Mapping[str, Any]) -> list[str]:
    """A sentence on each comparison and on each attention, from the numbers alone."""
    found = Results(results)
    sentences = []
    for variant, to, measure, what in _QUESTIONS:
        if not {variant, to} <= set(found.variants):
            continue
        difference = found.difference(variant, to, measure)
        if difference is None:
            continue
        if difference.half is None:
            claim = "a single seed shows nothing"
        elif difference.beyond_zero:
            claim = "higher" if difference.mean > 0 else "lower"
        else:
            claim = f"no difference that {len(found.seeds)} seeds can show"
        title = MEASURES[measure][0]
        sentences.append(
            f"{what[0].upper()}{what[1:]} ({variant} − {to}): {title} "
            f"{'+' if difference.mean >= 0 else '−'}{abs(difference.mean):.1f}"
            f"{'' if difference.half is None else f' ± {difference.half:.1f}'} points, {claim}."
        )
    for variant in found.variants:
        sentences += _against_chance(found, variant)
    return sentences


def _against_chance(found: Results, variant: str) -> list[str]:
    sentences = []
    for measure, what in (
        ("thing_together", "of two things that are seen together looks at the one spoken of"),
        ("gate_auc", "tells visual words from function words by its gate"),
    ):
        value = found.estimate(variant, measure)
        if value is None or value.half is None:
            continue
        apart = abs(value.mean - 50) > value.half
        claim = ("above" if value.mean > 50 else "below") + " chance" if apart else "at chance"
        sentences.append(f"{variant} {what}: {value}, {claim} (50).")
    return sentences
