"""The functions of ``import negah``: load a model, caption a photo or clip, explain a caption."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from negah.backends import Backend
from negah.captions import Caption
from negah.media import MAX_PIXELS
from negah.runtime.captioner import Captioner
from negah.runtime.models import find_bundle
from negah.runtime.options import take_run_options
from negah.runtime.stages import Photo

if TYPE_CHECKING:
    from negah.evidence import Evidence


def load(
    model: str | os.PathLike[str] | Backend | None = None,
    *,
    clips: bool = False,
    fuse: Sequence[str | os.PathLike[str] | Backend] = (),
    language: str | None = None,
    threads: int | None = None,
    max_pixels: int = MAX_PIXELS,
    calibration: str | os.PathLike[str] | None = None,
) -> Captioner:
    """Load a model.

    Args:
        model: the name of a bundled model; the folder of a bundle, of a training run or of a
            Hugging Face captioner; ``hf:ORG/NAME``; or an open backend. None for the bundled
            models: photos by one, clips by the other.
        clips: where ``model`` is None, caption photos by the model for clips, too.
        fuse: models that choose every word together with it, such as one of motion; see
            :class:`~negah.Captioner`.
        language: of the captions, by its code, such as "fa"; see there.
        threads: batches captioned side by side, each on one core; None for one for each core.
        max_pixels: a picture that would be decoded to more pixels is refused.
        calibration: the folder of a calibration of this model (``negah calibrate``), by which
            words get ``seen`` and captions ``confidence``; None for that of the bundle, if any.

    Raises:
        UsageError: there is no such model, it captions in another language, models that are fused
            have other vocabularies, or the calibration is of another model.
        NegahError: the model or calibration is damaged or hostile, or what runs it is not
            installed.
    """
    if model is None and clips:
        model = find_bundle(clips=True, language=language)
    captioner = Captioner(
        model,
        fuse=fuse,
        language=language,
        threads=threads,
        max_pixels=max_pixels,
        calibration=calibration,
    )
    captioner.check()
    return captioner


def caption(
    photo: Photo, *, language: str | None = None, frames: int | None = None, **decoding: Any
) -> Caption:
    """Caption one photo or clip with the default model, which is loaded once and kept.

    Args:
        photo: a path, the bytes of an image file, a Pillow image, or an array uint8
            (height, width, 3) or (height, width). A path with the suffix of a clip, such as
            ``.mp4``, is captioned as one.
        language: of the caption, by its code, such as "fa"; English by default.
        frames: of a clip, how many are looked at; default: as the model is made for.
        decoding: fields of :class:`~negah.decoding.DecodingOptions`, such as ``beam=5``.

    Raises:
        MediaError: the photo or clip cannot be read.
        UsageError: an option is wrong.
    """
    return _default(language).caption(photo, frames=frames, **decoding)


def explain(
    photo: Photo,
    model: str | os.PathLike[str] | Backend | None = None,
    *,
    method: str | Evidence | None = None,
    frames: int | None = None,
    progress: Callable[[float], None] | None = None,
    **options: Any,
) -> Caption:
    """Caption one photo or clip, and measure where each word comes from: ``words[i].map``.

    Args:
        photo: as in :func:`caption`.
        model: as in :func:`load`; None for the bundled ones, which are loaded once and kept.
        method: of evidence: "occlusion", "closer", "patches", "gradient", "attention", one of
            another package, or an object of your own; None for what suits the model.
        frames: of a clip, how many are looked at; default: as the model is made for.
        progress: called with the share that is done, 0 to 1; what it raises ends the work.
        options: ``language``, ``calibration`` (which needs a model that is named) and others, as in
            :func:`load`; and fields of :class:`~negah.decoding.DecodingOptions`, such as
            ``beam=5``.

    Raises:
        MediaError: the photo or clip cannot be read.
        UsageError: an option is wrong, or the method does not suit the model.
        MissingExtraError: what the method needs is not installed.
    """
    run = take_run_options(options)
    own = model is None and run.keys() <= {"language"}
    captioner = _default(run.get("language")) if own else Captioner(model, **run)
    return captioner.explain(photo, method=method, frames=frames, progress=progress, **options)


@lru_cache(maxsize=8)
def _default(language: str | None) -> Captioner:
    return Captioner(language=language)
