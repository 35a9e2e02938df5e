"""Log-probabilities -> sequences: greedy search, beam search and sampling, once, in NumPy."""

from negah.decoding.constraints import Constraints
from negah.decoding.decoder import ExpectedCider, Support, decode
from negah.decoding.fusion import FusedStepModel, Streams
from negah.decoding.options import DecodingOptions
from negah.decoding.protocol import Selective, State, Step, StepModel, StepWeights, Vocabulary
from negah.decoding.search import Hypothesis, sequence_score

__all__ = [
    "Constraints",
    "DecodingOptions",
    "ExpectedCider",
    "FusedStepModel",
    "Hypothesis",
    "Selective",
    "State",
    "Step",
    "StepModel",
    "StepWeights",
    "Streams",
    "Support",
    "Vocabulary",
    "decode",
    "sequence_score",
]
