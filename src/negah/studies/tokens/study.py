"""The study ``tokens``: comparisons, measures and figures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from pydantic import Field

from negah.studies.captioning import CaptionOptions, quick_captions
from negah.studies.results import Results
from negah.studies.study import (
    Comparison,
    Measure,
    Paths,
    Progress,
    Study,
    StudyOptions,
    markdown,
)
from negah.text import CharTokenizer, SubwordTokenizer, Tokenizer, WordTokenizer


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
    question = "What does a captioner gain or lose when it writes characters or pieces of words?"
    claim = (
        "A model of characters needs no vocabulary and knows no unknown word, but has to learn "
        "to spell and is slower; a model of words writes better captions."
    )
    measures = (
        Measure("bleu_4", "BLEU-4"),
        Measure("cider_d", "CIDEr-D"),
        Measure("nats_per_character", "nats a character", 3, "results", "lower"),
        Measure("distinct", "different captions, %", 1),
        Measure("misspelt", "misspelt words, %", 2, "words", "lower"),
        Measure("references_unknown", "references that need <UNK>, %", 2, "words", "lower"),
        Measure("wanted_unknown", "captions that wanted <UNK>, %", 1, "words", "lower"),
        Measure("different_words", "different words written", 0, "words", ""),
        Measure("unknown_free", "nats a character, <UNK> free", 3, "words", "lower"),
        Measure("parameters", "parameters", 0, "cost", "lower"),
        Measure("multiply_adds", "multiply-adds of a photo, millions", 0, "cost", "lower"),
        Measure("vocabulary", "vocabulary", 0, "cost", ""),
        Measure("tokens", "tokens a caption", 1, "cost", "lower"),
        Measure("trained_per_second", "captions a second, training", 0, "cost"),
        Measure("written_per_second", "captions a second, writing", 1, "cost"),
    )
    comparisons: ClassVar = tuple(
        Comparison(variant, "words", measure, f"{variant} instead of words")
        for variant in ("characters", "subwords")
        for measure in ("cider_d", "bleu_4", "nats_per_character", "written_per_second")
    )

    def options(self, quick: bool) -> TokensOptions:
        """The full setting, or seconds."""
        if not quick:
            return TokensOptions()
        return TokensOptions(
            seeds=(0,),
            captions=quick_captions(),
            vocabulary_size=60,
            longest={"words": 12, "characters": 45, "subwords": 24},
        )

    def variants(self, options: TokensOptions) -> Sequence[str]:
        """Words first."""
        return ("words", "characters", "subwords")

    def prepare(self, options: TokensOptions, paths: Paths, progress: Progress) -> None:
        """Store the features."""
        from negah.studies.captioning import prepare_captions

        prepare_captions(options.captions, paths, progress)

    def run_cell(
        self,
        options: TokensOptions,
        paths: Paths,
        variant: str,
        seed: int,
        progress: Progress,
    ) -> dict[str, Any]:
        """Train and measure one tokenizer's captioner."""
        from negah.studies.tokens.cell import run

        most = options.longest[variant]
        o = options.captions.model_copy(update={"max_tokens": most})

        def build(captions: Sequence[str]) -> Tokenizer:
            if variant == "characters":
                return CharTokenizer.build(captions, min_count=o.min_count, normalize=True)
            if variant == "subwords":
                return SubwordTokenizer.build(
                    captions, vocabulary_size=options.vocabulary_size, min_count=o.min_count
                )
            return WordTokenizer.build(captions, min_count=o.min_count)

        return run(o, build, paths, seed, progress)

    def tables(self, results: Results) -> dict[str, str]:
        """Also what the captioners of the first seed wrote."""
        first = results.seeds[0]
        extra = {variant: results.cell(variant, first)["extra"] for variant in results.variants}
        references = extra[results.variants[0]]["references"]
        rows = [
            [references[name], *(extra[variant]["captions"][name] for variant in results.variants)]
            for name in list(references)[:5]
        ]
        rows.append(
            ["misspelt words", *(", ".join(extra[v]["misspelt"]) or "–" for v in results.variants)]
        )
        return {
            **super().tables(results),
            "examples": markdown(["a person", *results.variants], rows),
        }

    def figures(self, results: Results, folder: Path) -> list[Path]:
        """Bars and curves, and where the nats go."""
        from negah.studies.tokens.figures import draw_nats

        return [*super().figures(results, folder), draw_nats(results, folder / "tokens-nats.png")]


STUDY = TokensStudy()
