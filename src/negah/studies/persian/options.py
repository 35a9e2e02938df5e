"""The setting of the study, and what its rows are."""

from __future__ import annotations

from pydantic import Field

from negah.options import Options
from negah.studies.study import StudyOptions

#: The captions, in the folder of the photos; the English ones are those of the folder itself.
PERSIAN = "captions_fa.csv"
#: Whose encoder sees, unless another model is named.
MODEL = "negah-photo"


class PersianOptions(StudyOptions):
    """Small captioners on one feature a photo, so that three seeds of all rows take minutes."""

    encoder: str = Field("efficientnet-lite2", description="of the model whose encoder sees")
    size: int = Field(224, ge=32, description="its input in pixels")
    weights: str = Field("", description="in place of that model's: random, for a quick run")
    hidden_size: int = Field(192, ge=1, description="D")
    embedding_size: int = Field(128, ge=1, description="E")
    dropout: float = Field(0.2, ge=0, lt=1, description="on words, picture and before the output")
    min_count: int = Field(4, ge=1, description="rarer words are <UNK>")
    english_photos: int = Field(6000, ge=1, description="that the English run learns from")
    english_captions: int = Field(2, ge=1, description="of each")
    photos: int = Field(8, ge=1, description="of a step")
    captions: int = Field(3, ge=1, description="of each, in its one epoch")
    learning_rate: float = Field(4e-3, gt=0, description="the highest; warm-up, then a cosine")
    warmup_steps: int = Field(30, ge=0, description="steps until the highest rate")
    sentences: int = Field(30_000, ge=1, description="of the text without pictures, evenly")
    subwords: int = Field(1000, ge=5, description="vocabulary of the subwords")
    critical_rate: float = Field(2e-4, gt=0, description="of self-critical training")
    critical_photos: int = Field(16, ge=1, description="of its step")
    samples: int = Field(3, ge=2, description="captions that it draws of each")
    beam: int = Field(3, ge=1, description="of the captions that are scored")
    concepts: bool = Field(True, description="the encoder tells concepts, and words can be shown")
    made: bool = Field(False, description="Persian captions and sentences made for it")


class Row(Options):
    """One row: a training, and what it is made of."""

    name: str = Field(description="in tables")
    english: bool = Field(True, description="starts from the English run, all but its words")
    shown: bool = Field(False, description="its words start from those that their photos show")
    sentences: bool = Field(False, description="learns sentences without pictures first")
    after: str = Field(
        "", description="the row whose finished run it goes on from, self-critically"
    )
    tokens: str = Field("word", description="text.tokenizer")
    languages: tuple[str, ...] = Field(("fa",), description="that it learns and is measured in")


#: Each of the first five adds one thing to the row above it.
ROWS = (
    Row(name="fresh", english=False),
    Row(name="+ English weights"),
    Row(name="+ words by what is shown", shown=True),
    Row(name="+ sentences", shown=True, sentences=True),
    Row(name="+ self-critical", after="+ sentences"),
    Row(name="characters", tokens="char"),
    Row(name="subwords", tokens="subword"),
    Row(name="both languages", languages=("fa", "en")),
    Row(name="English alone", languages=("en",)),
)
