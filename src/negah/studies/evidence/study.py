"""The study ``evidence``: comparisons, measures and presentation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import Field

from negah.studies.evidence.figures import draw_made, draw_photos
from negah.studies.evidence.telling import FACT_TABLES, METHODS, RESULT_TABLES, sentences
from negah.studies.study import (
    Chart,
    Comparison,
    Drawn,
    FactTable,
    Measure,
    Paths,
    Results,
    ResultTable,
    Study,
    StudyOptions,
    key_of,
)
from negah.studies.synthetic.options import CaptionerTraining, VisionOptions, WorldOptions

_ASKED: dict[str, Any] = {"visual": "regions", "region_query": "hidden", "gate": True}

#: The rows by name, as changes to :class:`negah.models.CamRnnOptions`.
VARIANTS: Mapping[str, Mapping[str, Any]] = {
    "CAM, hidden": {**_ASKED, "text_attention": True},
    "no text attention": {**_ASKED, "text_attention": False},
}
_FULL, _NO_TEXT = VARIANTS


class EvidenceOptions(WorldOptions):
    """How much of everything, and of whose captions."""

    test_clips: int = Field(300, ge=4, description="held-out clips")
    training: CaptionerTraining = Field(
        CaptionerTraining(epochs=10, batch=16), description="of the captioners"
    )
    explained: int = Field(100, ge=1, description="captions whose words are explained")
    others: int = Field(8, ge=1, description="clips that stand in for the one in question")
    photos: int = Field(1000, ge=1, description="photographs at most")
    boards: int = Field(60, ge=1, description="clips of two photographs at most")

    def training_key(self) -> str:
        """Names all that decides the weights of a row with a seed."""
        others = {"seeds", "explained", "others", "photos", "boards"}
        return key_of(self.model_dump(mode="json", exclude=others))


class EvidenceStudy(Study):
    """Is attention evidence? Is the gate?"""

    name: ClassVar[str] = "evidence"
    title: ClassVar[str] = "Is attention evidence? Is the gate?"
    question: ClassVar[str] = (
        "Do a captioner's attention and its gate tell where a word comes from, and whether it is "
        "true?"
    )
    claim: ClassVar[str] = (
        "The paper on CAM-RNN, as many since, shows attention weights as what the model looked at, "
        "and its gate as how much of a word comes from the picture."
    )
    learns_from_photos: ClassVar[bool] = False
    timed: ClassVar[bool] = False
    fact_tables: ClassVar[tuple[FactTable, ...]] = FACT_TABLES
    result_tables: ClassVar[tuple[ResultTable, ...]] = RESULT_TABLES
    full: ClassVar[StudyOptions] = EvidenceOptions()
    quick: ClassVar[StudyOptions] = EvidenceOptions(
        seeds=(0,), clips=12, test_clips=6, explained=3, others=2, photos=4, boards=2,
        vision=VisionOptions(clips=4, held_out=2, epochs=1),
        training=CaptionerTraining(epochs=2, batch=6, hidden_size=16, warmup_steps=2),
    )  # fmt: skip
    rows: ClassVar[tuple[str, ...]] = tuple(VARIANTS)
    charts: ClassVar[tuple[Chart, ...]] = (Drawn("made", draw_made), Drawn("photos", draw_photos))
    measures: ClassVar[tuple[Measure, ...]] = (
        Measure("exact", "captions true throughout, %", 1, "captions"),
        Measure("attributes", "attributes that are true, %", 1, "captions"),
        *(
            Measure(f"{kind}_{method}", f"{title}, {how}, %", 1, "where")
            for kind, title in (
                ("point", "pointing"),
                ("time", "time"),
                ("turn", "time, in turn"),
                ("thing", "right thing of two"),
            )
            for method, how in METHODS.items()
        ),
        *(
            Measure(f"{kind}_chance", f"{title}, chance, %", 1, "where", "")
            for kind, title in (("point", "pointing"), ("time", "time"), ("turn", "time, in turn"))
        ),
        Measure("need_gate", "gate, AUC, %", 1, "need", ""),
        Measure("need_lift", "lift, AUC, %", 1, "need"),
        Measure("gate_lift", "rank correlation of gate and lift", 2, "need", ""),
        Measure("gate_lift_visual", "the same over words of things and deeds", 2, "need", ""),
        *(
            Measure(
                f"{kind}_{name}",
                f"{kind}: {title}",
                1,
                "support",
                "" if name == "gate" else "higher",
            )
            for kind in ("wrong", "other", "own")
            for name, title in (
                ("gate", "gate"),
                ("logprob", "log-probability"),
                ("lift", "lift"),
                ("all", "together"),
            )
        ),
    )
    comparisons: ClassVar[tuple[Comparison, ...]] = (
        Comparison(_NO_TEXT, _FULL, "point_attention", "leaving out text attention"),
        Comparison(_NO_TEXT, _FULL, "point_occlusion", "leaving out text attention"),
        Comparison(_NO_TEXT, _FULL, "need_gate", "leaving out text attention"),
        Comparison(_NO_TEXT, _FULL, "own_all", "leaving out text attention"),
    )

    def facts_of(self, options: Any, paths: Paths) -> dict[str, Any]:
        """The models, the photographs and their boxes, and the clips."""
        if paths.captioned is None:
            return {}
        from negah.studies.evidence import clips, photos

        of_photos = photos.depends_on(paths.captioned, options.photos)
        return {**of_photos, "clips": clips.depends_on(clips.clips_beside(paths.text))}

    def verdicts(self, results: Results) -> list[str]:
        """Sentences on made clips, on photographs, and on clips of them."""
        return [*sentences(results), *super().verdicts(results)]


STUDY = EvidenceStudy()
