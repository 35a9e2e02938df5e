"""Captions with evidence maps, as measured by a method.

The caption is that of normal captioning. The model is then run again many times, with parts of the
picture removed, or as the method requires (:mod:`negah.evidence.methods`).

Axes: T words, F frames, R regions, C channels, H and W rows and columns of the map.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from negah.backends import Backend
from negah.captions import Caption
from negah.decoding import DecodingOptions, Hypothesis
from negah.evidence.methods import EVIDENCE, Evidence, default_method
from negah.evidence.subject import Subject
from negah.evidence.view import View, in_picture, view_of
from negah.runtime.shots import decode_shot
from negah.runtime.stages import (
    ClipSpan,
    DecodedBatch,
    Photo,
    decode_features,
    decode_photos,
    is_of_clip,
    judge_found,
    open_photo,
    see_picture,
    to_caption,
)

if TYPE_CHECKING:
    from negah.runtime.captioner import Captioner
    from negah.runtime.clips import Video


@dataclass(frozen=True, slots=True, eq=False)
class CaptionedSubject:
    """A captioned photo or clip, ready for evidence methods.

    Attributes:
        caption: as captioning gives it; its alternatives are the others of the beam.
        subject: of the caption's words, for methods of evidence.
        view: what the model sees of the pictures.
    """

    caption: Caption
    subject: Subject
    view: View

    def explained(
        self, method: Evidence, progress: Callable[[float], None] | None = None
    ) -> Caption:
        """The caption with the map of every word.

        Args:
            method: of evidence, see :func:`choose_method`.
            progress: called with the share that is done, 0 to 1; what it raises ends the work.
        """
        if not self.caption.words:
            return self.caption
        subject = replace(self.subject, progress=progress)
        maps_TFHW = in_picture(method.maps(subject), self.view)
        pairs = zip(self.caption.words, maps_TFHW, strict=True)
        words = tuple(replace(word, map=map_FHW) for word, map_FHW in pairs)
        return replace(self.caption, words=words)


def choose_method(
    method: str | Evidence | None, backend: Backend, *, clips: bool = False
) -> Evidence:
    """A method by name, or the default method for a model, and for photos or clips.

    Raises:
        UnknownNameError: no such method.
        UsageError: the method does not support the model.
        MissingExtraError: what the method needs is not installed.
    """
    if method is None:
        return EVIDENCE.get(default_method(backend, clips=clips))
    chosen = EVIDENCE.get(method) if isinstance(method, str) else method
    chosen.check(backend)
    return chosen


def caption_subject(
    captioner: Captioner,
    photo: Photo | ClipSpan | Video,
    *,
    clip: bool | None = None,
    frames: int | None = None,
    **decoding: Any,
) -> CaptionedSubject:
    """Caption one photo or clip for explanation, as :meth:`Captioner.explain` does.

    Args:
        captioner: with one model.
        photo: as there, or what :meth:`Captioner.caption_clip` takes.
        clip: whether it is a clip; by default detected from its path.
        frames: of a clip.
        decoding: as in :meth:`Captioner.caption`.

    Raises:
        MediaError: it cannot be read.
        UsageError: an option is wrong, or models are fused.
    """
    clips = is_of_clip(photo) if clip is None else clip
    options = captioner.decoding_options(decoding, clips=clips)
    backend, most = captioner.one_backend(clips=clips), captioner.options.max_pixels
    times: tuple[float, ...] = (0.0,)
    if not clips:
        opened = open_photo(cast(Photo, photo), [backend], max_pixels=most)
        seen = see_picture(opened, [backend])
        found = decode_photos([seen], [backend], options, [0])
        images, size = [backend.resize(opened.image)], opened.image.size
        warnings = seen.warnings
    else:
        # FFmpeg is loaded where a clip is read, and not for photos
        from negah.runtime.clips import read_shot

        part = photo if isinstance(photo, ClipSpan) else None
        video, span = (photo, None) if part is None else (part.path, part.span)
        shot = read_shot(cast("Video", video), captioner.looks(frames), span, max_pixels=most)
        found = decode_shot(shot, [backend], options, 0, captioner.options.cores)
        images, size = [frame.image for frame in shot.seen[0]], shot.size
        times, warnings = shot.times, shot.warnings
    own = found.hypotheses[0][0]
    judged = judge_found(found, [backend])[0][:1]
    caption = to_caption([own], backend, times, judged, warnings)
    others = [one for one in _beam(found, backend, options) if one.tokens != own.tokens]
    if others:
        best = to_caption(others, backend, times)
        beam = (replace(best, alternatives=()), *best.alternatives)
        caption = replace(caption, alternatives=beam)
    subject = Subject(backend, tuple(images), found.features_BFRC[0], own.tokens, own.evidence)
    return CaptionedSubject(caption, subject, view_of(backend, size))


def _beam(found: DecodedBatch, backend: Backend, options: DecodingOptions) -> list[Hypothesis]:
    """All captions of the beam."""
    if options.method != "beam" or options.n_best == options.beam:
        return found.hypotheses[0]
    every = options.model_copy(update={"n_best": options.beam})
    again = decode_features([backend], [found.features_BFRC], found.support, every, [0])
    return again.hypotheses[0]
