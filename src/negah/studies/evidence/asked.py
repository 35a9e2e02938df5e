"""What a captioner says of captions that it is given, with a clip and with others in its place.

Axes: N clips, X of them with which a caption is read, P = X for each of some captions, F frames,
R regions, C channels, T words, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from negah.arrays import FloatArray
from negah.backends import Backend
from negah.pipeline import batched

#: Captions that are read at once.
_TOGETHER = 20


class CaptionReading(NamedTuple):
    """What a captioner says of a given caption, word by word.

    Attributes:
        logprobs_XTV: of every word in the place of each, in nats, with every clip.
        gate_T: with the first of them; NaN for a captioner without a gate.
    """

    logprobs_XTV: FloatArray
    gate_T: FloatArray


class Request(NamedTuple):
    """A caption to be read.

    Attributes:
        clips: X numbers of the clips with which it is read; the first is the one in question.
        tokens: of the caption, without the start.
    """

    clips: Sequence[int]
    tokens: Sequence[int]


def read_to(
    backend: Backend, features_NFRC: FloatArray, requests: Sequence[Request]
) -> Iterator[CaptionReading]:
    """Read captions to a captioner that sees each of X clips (teacher forcing).

    Args:
        backend: the captioner.
        features_NFRC: of all clips, float32.
        requests: as many clips for each.
    """
    for some in batched(requests, _TOGETHER):
        yield from _read_batch(backend, features_NFRC, list(some))


def _read_batch(
    backend: Backend, features_NFRC: FloatArray, requests: Sequence[Request]
) -> Iterator[CaptionReading]:
    model, specials = backend.model, backend.tokenizer.specials
    each = len(requests[0].clips)
    clips_P = np.concatenate([np.asarray(one.clips) for one in requests])
    longest = max(len(one.tokens) for one in requests)
    tokens_PT = np.full((len(clips_P), longest), specials.end, np.int64)
    for row, one in enumerate(requests):
        tokens_PT[row * each : (row + 1) * each, : len(one.tokens)] = one.tokens
    state = model.start(features_NFRC[clips_P])
    last_P1 = np.full((len(clips_P), 1), specials.start, np.int64)
    logprobs, gates = [], []
    for t in range(longest):
        step = model.step(state, last_P1)
        logprobs.append(step.logprobs[:, 0])
        gates.append(step.evidence["gate"][:, 0] if "gate" in step.evidence else None)
        state, last_P1 = step.state, tokens_PT[:, t : t + 1]
    logprobs_PTV = np.stack(logprobs, axis=1)
    for row, one in enumerate(requests):
        first, length = row * each, len(one.tokens)
        gate_T = [np.nan if own is None else own[first] for own in gates[:length]]
        yield CaptionReading(
            logprobs_PTV[first : first + each, :length], np.array(gate_T, np.float32)
        )
