"""Sizes and budgets of the study."""

from __future__ import annotations

from pydantic import Field

from negah.options import Options
from negah.studies.captioning.options import CaptionOptions, quick_captions
from negah.studies.study import StudyOptions

#: Curves over length, by what they hold.
ADDING, COPYING = "squared error by length", "recalled, % by delay"
#: The squared error of always answering 1, the mean of the sum of two uniform numbers; and the
#: percentage of symbols, of which there are 8, that guessing recalls.
GUESSING = {ADDING: 1 / 6, COPYING: 100 / 8}

GRU, NO_RESET, LSTM = "GRU", "GRU without reset gate", "LSTM"
CELLS = {GRU: "gru", NO_RESET: "gru-no-reset", LSTM: "lstm"}


class TaskOptions(Options):
    """The budget of one network on the adding or the copy problem, the same at every length."""

    lengths: tuple[int, ...] = Field(
        (20, 50, 100, 200), min_length=1, description="T of the adding problem"
    )
    delays: tuple[int, ...] = Field(
        (5, 10, 20, 40), min_length=1, description="blanks between hearing and recalling"
    )
    hidden_size: int = Field(64, ge=1, description="D")
    adding_steps: int = Field(800, ge=1, description="training steps on the adding problem")
    copying_steps: int = Field(1600, ge=1, description="training steps on the copy problem")
    batch: int = Field(32, ge=1, description="fresh sequences of a step")
    learning_rate: float = Field(5e-3, gt=0, description="of Adam, half the time; cosine to 0")
    clip_norm: float = Field(1.0, gt=0, description="largest norm of the gradient")
    test_sequences: int = Field(2000, ge=1, description="that are measured on")


class GruGatesOptions(StudyOptions):
    """Captioners, tasks and proofs."""

    captioning: CaptionOptions = Field(
        CaptionOptions(
            dev_photos=300
        ),
        description="of the captioners",
    )  # fmt: skip
    tasks: TaskOptions = Field(TaskOptions(), description="of the networks on made sequences")
    proofs: int = Field(1000, ge=1, description="random cases of each forced schedule")


#: Seconds; the numbers mean nothing.
QUICK = GruGatesOptions(
    seeds=(0, 1),
    captioning=quick_captions(),
    tasks=TaskOptions(
        lengths=(4, 8), delays=(1, 3), hidden_size=8, adding_steps=4, copying_steps=4, batch=4,
        test_sequences=250,
    ),
    proofs=5,
)  # fmt: skip
