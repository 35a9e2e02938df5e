"""The study ``synthetic``: CAM-RNN's attentions against known truth, on made clips."""

from __future__ import annotations

from typing import ClassVar

from negah.studies.study import (
    Comparison,
    Drawn,
    FactTable,
    Measure,
    Results,
    Study,
)
from negah.studies.synthetic.figures import draw_attention, draw_captions, draw_look
from negah.studies.synthetic.options import (
    WITHOUT_PREVIOUS,
    CaptionerTraining,
    SyntheticOptions,
    VisionOptions,
)

#: What attention and the gate are compared with by chance, in percent.
_CHANCE = 50.0
_AGAINST_CHANCE = {
    "thing_together": "of two things that are seen together looks at the one spoken of",
    "gate_auc": "tells visual words from function words by its gate",
}


class SyntheticStudy(Study):
    """Which attention finds what."""

    name = "synthetic"
    title = "Which attention finds what"
    question = "Which attention of CAM-RNN finds what, where the truth of every word is known?"
    claim = (
        "The paper on CAM-RNN finds on MSVD, with single runs, that region attention helps most "
        "(CIDEr: None 48.1, Frame 48.5, Visual 53.5, VT 53.2, CAM 54.3), and that its gate tells "
        "visual words from others."
    )
    full = SyntheticOptions()
    quick = SyntheticOptions(
        clips=12,
        test_clips=6,
        seeds=(0,),
        variants=("None", "Frame", "CAM, hidden"),
        vision=VisionOptions(clips=4, held_out=2, epochs=1),
        training=CaptionerTraining(epochs=2, batch=6, hidden_size=16, warmup_steps=2),
    )
    measures = (
        Measure("cider_d", "CIDEr-D"),
        Measure("bleu_4", "BLEU-4"),
        Measure("exact", "exact, %"),
        Measure("exact_together", "exact, together, %"),
        Measure("exact_in_turn", "exact, in turn, %"),
        Measure("attributes", "attributes, %"),
        Measure("pointing", "pointing, %", 1, "attention", chance="pointing_chance"),
        Measure("temporal", "temporal, %", 1, "attention", chance="temporal_chance"),
        Measure(
            "temporal_in_turn", "temporal, in turn, %", 1, "attention",
            chance="temporal_in_turn_chance",
        ),
        Measure("thing_together", "right thing, together, % (chance 50)", 1, "attention"),
        Measure("gate_auc", "gate AUC, % (chance 50)", 1, "attention"),
        Measure("parameters", "parameters", 0, "cost", "lower"),
    )  # fmt: skip
    comparisons = tuple(
        Comparison(variant, against, measure, what)
        for variant, against, measure, what in (
            ("Frame", "None", "exact", "frame attention against none"),
            ("Visual", "Frame", "exact", "bottom-up region attention against frames alone"),
            ("VT", "Visual", "exact", "phrase attention"),
            ("CAM", "VT", "exact", "the gate"),
            ("CAM, hidden", "CAM", "exact", "regions asked by the word against bottom-up ones"),
            ("CAM, hidden", "CAM", "exact_together", "the same where both are seen together"),
            ("CAM, hidden", "CAM", "exact_in_turn", "the same where they are seen in turn"),
            ("CAM", "CAM, S = 1", "exact", "phrases of up to three words against one"),
            ("CAM", "CAM, S = 2", "exact", "phrases of up to three words against two"),
            ("CAM, hidden", WITHOUT_PREVIOUS, "exact", "the weight of the frame before"),
            ("CAM, hidden", WITHOUT_PREVIOUS, "pointing", "the same for pointing"),
        )
    )
    fact_tables = (
        FactTable(
            "features",
            ("", "colour", "shape", "size", "change", "kind of frame"),
            (
                (
                    "held-out cells that are named rightly, %",
                    *(
                        f"{{features[{name}]!p:.1f}}"
                        for name in ("colour", "shape", "size", "change", "frame")
                    ),
                ),
            ),
        ),
    )
    charts = (
        Drawn("captions", draw_captions),
        Drawn("attention", draw_attention),
        Drawn("look", draw_look),
    )
    learns_from_photos: ClassVar[bool] = False

    def variants(self, options: SyntheticOptions) -> tuple[str, ...]:
        """The systems of the setting."""
        return options.variants

    def verdicts(self, results: Results) -> list[str]:
        """The comparisons, and each attention against chance."""
        sentences = super().verdicts(results)
        for variant in results.variants:
            for measure, what in _AGAINST_CHANCE.items():
                found = results.estimate(variant, measure)
                if found is None or found.half is None:
                    continue
                apart = abs(found.mean - _CHANCE) > found.half
                side = "above" if found.mean > _CHANCE else "below"
                claim = f"{side} chance" if apart else "at chance"
                sentences.append(f"{variant} {what}: {found}, {claim} ({_CHANCE:.0f}).")
        return sentences


STUDY = SyntheticStudy()
