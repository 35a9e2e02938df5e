"""Captioning of a clip, or a scene of it; for photos see :mod:`negah.runtime.stages`.

Axes: F frames, R regions, C channels, W concepts.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING

from negah.backends import Backend, Encoded
from negah.captions import Caption
from negah.decoding import DecodingOptions
from negah.pipeline import batched, map_ahead
from negah.runtime.stages import (
    ENCODED_TOGETHER,
    DecodedBatch,
    decode_features,
    join_encoded,
    judge_found,
    support_of,
    to_caption,
)

if TYPE_CHECKING:
    # FFmpeg is loaded where a clip is read, and not for photos.
    from negah.media.frames import Frame
    from negah.media.motion import SampledPictures
    from negah.runtime.clips import Shot


def look(backend: Backend, frames: int | None) -> SampledPictures:
    """How a model looks at a clip: with a given number of frames, or its default."""
    from negah.media.motion import SampledPictures

    sight = backend.sight
    count = sight.clip_frames if frames is None else frames
    return SampledPictures(count, backend.resize, sight.motion)


def caption_shot(
    shot: Shot, backends: Sequence[Backend], decoding: DecodingOptions, place: int, threads: int
) -> Caption:
    """The caption of one clip, or of a scene of it; for the arguments see :func:`decode_shot`."""
    found = decode_shot(shot, backends, decoding, place, threads)
    (hypotheses,), (verdicts,) = found.hypotheses, judge_found(found, backends)
    return to_caption(hypotheses, backends[0], shot.times, verdicts, shot.warnings)


def decode_shot(
    shot: Shot, backends: Sequence[Backend], decoding: DecodingOptions, place: int, threads: int
) -> DecodedBatch:
    """Decode one clip, or a scene of it.

    Args:
        shot: as it was read.
        backends: that caption together.
        decoding: how words are searched.
        place: of the clip among all, which seeds the draws of method "sample".
        threads: that encode its frames.
    """
    encoded = [
        encode_frames(backend, pictures, threads)
        for backend, pictures in zip(backends, shot.seen, strict=True)
    ]
    features = [one.features[None] for one in encoded]
    # a concept of a clip is that of its most certain frame
    surest = [None if one.concepts is None else one.concepts.max(0)[None] for one in encoded]
    support = support_of(backends, surest)
    return decode_features(backends, features, support, decoding, [place])


def encode_frames(backend: Backend, pictures: Sequence[Frame], threads: int) -> Encoded:
    """Encode the F pictures of a clip."""
    threads = min(threads, -(-len(pictures) // ENCODED_TOGETHER))

    def encode(some: list[Frame]) -> Encoded:
        return backend.encode(backend.pixels([one.image for one in some]))

    parts = batched(pictures, ENCODED_TOGETHER)
    with closing(map_ahead(encode, parts, threads=threads, ahead=threads)) as encoded:
        return join_encoded(encoded)
