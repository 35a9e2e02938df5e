"""The study ``output-layer``: operations counted, time and memory measured, captions scored."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import Field

from negah.studies.captioning.options import CaptionOptions, quick_captions
from negah.studies.study import (
    Bars,
    Chart,
    Comparison,
    Curves,
    FactSentence,
    FactTable,
    Layers,
    Measure,
    Results,
    Study,
    StudyOptions,
    filled,
)

FULL, ADAPTIVE, NEGATIVE = "full softmax", "adaptive softmax", "negative sampling"
#: Negative sampling once more, with an optimizer that touches only the rows that were used.
SPARSE = "negative sampling, sparse updates"
#: What is timed beside the full softmax.
OTHERS = (ADAPTIVE, NEGATIVE, SPARSE)


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


def _operations(kind: str, separator: str = " / ", digits: str = ":,") -> str:
    """The template of what is counted of a kind of layer."""
    names = ("exponentials", "additions", "divisions")
    return separator.join(f"{{{kind}[{name}]{digits}}}" for name in names)


_COUNTED = 20
_SOFTMAX, _ONE, _EACH = (_operations(k, "/", "") for k in ("softmax", "sigmoid", "sigmoids"))
_COUNTED_TEXT = (
    "Operations for 20 classes (exponentials/additions/divisions): "
    f"softmax {_SOFTMAX}, one sigmoid {_ONE}, 20 sigmoids {_EACH}."
)


def _shares(work: str, layers: Sequence[str]) -> str:
    return ", ".join(f"{name} {{layers[{name}][{work}]:.2f}}" for name in layers)


_TIMED_TEXT = FactSentence(
    "Time relative to the full softmax, with {vocabulary:,} words: in a training step, "
    f"{_shares('step', OTHERS)}; in a decoding step, {_shares('decode', OTHERS[:2])}.",
    each="costs",
)


class OutputLayerStudy(Study):
    """Softmax against its two cheaper replacements."""

    name: ClassVar[str] = "output-layer"
    title: ClassVar[str] = "What a softmax costs compared with sigmoids"
    question: ClassVar[str] = (
        "What does a softmax over the vocabulary cost compared with sigmoids, and which output "
        "layer should a captioner have?"
    )
    claim: ClassVar[str] = (
        "A softmax over 20 classes needs 20 exponentials, 19 additions and 20 divisions, and a "
        "sigmoid one of each; so sigmoid outputs are cheaper."
    )
    full: ClassVar[StudyOptions] = OutputLayerOptions()
    quick: ClassVar[StudyOptions] = OutputLayerOptions(
        seeds=(0, 1), captioning=quick_captions(), counted=(2, 20), vocabularies=(50, 200),
        words=8, hypotheses=2, hidden_size=16, repeats=2,
    )  # fmt: skip
    rows: ClassVar[tuple[str, ...]] = (FULL, ADAPTIVE, NEGATIVE)
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
        Measure("log_normaliser_deviation", "log Z, standard deviation", 2, "raw", ""),
    )
    comparisons: ClassVar[tuple[Comparison, ...]] = tuple(
        Comparison(variant, FULL, measure, f"{variant} instead of the full softmax")
        for variant in (ADAPTIVE, NEGATIVE)
        for measure in ("cider_d", "nats")
    )

    fact_tables: ClassVar[tuple[FactTable, ...]] = (
        FactTable(
            "counts",
            ("classes", "softmax", "one sigmoid", "one sigmoid per class"),
            (("{classes:,}", *map(_operations, ("softmax", "sigmoid", "sigmoids"))),),
            each="counts",
        ),
        FactTable(
            "time",
            ("vocabulary", "step", f"{FULL}, ms", *OTHERS),
            tuple(
                (
                    "{vocabulary:,}", title, f"{{layers[{FULL}][{work}_ms]:,.2f}}",
                    *(f"{{layers[{name}][{work}]:.2f}}" for name in OTHERS),
                )
                for work, title in (("step", "training"), ("decode", "decoding"))
            ),
            each="costs",
        ),
        FactTable(
            "memory",
            ("vocabulary", FULL, *OTHERS),
            ((
                "{vocabulary:,}",
                *(
                    f"{{layers[{name}][parameters_mb]:,.1f}} / {{layers[{name}][peak_mb]:,.1f}}"
                    for name in (FULL, *OTHERS)
                ),
            ),),
            each="costs",
        ),
    )  # fmt: skip
    charts: ClassVar[tuple[Chart, ...]] = (
        Layers(
            "time",
            (
                ("step_ms", "training step"),
                ("decode_ms", "decoding step: scores of all words"),
            ),
            "relative time (full softmax, {words} words: 1)",
            relative=True,
        ),
        Layers(
            "memory",
            (("parameters_mb", "weights"), ("peak_mb", "peak of a training step")),
            "megabytes",
        ),
        Bars("results"),
        Curves("curves"),
    )

    def verdicts(self, results: Results) -> list[str]:
        """What was counted and timed, then what captions say."""
        twenty = [row for row in results.facts["counts"] if row["classes"] == _COUNTED]
        counted = [filled(_COUNTED_TEXT, row) for row in twenty]
        timed = _TIMED_TEXT.sentences(results.facts)
        return [*counted, *timed, *super().verdicts(results), *self._of_noise(results)]

    def _of_noise(self, results: Results) -> list[str]:
        """What correcting the scores for the noise changes, within each training."""
        sentences = []
        for name in ("cider_d", "nats"):
            found = results.gap(NEGATIVE, name, f"{name}_raw")
            if found is None:
                continue
            measure = self.measure(name)
            sentences.append(
                f"Correcting the scores for the noise ({NEGATIVE} − its raw scores): "
                f"{measure.title} {measure.compared(found)}."
            )
        return sentences


STUDY = OutputLayerStudy()
