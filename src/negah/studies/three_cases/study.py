"""The study ``three-cases``: a frozen CNN, GloVe vectors, and the CNN's last layers trained."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from typing import ClassVar, Literal

from pydantic import Field, model_validator

from negah.studies.captioning.options import CaptionOptions, quick_captions
from negah.studies.photos import over_photos
from negah.studies.study import (
    Comparison,
    FactSentence,
    FactTable,
    Measure,
    Results,
    Study,
    StudyOptions,
    signed,
)

FROZEN, FRESH = "frozen CNN", "frozen CNN, fresh narrow table"
GLOVE_FROZEN, GLOVE_TUNED = "GloVe, frozen", "GloVe, fine-tuned"
LAST_LAYERS = "last layers trained"

#: What the student's cases are here, by their letters.
CASES = {"a": FROZEN, "b": GLOVE_TUNED, "c": LAST_LAYERS}
#: The order that the student's text claims, best first.
CLAIMED = ("b", "c", "a")
#: In which it is tested.
_TESTED = ("bleu_1", "bleu_2", "cider_d", "nats")

#: Vectors that mean nothing, for the quick setting.
MADE = "made"


class ThreeCasesOptions(StudyOptions):
    """How much of everything."""

    captioning: CaptionOptions = Field(
        CaptionOptions(
            captions=5, embedding_size=256, hidden_size=384, dropout=0.4, epochs=6, batch=32,
            learning_rate=3e-3,
        ),
        description="of all cases",
    )  # fmt: skip
    cell: Literal["lstm", "gru"] = Field("gru", description="the recurrent network of all cases")
    vectors: str = Field(
        "package", description="as text.vectors of a recipe; made: noise, for the quick setting"
    )
    word_size: int = Field(50, ge=1, description="W, numbers of a vector")
    blocks: int = Field(2, ge=1, description="last blocks of the CNN that hold those layers")
    layers: int = Field(3, ge=1, description="last convolutions of the CNN that learn in case (c)")
    encoder_learning_rate: float = Field(2e-4, gt=0, description="of those convolutions")
    encoder_first_epoch: int = Field(
        1, ge=0, description="from 0; before, gradients of fresh layers would spoil the CNN"
    )

    @model_validator(mode="after")
    def _learns(self) -> ThreeCasesOptions:
        if self.encoder_first_epoch >= self.captioning.epochs:
            raise ValueError(
                f"encoder_first_epoch={self.encoder_first_epoch} of {self.captioning.epochs} "
                "epochs: the CNN's layers would never learn"
            )
        return self

    timed_photos: int = Field(64, ge=2, description="photos on which caching is measured")
    proved_photos: int = Field(4, ge=1, description="photos on which gradients are compared")


class ThreeCasesStudy(Study):
    """What pretraining is worth: of the words, and of the eyes."""

    name: ClassVar[str] = "three-cases"
    title: ClassVar[str] = "What GloVe and a fine-tuned CNN contribute to a CNN + RNN captioner"
    question: ClassVar[str] = (
        "Does a CNN + RNN captioner gain more from pretrained word vectors or from training the "
        "last three layers of its CNN?"
    )
    claim: ClassVar[str] = (
        "Pretrained word vectors (b) are better than training the last three layers of the CNN "
        "(c), and that is better than a frozen CNN alone (a)."
    )
    full: ClassVar[StudyOptions] = ThreeCasesOptions()
    quick: ClassVar[StudyOptions] = ThreeCasesOptions(
        seeds=(0, 1), captioning=quick_captions(), vectors=MADE, word_size=6,
        encoder_learning_rate=1e-3, timed_photos=4, proved_photos=2,
    )  # fmt: skip
    rows: ClassVar[tuple[str, ...]] = (FROZEN, FRESH, GLOVE_FROZEN, GLOVE_TUNED, LAST_LAYERS)
    fact_tables: ClassVar[tuple[FactTable, ...]] = (
        FactTable(
            "coverage",
            ("", "all", "with a vector", "share"),
            tuple(
                (
                    title,
                    f"{{coverage[{every}]:,}}",
                    f"{{coverage[found_{every}]:,}}",
                    f"{{coverage[{every}_share]!p:.1f}}%",
                )
                for title, every in (
                    ("words of the vocabulary", "types"),
                    ("running words of the training captions", "running"),
                )
            ),
        ),
        FactTable(
            "caching",
            ("an epoch over the training photos", "seconds"),
            (
                ("CNN frozen, its features cached", "{caching[frozen]:,.1f}"),
                ("last layers learn, what is below them cached", "{caching[cached]:,.1f}"),
                ("last layers learn, all recomputed", "{caching[recomputed]:,.1f}"),
            ),
        ),
        FactTable(
            "gradients",
            ("cached against recomputed", "largest relative difference"),
            tuple(
                (name, f"{{gradients[{name}]:.1e}}")
                for name in ("float64", "float32", "stored as float16")
            ),
        ),
    )
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("cider_d", "CIDEr-D"),
        Measure("bleu_1", "BLEU-1"),
        Measure("bleu_2", "BLEU-2"),
        Measure("bleu_4", "BLEU-4"),
        Measure("rouge_l", "ROUGE-L"),
        Measure("nats", "nats per token", 3, better="lower"),
        Measure("distinct", "different captions, %", 0, better=""),
        Measure("learned", "parameters that learn", 0, "cost", "lower"),
        Measure("multiply_adds", "multiply-adds of a photo, millions", 0, "cost", "lower"),
        Measure("moved", "change of what was pretrained, %", 1, "pretrained", ""),
    )
    comparisons: ClassVar[tuple[Comparison, ...]] = (
        Comparison(
            GLOVE_FROZEN, FRESH, "cider_d",
            "frozen GloVe against fresh vectors in a table of the same width",
        ),
        Comparison(FRESH, FROZEN, "cider_d", "a narrower table alone"),
        Comparison(GLOVE_FROZEN, FROZEN, "cider_d", "frozen GloVe in a narrower table"),
        Comparison(GLOVE_TUNED, FROZEN, "cider_d", "fine-tuned GloVe in a narrower table"),
        Comparison(LAST_LAYERS, FROZEN, "cider_d", "training the CNN's last layers"),
        Comparison(
            GLOVE_TUNED, FRESH, "cider_d",
            "fine-tuned GloVe against fresh vectors in a table of the same width",
        ),
        Comparison(GLOVE_TUNED, GLOVE_FROZEN, "cider_d", "fine-tuning the vectors"),
        Comparison(
            GLOVE_FROZEN, FRESH, "nats",
            "frozen GloVe against fresh vectors in a table of the same width",
        ),
        Comparison(
            GLOVE_TUNED, FRESH, "nats",
            "fine-tuned GloVe against fresh vectors in a table of the same width",
        ),
        Comparison(LAST_LAYERS, FROZEN, "nats", "training the CNN's last layers"),
    )  # fmt: skip

    sentences: ClassVar[tuple[FactSentence, ...]] = (
        FactSentence(
            "{coverage[found_types]:,} of {coverage[types]:,} words of the vocabulary have a "
            "vector, which are {coverage[running_share]!p:.1f}% of the running words."
        ),
    )

    def verdicts(self, results: Results) -> list[str]:
        """The claimed order first, then the comparisons, then the facts."""
        orders = [self.order(results, measure) for measure in _TESTED]
        caching, exact = results.facts["caching"], results.facts["gradients"]["float64"]
        same = f" to {exact:.0e} of the largest" if exact else ", bit for bit,"
        return [
            *filter(None, orders),
            *super().verdicts(results),
            "Caching what is below the trained layers makes an epoch "
            f"{caching['recomputed'] / caching['cached']:.1f} times as fast, and the gradients "
            f"are the same{same} in double precision.",
        ]

    def order(self, results: Results, name: str) -> str:
        """Whether the claimed order holds in one measure, over seeds and over photos."""
        measure = self.measure(name)
        rows = [CASES[letter] for letter in CLAIMED]
        found = [results.estimate(row, name) for row in rows]
        steps = [results.difference(better, worse, name) for better, worse in combinations(rows, 2)]
        if None in found or None in steps:
            return ""
        shown = ", ".join(
            f"({letter}) {one.mean:.{measure.digits}f}"
            for letter, one in zip(CLAIMED, found, strict=True)
            if one is not None
        )
        photos = [
            over_photos(results, *pair, name, measure.digits) for pair in combinations(rows, 2)
        ]
        differences = ", ".join(
            f"({better}) − ({worse}) {signed(step, measure.digits)}"
            + ("" if one is None else f", over photos {one.text}")
            for (better, worse), step, one in zip(
                combinations(CLAIMED, 2), steps, photos, strict=True
            )
            if step is not None
        )
        sign = -1 if measure.better == "lower" else 1
        means = [sign * step.mean for step in steps if step is not None]
        verdict = _judged(means, [step is not None and step.beyond_zero for step in steps])
        if None not in photos:
            beyond = [one is not None and one.low * one.high > 0 for one in photos]
            verdict = f"over seeds {verdict}; over photos {_judged(means, beyond)}"
        return f"Claimed (b) > (c) > (a), by {measure.title}: {shown} ({differences}): {verdict}."


STUDY = ThreeCasesStudy()


def _judged(means: Sequence[float], beyond: Sequence[bool]) -> str:
    """Whether differences stand in the claimed order, and whether they are beyond chance."""
    if all(mean > 0 for mean in means):
        return (
            "the order holds, beyond chance"
            if all(beyond)
            else "the means are in this order, not all of it beyond chance"
        )
    if any(mean < 0 and sure for mean, sure in zip(means, beyond, strict=True)):
        return "the order does not hold, beyond chance"
    return "the means are in another order, which may be chance"
