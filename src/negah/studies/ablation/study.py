"""The study ``ablation``: the paper's ablations, phrase lengths and region queries, on photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from pydantic import Field

from negah.studies.captioning.options import CaptionOptions, quick_captions
from negah.studies.study import Comparison, FactSentence, Measure, Study, StudyOptions

_NONE: dict[str, Any] = {"visual": "mean", "text_attention": False, "gate": False}
_BOTTOM_UP: dict[str, Any] = {"visual": "regions", "region_query": "none"}
_ASKED: dict[str, Any] = {"visual": "regions", "region_query": "hidden"}

#: The rows by name, as changes to :class:`negah.models.CamRnnOptions`; named as in the study on
#: made clips. Plain ones have the paper's region attention, "hidden" is asked by the state, and S
#: is 3 where nothing else is said.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "None": _NONE,
    "Frame": {**_NONE, "visual": "frames"},
    "Visual": {**_NONE, **_BOTTOM_UP},
    "VT": {**_BOTTOM_UP, "gate": False},
    "CAM, S = 1": {**_BOTTOM_UP, "phrases": 1},
    "CAM, S = 2": {**_BOTTOM_UP, "phrases": 2},
    "CAM": _BOTTOM_UP,
    "Visual, hidden": {**_NONE, **_ASKED},
    "CAM, hidden, S = 1": {**_ASKED, "phrases": 1},
    "CAM, hidden, S = 2": {**_ASKED, "phrases": 2},
    "CAM, hidden": _ASKED,
}


class AblationOptions(StudyOptions):
    """How much of everything."""

    captioning: CaptionOptions = Field(
        CaptionOptions(
            dev_photos=100, test_photos=500, hidden_size=128, beam=1,
            learning_rate=4e-3,
        ),
        description="of all rows",
    )  # fmt: skip
    visual_size: int = Field(128, ge=1, description="M")
    attention_size: int = Field(64, ge=1, description="A")
    phrase_size: int = Field(64, ge=1, description="P")
    systems: tuple[str, ...] = Field(tuple(VARIANTS), min_length=1, description="the rows")


class AblationStudy(Study):
    """Which part of CAM-RNN helps where there is one frame."""

    name: ClassVar[str] = "ablation"
    title: ClassVar[str] = "Which part of CAM-RNN helps on photographs"
    question: ClassVar[str] = (
        "What are CAM-RNN's attentions, its gate and the length of its phrases worth on "
        "photographs?"
    )
    claim: ClassVar[str] = (
        "The paper on CAM-RNN finds on MSVD, with single runs, that each part helps or does no "
        "harm (CIDEr: None 48.1, Frame 48.5, Visual 53.5, VT 53.2, CAM 54.3) and that phrases of "
        "up to three words are best."
    )
    full: ClassVar[StudyOptions] = AblationOptions()
    quick: ClassVar[StudyOptions] = AblationOptions(
        seeds=(0, 1), captioning=quick_captions(), visual_size=8, attention_size=4,
        phrase_size=4, systems=("None", "Frame", "CAM", "CAM, hidden"),
    )  # fmt: skip
    sentences: ClassVar[tuple[FactSentence, ...]] = (
        FactSentence(
            "Frame with the weights of None gives the scores of None: the largest difference of a "
            "logit is {frame_against_mean:.0e}. The row Frame shows what another draw of random "
            "numbers does."
        ),
    )
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("cider_d", "CIDEr-D"),
        Measure("bleu_4", "BLEU-4"),
        Measure("rouge_l", "ROUGE-L"),
        Measure("nats", "nats per token", 3, better="lower"),
        Measure("distinct", "different captions, %", 0, better=""),
        Measure("point_attention", "attention on the thing, %", 1, "evidence"),
        Measure("point_occlusion", "occlusion on the thing, %", 1, "evidence"),
        Measure("point_chance", "the thing's share of the cells, %", 1, "evidence", ""),
        Measure("supported", "supported words, %", 1, "evidence"),
        Measure("lift", "lift of supported words, nats", 3, "evidence"),
        Measure("auc_logprob", "supported above invented by log-probability, %", 1, "evidence"),
        Measure("auc_lift", "by lift, %", 1, "evidence"),
        Measure("auc_gate", "by the gate, %", 1, "evidence", ""),
        Measure("parameters", "parameters", 0, "cost", "lower"),
        Measure("multiply_adds", "multiply-adds of a photo, millions", 0, "cost", "lower"),
    )
    comparisons: ClassVar[tuple[Comparison, ...]] = tuple(
        Comparison(variant, against, measure, what)
        for variant, against, what in (
            ("Frame", "None", "frame attention over a single frame, which changes nothing"),
            ("Visual", "Frame", "bottom-up region attention"),
            ("VT", "Visual", "phrase attention"),
            ("CAM", "VT", "the gate"),
            ("CAM", "CAM, S = 1", "phrases of up to three words against one"),
            ("CAM", "CAM, S = 2", "phrases of up to three words against two"),
            ("CAM, hidden", "CAM", "regions asked by the word against bottom-up ones"),
            ("Visual, hidden", "Visual", "the same without phrases and gate"),
            ("CAM, hidden", "Visual, hidden", "phrases and gate where regions are asked"),
            ("CAM, hidden", "CAM, hidden, S = 1", "phrases of three words against one, asked"),
            ("CAM, hidden", "CAM, hidden, S = 2", "phrases of three words against two, asked"),
        )
        for measure in ("cider_d", "nats")
    ) + tuple(
        Comparison(variant, against, measure, what)
        for variant, against, what in (
            ("Visual", "None", "bottom-up region attention"),
            ("CAM", "VT", "the gate"),
            ("CAM, hidden", "CAM", "regions asked by the word"),
            ("CAM, hidden", "None", "all of it"),
        )
        for measure in ("point_attention", "point_occlusion", "lift", "auc_logprob", "auc_lift")
    )

    def variants(self, options: Any) -> Sequence[str]:
        """The systems of the setting."""
        return tuple(options.systems)


STUDY = AblationStudy()
