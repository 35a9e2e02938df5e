"""Diagnosis of a captioner: vanishing or exploding gradients, and other faults. :func:`walk` runs
over known captions and keeps every state, :class:`Flow` measures how gradients propagate,
:func:`examine` does both on a few batches, and :func:`judge` interprets the numbers.

For any captioner of :mod:`negah.models`; definitions in ``docs/studies/gradients.md``.
"""

from negah.diagnostics.attention import AttentionSums, AttentionWatch
from negah.diagnostics.examine import Diagnosis, examine, finite, said
from negah.diagnostics.flow import Flow, Profile, exact_jacobians
from negah.diagnostics.gates import GateWatch, Saturation
from negah.diagnostics.layers import (
    Layer,
    layer_of,
    layers,
    snapshot,
    stack,
    still_rows,
    touched_rows,
    update_ratios,
)
from negah.diagnostics.verdict import (
    Finding,
    GradientState,
    Thresholds,
    Verdict,
    VerdictMeasurements,
    at_distance,
    judge,
    per_step,
)
from negah.diagnostics.walk import CaptionSample, Walk, walk

__all__ = [
    "AttentionSums",
    "AttentionWatch",
    "CaptionSample",
    "Diagnosis",
    "Finding",
    "Flow",
    "GateWatch",
    "GradientState",
    "Layer",
    "Profile",
    "Saturation",
    "Thresholds",
    "Verdict",
    "VerdictMeasurements",
    "Walk",
    "at_distance",
    "exact_jacobians",
    "examine",
    "finite",
    "judge",
    "layer_of",
    "layers",
    "per_step",
    "said",
    "snapshot",
    "stack",
    "still_rows",
    "touched_rows",
    "update_ratios",
    "walk",
]
