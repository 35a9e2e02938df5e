"""Log-probabilities -> sequences: greedy search, beam search and sampling, once, in NumPy."""

from negah.decoding.constraints import Constraints
from negah.decoding.decoder import decode
from negah.decoding.fusion import FusedStepModel, Streams
from negah.decoding.hypothesis import Hypothesis, sequence_score
from negah.decoding.options import DecodingOptions
from negah.decoding.protocol import Evidence, State, Step, StepModel

__all__ = [
    "Constraints",
    "DecodingOptions",
    "Evidence",
    "FusedStepModel",
    "Hypothesis",
    "State",
    "Step",
    "StepModel",
    "Streams",
    "decode",
    "sequence_score",
]
