"""The study ``word-order``: comparisons, measures and figures."""

from __future__ import annotations

from pydantic import Field

from negah.studies.captioning import CaptionOptions, quick_captions
from negah.studies.study import (
    CaptionTable,
    Comparison,
    Drawn,
    FactSentence,
    FactTable,
    Measure,
    Study,
    StudyOptions,
    key_of,
)
from negah.studies.word_order.figures import PRETRAINED, SHARES, draw_shares


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
        return key_of(self.model_dump(mode="json", exclude={"seeds", "epochs"}))


class WordOrderStudy(Study):
    """A generator that learned to write before it saw a picture, and one that did not."""

    name = "word-order"
    title = "Pretraining the generator as a language model"
    question = "What does pretraining the generator on text without photos contribute?"
    claim = (
        "A language model knows the order of words; with one, a captioner needs fewer captions and "
        "makes fewer grammatical errors."
    )
    full = WordOrderOptions()
    quick = WordOrderOptions(
        seeds=(0,),
        captions=quick_captions(),
        epochs=dict.fromkeys(SHARES, 2),
        language=quick_captions(captions=1, batch=16, epochs=1),
        sentences=100,
        judging_sentences=100,
        made_text=True,
    )
    rows = tuple(share + more for share in SHARES for more in ("", PRETRAINED))
    reads_text = True
    measures = (
        Measure("cider_d", "CIDEr-D"),
        Measure("bleu_4", "BLEU-4"),
        Measure("perplexity", "perplexity of references", 1, "results", "lower"),
        # what is bland is likely, too: lower is not always better
        Measure("judged", "judge's perplexity of captions", 1, "results", ""),
        Measure("distinct", "different captions, %", 1, "words"),
        Measure("different_words", "different words used", 0, "words", ""),
        Measure("words", "words per caption", 1, "words", ""),
        Measure("photos", "photos", 0, "cost", ""),
        Measure("steps", "steps", 0, "cost", ""),
        Measure("parameters", "parameters", 0, "cost", "lower"),
    )
    comparisons = tuple(
        Comparison(
            f"{share}{PRETRAINED}", share, measure, f"pretraining, with {share} of the photos"
        )
        for share in SHARES
        for measure in ("cider_d", "perplexity", "judged")
    )

    fact_tables = (
        FactTable(
            "text",
            ("", ""),
            (
                ("sentences in the files", "{text[sentences_read]:,}"),
                (
                    "left without duplicates and Flickr8k's photos",
                    "{text[sentences_kept]:,}",
                ),
                ("used to train the generator", "{text[sentences_learned]:,}"),
                ("used to train the judge", "{text[sentences_judging]:,}"),
                ("vocabulary of the captioners", "{vocabulary:,}"),
                ("its coverage of the generator's text, %", "{text[coverage]:.1f}"),
                ("vocabulary of the judge", "{judge[vocabulary]:,}"),
                ("its coverage of the references, %", "{judge[coverage]:.1f}"),
                (
                    "perplexity of held-out sentences after pretraining",
                    "{language_model[perplexity]:.1f}",
                ),
                (
                    "seconds of pretraining, once per seed",
                    "{language_model[seconds]:.0f}",
                ),
            ),
        ),
    )
    sentences = (
        FactSentence(
            "Judge's perplexity for comparison: {judged[people]:.1f} for human captions, "
            "{judged[shuffled]:.1f} for the same words in random order."
        ),
    )
    result_tables = (CaptionTable("examples"),)
    charts = (Drawn("results", draw_shares),)


STUDY = WordOrderStudy()
