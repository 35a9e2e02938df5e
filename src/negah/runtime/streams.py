"""The models of a captioner, each of which reads photos and clips in its own way.

One model captions alone. Several are fused late: they read the same clip, by appearance or by
motion, with as many frames as each is made for, and choose every word together.

Axes: N photos, F frames, R regions, C channels, H rows and W columns of pixels.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any

import numpy as np

from negah.arrays import FloatArray
from negah.bundle import Bundle
from negah.captions import Caption
from negah.decoding import DecodingOptions, FusedStepModel, Streams, decode
from negah.decoding.protocol import StepModel
from negah.errors import UsageError
from negah.pipeline import batched, map_ahead
from negah.runtime.session import OnnxEncoder, OnnxStepModel
from negah.runtime.words import to_caption

if TYPE_CHECKING:
    # FFmpeg is loaded where a clip is read, and not for photos.
    from negah.media.frames import Frame
    from negah.media.motion import Look

#: Frames that one thread prepares and encodes at once.
_ENCODED_TOGETHER = 4


class Stream:
    """One model as it reads.

    Args:
        bundle: of the model.
        threads: that encode the frames of one clip.

    Attributes:
        bundle: as given.
        model: what decoding walks.
        motion: whether it sees how frames change, and so nothing of a photo.
    """

    def __init__(self, bundle: Bundle, *, threads: int) -> None:
        self.bundle = bundle
        # One thread a graph: batches side by side use the cores better, see runtime.stages.
        self.encoder = OnnxEncoder(bundle, threads=1)
        self.model = OnnxStepModel(bundle, threads=1)
        self._threads = threads
        self.motion = bundle.config.encoder.motion is not None

    def look(self, frames: int | None) -> Look:
        """How it looks at a clip: at so many frames, or as many as it is made for."""
        from negah.media.motion import Look

        config = self.bundle.config
        count = config.clip_frames if frames is None else frames
        return Look(count, config.preprocessing.resize, config.encoder.motion)

    def clip_features(self, pictures: Sequence[Frame]) -> FloatArray:
        """Features float32 (F, R, C) of what it saw."""
        preprocessing = self.bundle.config.preprocessing
        threads = min(self._threads, -(-len(pictures) // _ENCODED_TOGETHER))

        def encode(some: list[Frame]) -> FloatArray:
            return self.encoder.encode(preprocessing.to_pixels_NCHW([one.image for one in some]))

        parts = batched(pictures, _ENCODED_TOGETHER)
        with closing(map_ahead(encode, parts, threads=threads, ahead=threads)) as features:
            return np.concatenate(list(features))


def open_streams(bundles: Sequence[Bundle], *, threads: int) -> tuple[Stream, ...]:
    """The models of bundles that caption together.

    Raises:
        UsageError: their vocabularies differ.
        BundleError: ONNX Runtime refuses a graph.
    """
    first, *others = bundles
    tokens = first.tokenizer.tokens
    for other in others:
        if other.tokenizer.tokens != tokens:
            different = len(set(tokens) ^ set(other.tokenizer.tokens))
            raise UsageError(
                f"models that are fused need one vocabulary, the same words in the same order: "
                f"{first.path} has {len(tokens):,}, {other.path} has "
                f"{len(other.tokenizer.tokens):,}, and {different:,} are in one of them only. "
                "Train both on the same data, divided alike, with the same options of the "
                "section text"
            )
    return tuple(Stream(bundle, threads=threads) for bundle in bundles)


def of_photos(streams: Sequence[Stream]) -> tuple[Stream, ...]:
    """Those that see something of a photo; it has no motion.

    Raises:
        UsageError: there are none.
    """
    found = tuple(stream for stream in streams if not stream.motion)
    if not found:
        names = " and ".join(str(stream.bundle.path) for stream in streams)
        raise UsageError(
            f"{names} captions clips by their motion, and a photo has none: give a clip, or "
            "caption photos with a model of appearance"
        )
    return found


def write_captions(
    streams: Sequence[Stream],
    features: Sequence[FloatArray],
    options: DecodingOptions,
    photo_ids: Sequence[int],
    times: tuple[float, ...],
) -> list[Caption]:
    """Captions of photos or clips, whose evidence is that of the first model.

    Args:
        streams: that caption together.
        features: of each stream, float32 (N, F, R, C); F, R and C may differ.
        options: of decoding.
        photo_ids: see :func:`~negah.decoding.decode`.
        times: of the first stream's frames, in seconds.
    """
    first = streams[0].bundle
    model: StepModel
    given: Any
    if len(streams) == 1:
        model, given = streams[0].model, features[0]
    else:
        model = FusedStepModel([stream.model for stream in streams])
        given = Streams(tuple(features), (None,) * len(streams))
    tokenizer = first.tokenizer
    found = decode(model, given, options, tokens=tokenizer.tokens, photo_ids=photo_ids)
    grid = (first.config.encoder.rows, first.config.encoder.columns)
    return [to_caption(hypotheses, tokenizer, grid, times) for hypotheses in found]
