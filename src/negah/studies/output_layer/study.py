"""The study ``output-layer``: operations counted, time and memory measured, captions scored."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from negah.studies.captioning.options import CaptionOptions, quick_captions
from negah.studies.output_layer.counting import count
from negah.studies.results import Results, estimate
from negah.studies.study import (
    Comparison,
    Measure,
    Paths,
    Progress,
    Study,
    StudyOptions,
    claim,
    markdown,
    signed,
)

FULL, ADAPTIVE, NEGATIVE = "full softmax", "adaptive softmax", "negative sampling"


class OutputLayerOptions(StudyOptions):
    """How much of everything."""

    captioning: CaptionOptions = Field(
        CaptionOptions(min_count=1),
        description="of the captioners that are scored; every word of the captions is known",
    )
    counted: tuple[int, ...] = Field(
        (2, 20, 1_000, 10_000, 100_000), description="numbers of classes that are counted"
    )
    vocabularies: tuple[int, ...] = Field(
        (1_000, 10_000, 30_000, 100_000), description="V that are timed, with words by Zipf's law"
    )
    words: int = Field(384, ge=1, description="words of a timed training step: 32 captions of 12")
    hypotheses: int = Field(5, ge=1, description="of a timed decoding step: a beam of 5")
    hidden_size: int = Field(256, ge=16, description="D of what is timed")
    repeats: int = Field(9, ge=1, description="turns of the timed layers")


class OutputLayerStudy(Study):
    """Softmax against its two cheaper replacements."""

    name: ClassVar[str] = "output-layer"
    title: ClassVar[str] = "What softmax costs against sigmoid"
    question: ClassVar[str] = (
        "What does a softmax over the vocabulary cost against sigmoids, and which output layer "
        "should a captioner have?"
    )
    claim: ClassVar[str] = (
        "A softmax over 20 classes needs 20 exponentials, 19 additions and 20 divisions, and a "
        "sigmoid one of each; so sigmoid outputs are cheaper."
    )
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("cider_d", "CIDEr-D"),
        Measure("bleu_4", "BLEU-4"),
        Measure("nats", "nats per token", 3, better="lower"),
        Measure("distinct", "different captions, %", 0, better=""),
        Measure("words", "words per caption", 1, better=""),
        Measure("parameters", "parameters of the layer", 0, "cost", "lower"),
        Measure("cider_d_raw", "CIDEr-D, raw scores", 1, "raw"),
        Measure("nats_raw", "nats per token, raw scores", 3, "raw", "lower"),
        Measure("distinct_raw", "different captions, raw scores, %", 0, "raw", ""),
        Measure("log_normaliser", "log Z, mean", 2, "raw", ""),
        Measure("log_normaliser_deviation", "log Z, deviation", 2, "raw", ""),
    )
    comparisons: ClassVar[tuple[Comparison, ...]] = tuple(
        Comparison(variant, FULL, measure, f"{variant} in place of the full one")
        for variant in (ADAPTIVE, NEGATIVE)
        for measure in ("cider_d", "nats")
    )

    def options(self, quick: bool) -> OutputLayerOptions:
        """(See the base class.)"""
        if not quick:
            return OutputLayerOptions()
        return OutputLayerOptions(
            seeds=(0, 1), captioning=quick_captions(), counted=(2, 20), vocabularies=(50, 200),
            words=8, hypotheses=2, hidden_size=16, repeats=2,
        )  # fmt: skip

    def variants(self, options: Any) -> Sequence[str]:
        """(See the base class.)"""
        return (FULL, ADAPTIVE, NEGATIVE)

    def prepare(self, options: Any, paths: Paths, progress: Progress) -> None:
        """(See the base class.)"""
        from negah.studies.captioning import prepare_captions

        prepare_captions(options.captioning, paths, progress)

    def run_cell(
        self, options: Any, paths: Paths, variant: str, seed: int, progress: Progress
    ) -> dict[str, Any]:
        """(See the base class.)"""
        from negah.studies.output_layer.captioner import run_cell

        return run_cell(options.captioning, paths, variant, seed, progress)

    def facts(self, options: Any, paths: Paths, progress: Progress) -> dict[str, Any]:
        """Operations by number of classes, and time and memory by vocabulary."""
        from dataclasses import asdict

        from negah.studies.output_layer.cost import measure_costs

        counts = [
            {
                "classes": classes,
                **{name: asdict(tally) for name, tally in count(classes).items()},
            }
            for classes in options.counted
        ]
        costs = measure_costs(
            options.vocabularies,
            hidden=options.hidden_size,
            words=options.words,
            hypotheses=options.hypotheses,
            repeats=options.repeats,
            progress=progress,
        )
        return {"counts": counts, "costs": costs}

    def tables(self, results: Results) -> dict[str, str]:
        """The usual ones, ``raw`` of negative sampling, ``counts``, ``time`` and ``memory``."""
        raw = [measure for measure in self.measures if measure.table == "raw"]
        found = [results.estimate(NEGATIVE, measure.name) for measure in raw]
        return {
            **super().tables(results),
            "raw": markdown(
                ["", *(measure.title for measure in raw)],
                [
                    [
                        NEGATIVE,
                        *(
                            "–" if one is None else one.text(measure.digits)
                            for one, measure in zip(found, raw, strict=True)
                        ),
                    ]
                ],
            ),
            "counts": _counts(results),
            "time": _time(results),
            "memory": _memory(results),
        }

    def verdicts(self, results: Results) -> list[str]:
        """What was counted and timed, then what captions say."""
        return [*_of_facts(results), *super().verdicts(results), *self._of_noise(results)]

    def figures(self, results: Results, folder: Path) -> list[Path]:
        """The usual ones, time and memory."""
        from negah.studies.output_layer.figures import draw_memory, draw_time

        return [
            draw_time(results, folder / f"{self.name}-time.png"),
            draw_memory(results, folder / f"{self.name}-memory.png"),
            *super().figures(results, folder),
        ]

    def _of_noise(self, results: Results) -> list[str]:
        """What putting the noise back changes, within each training."""
        sentences = []
        for name in ("cider_d", "nats"):
            ours, raw = results.values(NEGATIVE, name), results.values(NEGATIVE, f"{name}_raw")
            if ours is None or raw is None:
                continue
            found = estimate([a - b for a, b in zip(ours, raw, strict=True)])
            measure = self.measure(name)
            sentences.append(
                f"Putting the noise back when decoding ({NEGATIVE} − its raw scores): "
                f"{measure.title} {signed(found, measure.digits)}, {claim(found, measure)}."
            )
        return sentences


def _counts(results: Results) -> str:
    def text(tally: dict[str, int]) -> str:
        kinds = ("exponentials", "additions", "divisions")
        return " / ".join(f"{tally[kind]:,}" for kind in kinds)

    return markdown(
        ["classes", "softmax", "one sigmoid", "a sigmoid for each class"],
        [
            [f"{row['classes']:,}", *(text(row[k]) for k in ("softmax", "sigmoid", "sigmoids"))]
            for row in results.facts["counts"]
        ],
    )


def _time(results: Results) -> str:
    costs = results.facts["costs"]
    header = ["words", "work", f"{FULL}, ms"]
    rows = []
    for row in costs:
        for work, title in (("step", "training step"), ("decode", "decoding step")):
            shares = [f"{layer[work]:.2f}" for name, layer in _others(row)]
            baseline = f"{row['layers'][FULL][work + '_ms']:,.2f}"
            rows.append([f"{row['vocabulary']:,}", title, baseline, *shares])
    return markdown([*header, *(name for name, _ in _others(costs[0]))], rows)


def _memory(results: Results) -> str:
    costs = results.facts["costs"]
    rows = [
        [
            f"{row['vocabulary']:,}",
            *(
                f"{layer['parameters_mb']:,.1f} / {layer['peak_mb']:,.1f}"
                for layer in row["layers"].values()
            ),
        ]
        for row in costs
    ]
    return markdown(["words", *costs[0]["layers"]], rows)


def _others(row: dict[str, Any]) -> list[tuple[str, dict[str, float]]]:
    return [(name, layer) for name, layer in row["layers"].items() if name != FULL]


def _of_facts(results: Results) -> list[str]:
    counts, costs = results.facts["counts"], results.facts["costs"]
    sentences = []
    for row in counts:
        if row["classes"] == 20:
            soft, one, each = (
                "/".join(
                    str(row[name][kind]) for kind in ("exponentials", "additions", "divisions")
                )
                for name in ("softmax", "sigmoid", "sigmoids")
            )
            sentences.append(
                f"Counted for 20 classes (exponentials/additions/divisions): softmax {soft}, one "
                f"sigmoid {one}, a sigmoid for each of the 20 classes {each}."
            )
    for row in costs:
        step = ", ".join(f"{name} {layer['step']:.2f}" for name, layer in _others(row))
        decode = ", ".join(f"{name} {layer['decode']:.2f}" for name, layer in _others(row)[:2])
        sentences.append(
            f"Time at {row['vocabulary']:,} words as a share of the full softmax's: a training "
            f"step {step}; a decoding step {decode}."
        )
    return sentences
