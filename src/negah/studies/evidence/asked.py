"""What a captioner says of captions that it is given, with a clip and with others in its place.

Axes: X variants of a clip, F frames, R regions, C channels, T words, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from negah.arrays import FloatArray
from negah.backends import Backend


class Answer(NamedTuple):
    """What a captioner says of a given caption, word by word.

    Attributes:
        logprobs_XTV: of every word in the place of each, in nats, with every variant of the clip.
        gate_T: with the first of them; NaN for a captioner without a gate.
    """

    logprobs_XTV: FloatArray
    gate_T: FloatArray


def read_to(backend: Backend, features_XFRC: FloatArray, tokens: Sequence[int]) -> Answer:
    """Read a caption to a captioner that sees each of X clips (teacher forcing).

    Args:
        backend: the captioner.
        features_XFRC: float32; the first is the clip in question.
        tokens: of the caption, without the start.
    """
    model, specials = backend.model, backend.tokenizer.specials
    state = model.start(features_XFRC)
    last, logprobs, gates = specials.start, [], []
    for token in tokens:
        step = model.step(state, np.full((len(features_XFRC), 1), last, np.int64))
        logprobs.append(step.logprobs[:, 0])
        gates.append(float(step.evidence["gate"][0, 0]) if "gate" in step.evidence else np.nan)
        state, last = step.state, token
    return Answer(np.stack(logprobs, axis=1), np.array(gates, np.float32))
