"""The study ``word-order``: comparisons, measures and figures."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

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

_SHARES = {"10%": 0.1, "30%": 0.3, "100%": 1.0}
_PRETRAINED = ", pretrained"


class WordOrderOptions(StudyOptions):
    """The setting: the same vocabulary, sizes and steps with and without pretraining."""

    captions: CaptionOptions = CaptionOptions(
        dev_photos=150, test_photos=500, warmup_steps=20
    )  # fmt: skip
    epochs: dict[str, int] = Field(
        {"10%": 12, "30%": 8, "100%": 4}, description="times that a photo is seen, by share"
    )
    language: CaptionOptions = CaptionOptions(captions=1, batch=128, epochs=2)
    sentences: int = Field(40_000, ge=10, description="that the generator learns from, at most")
    judging_sentences: int = Field(30_000, ge=10, description="that the judge learns from")
    made_text: bool = Field(False, description="sentences made for it, instead of files")

    def language_key(self) -> str:
        """Names all that decides a language model besides its seed."""
        values = self.model_dump(mode="json", exclude={"seeds", "epochs"})
        return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


class WordOrderStudy(Study):
    """A generator that learned to write before it saw a picture, and one that did not."""

    name = "word-order"
    title = "A language model for word order"
    question = "What does pretraining the generator on text without pictures change?"
    claim = (
        "A language model knows in which order words come; with one, a captioner needs fewer "
        "captions and makes fewer mistakes of grammar."
    )
    measures = (
        Measure("cider_d", "CIDEr-D"),
        Measure("bleu_4", "BLEU-4"),
        Measure("perplexity", "perplexity of references", 1, "results", "lower"),
        # what is bland is likely, too: lower is not always better
        Measure("judged", "judge's perplexity of captions", 1, "results", ""),
        Measure("distinct", "different captions, %", 1, "words"),
        Measure("different_words", "different words written", 0, "words", ""),
        Measure("words", "words a caption", 1, "words", ""),
        Measure("photos", "photos", 0, "cost", ""),
        Measure("steps", "steps", 0, "cost", ""),
        Measure("parameters", "parameters", 0, "cost", "lower"),
    )
    comparisons = tuple(
        Comparison(
            f"{share}{_PRETRAINED}", share, measure, f"pretraining, with {share} of the photos"
        )
        for share in _SHARES
        for measure in ("cider_d", "perplexity", "judged")
    )

    def options(self, quick: bool) -> WordOrderOptions:
        """The full setting, or seconds."""
        if not quick:
            return WordOrderOptions()
        small = quick_captions()
        return WordOrderOptions(
            seeds=(0,),
            captions=small,
            epochs=dict.fromkeys(_SHARES, 2),
            language=small.model_copy(update={"captions": 1, "batch": 16, "epochs": 1}),
            sentences=100,
            judging_sentences=100,
            made_text=True,
        )

    def variants(self, options: WordOrderOptions) -> Sequence[str]:
        """Each share, without and with."""
        return tuple(share + more for share in _SHARES for more in ("", _PRETRAINED))

    def prepare(self, options: WordOrderOptions, paths: Paths, progress: Progress) -> None:
        """Features, the judge, and the language model of each seed."""
        from negah.studies.captioning import prepare_captions
        from negah.studies.word_order.cell import prepare

        prepare_captions(options.captions, paths, progress)
        prepare(options, paths, progress)

    def run_cell(
        self,
        options: WordOrderOptions,
        paths: Paths,
        variant: str,
        seed: int,
        progress: Progress,
    ) -> dict[str, Any]:
        """Train and measure one captioner."""
        from negah.studies.word_order.cell import run

        share = variant.removesuffix(_PRETRAINED)
        return run(
            options, paths, _SHARES[share], options.epochs[share],
            pretrained=variant != share, seed=seed, progress=progress,
        )  # fmt: skip

    def facts(self, options: WordOrderOptions, paths: Paths, progress: Progress) -> dict[str, Any]:
        """The judge's perplexity of people's captions, in order and not."""
        from negah.studies.word_order.cell import facts

        return facts(options, paths, progress)

    def verdicts(self, results: Results) -> list[str]:
        """Also the scale of the judge."""
        judged = results.facts["judged"]
        return [
            *super().verdicts(results),
            f"Scale of the judge: captions of people have a perplexity of {judged['people']:.1f}, "
            f"the same words in an order by chance {judged['shuffled']:.1f}.",
        ]

    def tables(self, results: Results) -> dict[str, str]:
        """Also the text, and captions of the first seed."""
        text, judge = results.facts["text"], results.facts["judge"]
        rows = [
            ["sentences in the files", f"{text['sentences_read']:,}"],
            ["left without Flickr8k's photos and repetitions", f"{text['sentences_kept']:,}"],
            ["learned by the generator", f"{text['sentences_learned']:,}"],
            ["learned by the judge", f"{text['sentences_judging']:,}"],
            ["vocabulary of the captioners", f"{results.facts['vocabulary']:,}"],
            ["share of the generator's text that it covers, %", f"{text['coverage']:.1f}"],
            ["vocabulary of the judge", f"{judge['vocabulary']:,}"],
            ["share of the references that it covers, %", f"{judge['coverage']:.1f}"],
            [
                "perplexity of held-out sentences after pretraining",
                f"{results.facts['language_model']['perplexity']:.1f}",
            ],
            [
                "seconds of pretraining, once for all shares of a seed",
                f"{results.facts['language_model']['seconds']:.0f}",
            ],
        ]
        written = [
            [
                variant,
                *list(results.cell(variant, results.seeds[0])["extra"]["captions"].values())[:3],
            ]
            for variant in results.variants
        ]
        return {
            **super().tables(results),
            "text": markdown(["", ""], rows),
            "examples": markdown(["", "a photo", "another", "a third"], written),
        }

    def figures(self, results: Results, folder: Path) -> list[Path]:
        """Quality against the share of captions."""
        from negah.studies.word_order.figures import draw_shares

        return [draw_shares(results, _SHARES, folder / "word-order-results.png")]


STUDY = WordOrderStudy()
