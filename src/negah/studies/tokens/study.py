"""The study ``tokens``: comparisons, measures and figures."""

from __future__ import annotations

from pydantic import Field

from negah.studies.captioning import CaptionOptions, quick_captions
from negah.studies.study import (
    Bars,
    Comparison,
    Curves,
    Drawn,
    Measure,
    ReferenceTable,
    Study,
    StudyOptions,
)
from negah.studies.tokens.figures import draw_nats


class TokensOptions(StudyOptions):
    """The setting: the same photos, epochs and sizes for all three."""

    captions: CaptionOptions = CaptionOptions(
        photos=3000, dev_photos=150, test_photos=500, epochs=4, hidden_size=256
    )
    vocabulary_size: int = Field(1000, ge=5, description="of the subwords")
    longest: dict[str, int] = Field(
        {"words": 24, "characters": 150, "subwords": 40},
        description="tokens at which training captions are cut, and that a caption may have",
    )


class TokensStudy(Study):
    """Words, characters, subwords."""

    name = "tokens"
    title = "Words, characters or subwords"
    question = "What does a captioner gain or lose with characters or subwords instead of words?"
    claim = (
        "A character-level model needs no vocabulary of words and has no unknown words, but has to "
        "learn to spell and is slower; a word-level model writes better captions."
    )
    full = TokensOptions()
    quick = TokensOptions(
        seeds=(0,),
        captions=quick_captions(),
        vocabulary_size=60,
        longest={"words": 12, "characters": 45, "subwords": 24},
    )
    rows = ("words", "characters", "subwords")
    measures = (
        Measure("bleu_4", "BLEU-4"),
        Measure("cider_d", "CIDEr-D"),
        Measure("nats_per_character", "nats per character", 3, "results", "lower"),
        Measure("distinct", "different captions, %", 1),
        Measure("misspelt", "misspelt words, %", 2, "words", "lower"),
        Measure("references_unknown", "references that need <UNK>, %", 2, "words", "lower"),
        Measure("wanted_unknown", "captions where <UNK> was likeliest, %", 1, "words", "lower"),
        Measure("different_words", "different words used", 0, "words", ""),
        Measure("unknown_free", "nats per character, <UNK> not spelled", 3, "words", "lower"),
        Measure("parameters", "parameters", 0, "cost", "lower"),
        Measure("multiply_adds", "multiply-adds per photo, millions", 0, "cost", "lower"),
        Measure("vocabulary", "vocabulary", 0, "cost", ""),
        Measure("tokens", "tokens per caption", 1, "cost", "lower"),
        Measure("trained_per_second", "captions per second, training", 0, "cost"),
        Measure("written_per_second", "captions per second, decoding", 1, "cost"),
    )
    comparisons = tuple(
        Comparison(variant, "words", measure, f"{variant} instead of words")
        for variant in ("characters", "subwords")
        for measure in ("cider_d", "bleu_4", "nats_per_character", "written_per_second")
    )

    charts = (Bars("results"), Curves("curves"), Drawn("nats", draw_nats))
    result_tables = (
        ReferenceTable("examples", "reference", 5, last=("misspelt words", "misspelt")),
    )


STUDY = TokensStudy()
