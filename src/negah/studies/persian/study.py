"""The study ``persian``: what is compared, what is measured, and the tests over photos."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from negah.bundle.packaged import bundled_models
from negah.bundle.schema import WEIGHTS_FILE
from negah.hashing import content_sha256
from negah.run_folder import RunFolder
from negah.studies.captioning.options import quick_captions
from negah.studies.persian.options import MODEL, PERSIAN, ROWS, PersianOptions
from negah.studies.study import (
    Bars,
    CaptionTable,
    Chart,
    Comparison,
    Measure,
    Paths,
    PhotoTestTable,
    ResultTable,
    Study,
    StudyOptions,
)

_STARTS = (
    ("+ English weights", "fresh", "starting from English weights"),
    (
        "+ words by what is shown",
        "+ English weights",
        "word vectors from the English words of the photos",
    ),
    ("+ sentences", "+ words by what is shown", "pretraining on sentences"),
    ("+ self-critical", "+ sentences", "self-critical training as the last step"),
    ("characters", "+ English weights", "characters instead of words"),
    ("subwords", "+ English weights", "subwords instead of words"),
    ("both languages", "+ English weights", "learning English as well"),
)


class PersianStudy(Study):
    """A captioner that learns a second language from few photos."""

    name: ClassVar[str] = "persian"
    title: ClassVar[str] = "Transfer to a second language"
    question: ClassVar[str] = (
        "What does a Persian captioner gain from English weights, from sentences without photos, "
        "from self-critical training, from other tokens, and from learning English as well?"
    )
    claim: ClassVar[str] = (
        "A captioner with few photos in its language gains from another language, from sentences "
        "without photos, and from training on the metric itself."
    )
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("cider_d", "CIDEr-D"),
        Measure("bleu_4", "BLEU-4"),
        Measure("rouge_l", "ROUGE-L"),
        Measure("dev_cider_d", "CIDEr-D, dev"),
        Measure("distinct", "different captions, %", 0, better=""),
        Measure("cider_d_en", "CIDEr-D, English", 1, "english"),
        Measure("bleu_4_en", "BLEU-4, English", 1, "english"),
        Measure("rouge_l_en", "ROUGE-L, English", 1, "english"),
        Measure("dev_cider_d_en", "CIDEr-D, English, dev", 1, "english"),
        Measure("distinct_en", "different captions, %", 0, "english", ""),
        Measure("words", "words per caption", 1, "cost", ""),
        Measure("vocabulary", "vocabulary", 0, "cost", ""),
        Measure("sentences", "pretraining sentences", 0, "cost", ""),
        Measure("words_shown", "word vectors from photos", 0, "cost", ""),
        Measure("parameters", "parameters", 0, "cost", "lower"),
    )
    comparisons: ClassVar[tuple[Comparison, ...]] = (
        *(Comparison(row, against, "cider_d", what) for row, against, what in _STARTS),
        Comparison("both languages", "English alone", "cider_d_en", "learning Persian as well"),
    )
    result_tables: ClassVar[tuple[ResultTable, ...]] = (
        PhotoTestTable(
            "tests",
            ("", "row", "against", "CIDEr-D, over seeds", "95% over photos", "p over photos"),
            comparisons,
        ),
        CaptionTable("examples"),
    )
    full: ClassVar[StudyOptions] = PersianOptions()
    quick: ClassVar[StudyOptions] = PersianOptions(
        seeds=(0,), captions=quick_captions(max_tokens=12), sentences=50, sentence_batch=16,
        subwords=60, samples=2, concepts=False, made=True,
    )  # fmt: skip
    rows: ClassVar[tuple[str, ...]] = tuple(row.name for row in ROWS)
    charts: ClassVar[tuple[Chart, ...]] = (Bars("results"),)
    reads_text: ClassVar[bool] = True
    beside: ClassVar[tuple[str, ...]] = (PERSIAN,)

    def made_of(self, paths: Paths) -> str:
        """Both tables of captions, and the weights of the model whose encoder sees."""
        from negah.studies.made_of import digest

        given = paths.captioned.model if paths.captioned is not None else None
        model = given or MODEL
        folder = bundled_models().get(model, Path(model))
        weights = RunFolder(folder).best if RunFolder(folder).is_run else folder / WEIGHTS_FILE
        sha256 = content_sha256(weights)[:16] if weights.is_file() else ""
        return f"{digest(paths.data)}-{digest(paths.data / PERSIAN)}-{sha256}"

    def signatures(self, paths: Paths) -> dict[str, str]:
        """Those of the Persian captions, and CIDEr-D of the English ones."""
        from negah.studies.made_of import metric_signatures

        names = [one.name for one in self.measures]
        found = metric_signatures(paths.data / PERSIAN, names, "fa")
        english = metric_signatures(paths.data, ["cider_d"])
        return {**found, **{f"{name} of English": text for name, text in english.items()}}


STUDY = PersianStudy()
