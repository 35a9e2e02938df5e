"""The setting of the study, and what its rows are."""

from __future__ import annotations

from pydantic import Field

from negah.options import Options
from negah.studies.captioning.options import CaptionOptions
from negah.studies.study import StudyOptions

#: The captions, in the folder of the photos; the English ones are those of the folder itself.
PERSIAN = "captions_fa.csv"
#: Whose encoder sees, unless another model is named.
MODEL = "negah-photo"
#: Most tokens of a caption, where they are no words.
LONGEST = {"char": 100, "subword": 40}


class PersianOptions(StudyOptions):
    """Small captioners on one feature a photo, so that three seeds of all rows take minutes."""

    captions: CaptionOptions = Field(
        CaptionOptions(
            encoder="efficientnet-lite2", size=224, min_count=4, max_tokens=20, epochs=2,
            warmup_steps=30, dev_photos=1000, test_photos=1000,
        ),
        description="of all rows, and of the English run; of both languages twice the captions",
    )  # fmt: skip
    sentences: int = Field(30_000, ge=1, description="of the text without pictures, evenly")
    sentence_batch: int = Field(96, ge=1, description="sentences of a step")
    subwords: int = Field(1000, ge=5, description="vocabulary of the subwords")
    critical_rate: float = Field(3e-4, gt=0, description="of self-critical training, one epoch")
    samples: int = Field(3, ge=2, description="captions that it draws of each photo")
    concepts: bool = Field(True, description="the encoder tells concepts, and words can be shown")
    made: bool = Field(False, description="Persian captions and sentences made for it")


class PersianRow(Options):
    """One row: a training, and what it is made of."""

    name: str = Field(description="in tables")
    english: bool = Field(True, description="starts from the English run, all but its words")
    shown: bool = Field(False, description="its words start from those that their photos show")
    sentences: bool = Field(False, description="learns sentences without pictures first")
    critical: bool = Field(False, description="goes on self-critically for an epoch")
    tokens: str = Field("word", description="words, char or subword")
    languages: tuple[str, ...] = Field(("fa",), description="that it learns and is measured in")


#: Each of the first five adds one thing to the row above it.
ROWS = (
    PersianRow(name="fresh", english=False),
    PersianRow(name="+ English weights"),
    PersianRow(name="+ words by what is shown", shown=True),
    PersianRow(name="+ sentences", shown=True, sentences=True),
    PersianRow(name="+ self-critical", shown=True, sentences=True, critical=True),
    PersianRow(name="characters", tokens="char"),
    PersianRow(name="subwords", tokens="subword"),
    PersianRow(name="both languages", languages=("fa", "en")),
    PersianRow(name="English alone", languages=("en",)),
)
