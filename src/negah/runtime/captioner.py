"""Photos and clips in, captions with evidence out.

Files are opened and encoded while the photos before them are searched, see
:mod:`negah.runtime.stages`. A clip is a batch of its own, since another may have another number
of frames: its frames pass the encoder as photos do, and the captioner sees their features
together. Several models may caption together, see :mod:`negah.runtime.streams`.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from typing import TYPE_CHECKING, Any, Literal

from negah.bundle import read_bundle
from negah.captions import Caption, SceneCaption
from negah.decoding import DecodingOptions
from negah.errors import UsageError
from negah.runtime.bundled import find_bundle
from negah.runtime.options import RuntimeOptions
from negah.runtime.photos import ClipPart, Photo
from negah.runtime.stages import (
    Result,
    caption_in_batches,
    caption_shot,
    names_clip,
    photo_features,
    see_photo,
    with_warnings,
)
from negah.runtime.streams import of_photos, open_streams, write_captions

if TYPE_CHECKING:
    # FFmpeg is loaded where a clip is read, and not for photos.
    from negah.media.motion import Look
    from negah.media.scenes import Scene, SceneOptions
    from negah.runtime.clips import Video

OnError = Literal["raise", "report"]

#: More frames of one clip than this are a slip of the keyboard.
MAX_FRAMES = 1000


class Captioner:
    """A bundle, ready to caption, alone or with others. It may be used from several threads.

    Models that are fused choose every word by the mean of their probabilities, as CAM-RNN fuses
    appearance and motion. The decoding options, the frames' times and the evidence are those of
    the first; each looks at as many frames as it is made for. A photo has no motion: it is
    captioned by those of the models that see appearance.

    Args:
        model: the name of a model in the package, or the folder of a bundle; None for the
            default model. See :func:`~negah.runtime.find_bundle`.
        fuse: models to fuse with it, of the same vocabulary.
        options: fields of :class:`~negah.runtime.RuntimeOptions`.

    Attributes:
        bundle: what was loaded.
        fused: what was loaded besides.
        options: how it is run.

    Raises:
        UsageError: there is no such model, the vocabularies differ, or an option is wrong.
        BundleError: a bundle is damaged.
    """

    def __init__(
        self,
        model: str | os.PathLike[str] | None = None,
        *,
        fuse: Sequence[str | os.PathLike[str]] = (),
        **options: Any,
    ) -> None:
        self.options = RuntimeOptions.parse(options, where="captioner")
        if isinstance(fuse, str | os.PathLike):
            raise UsageError(f"fuse is a list of models, not {os.fspath(fuse)!r}")
        self.bundle, *others = (read_bundle(find_bundle(name)) for name in (model, *fuse))
        self.fused = tuple(others)
        self._streams = open_streams([self.bundle, *others], threads=self.options.cores)

    def caption(self, photo: Photo, *, frames: int | None = None, **decoding: Any) -> Caption:
        """Caption one photo, or one clip by its path.

        Args:
            photo: a path, the bytes of an image file, a Pillow image (turned upright as its
                EXIF orientation says), or an array uint8 (H, W, 3) or (H, W). A path with the
                suffix of a clip is captioned by :meth:`caption_clip`.
            frames: of a clip, as there.
            decoding: fields of :class:`~negah.decoding.DecodingOptions` that replace the
                bundle's defaults. ``n_best`` widens the beam where ``beam`` is not given.

        Raises:
            MediaError: the photo or clip cannot be read.
            UsageError: an option is wrong, or it is a photo and the model sees motion.
        """
        if names_clip(photo):
            return self.caption_clip(photo, frames=frames, **decoding)
        options = self.decoding_options(decoding)
        seen = see_photo(photo, self._streams, self.options.max_pixels)
        features = photo_features([seen], self._streams)
        (caption,) = write_captions(of_photos(self._streams), features, options, [0], (0.0,))
        return with_warnings(caption, seen[0].warnings)

    def caption_clip(
        self,
        clip: Video,
        *,
        frames: int | None = None,
        span: tuple[float, float] | None = None,
        **decoding: Any,
    ) -> Caption:
        """One caption of a clip.

        Args:
            clip: a path, the bytes of a file, a file open for reading bytes, or an open
                :class:`~negah.media.videos.Clip`.
            frames: how many are looked at, evenly over the span; by default as many as the
                model is made for: 1, the middle one, for a model that learned from photos. Of a
                clip with fewer frames, those that it has.
            span: the part of the clip that is captioned, in seconds; default: all of it.
            decoding: as in :meth:`caption`.

        Returns:
            The caption; ``times`` are those of the frames, and each word carries its weights
            ``frames`` (F,) and ``regions`` (F, rows, columns).

        Raises:
            MediaError: the clip cannot be read.
            UsageError: an option is wrong, or the span is not in the clip.
        """
        from negah.runtime.clips import read_shot

        options = self.decoding_options(decoding)
        shot = read_shot(clip, self._looks(frames), span, max_pixels=self.options.max_pixels)
        return caption_shot(shot, self._streams, options, 0)

    def caption_scenes(
        self,
        clip: Video,
        *,
        frames: int | None = None,
        scenes: SceneOptions | Iterable[Scene] | None = None,
        progress: Callable[[float], None] | None = None,
        **decoding: Any,
    ) -> Iterator[SceneCaption]:
        """Caption a clip scene by scene, each as soon as its end is found.

        Memory does not grow with the length of the clip: the features of one scene are held
        at a time.

        Args:
            clip: as in :meth:`caption_clip`.
            frames: of each scene, as there.
            scenes: what counts as a scene, or the scenes themselves, in order; by default they
                are found by :func:`~negah.media.scenes.find_scenes`.
            progress: called about once a second of the clip with the time that was reached.
                What it raises ends the work.
            decoding: as in :meth:`caption`.

        Raises:
            MediaError: the clip cannot be read; here, or after the scenes before the damage.
            UsageError: an option is wrong; raised here, before the first scene is asked for.
        """
        from negah.runtime.clips import open_video, read_scenes

        options = self.decoding_options(decoding)
        shots = read_scenes(
            open_video(clip, self.options.max_pixels), self._looks(frames), scenes, progress
        )
        return (
            SceneCaption(shot.start, shot.end, caption_shot(shot, self._streams, options, number))
            for number, shot in enumerate(shots)
        )

    def caption_many(
        self,
        photos: Iterable[Photo | ClipPart],
        *,
        batch_size: int | None = None,
        on_error: OnError = "raise",
        frames: int | None = None,
        **decoding: Any,
    ) -> Iterator[Result]:
        """Caption photos and clips as they come, and give the results in their order.

        Args:
            photos: as in :meth:`caption`, and parts of clips; may be endless. As many
                batches, or clips, are captioned ahead as there are threads, and two more are
                opened.
            batch_size: photos that are captioned together; by default that of ``options``.
            on_error: "raise" stops at a photo or clip that cannot be read; "report" gives a
                result with its ``error`` and goes on.
            frames: of a clip, as in :meth:`caption_clip`.
            decoding: as in :meth:`caption`.

        Raises:
            MediaError: a photo or clip cannot be read, with "raise"; after the results before it.
            UsageError: an option is wrong; raised here, before the first result is asked for. A
                photo where the model sees motion; raised where its result would come.
        """
        options = self.decoding_options(decoding)
        self._check_frames(frames)
        if on_error not in ("raise", "report"):
            raise UsageError(f"on_error is 'raise' or 'report', not {on_error!r}")
        size = self.options.batch_size if batch_size is None else batch_size
        if size < 1:
            raise UsageError(f"batch_size is 1 or more, not {size}")
        return self._caption_many(photos, size, frames, on_error, options)

    def check_photos(self) -> None:
        """Tell whether photos can be captioned, before one is.

        Raises:
            UsageError: all models see motion.
        """
        of_photos(self._streams)

    def decoding_options(self, replacements: dict[str, Any]) -> DecodingOptions:
        """The bundle's decoding options with some replaced.

        Raises:
            UsageError: an unknown option, a wrong value, or a contradiction.
        """
        defaults = self.bundle.config.decoding
        values = {**defaults.model_dump(), **replacements}
        n_best = replacements.get("n_best")
        if "beam" not in replacements and isinstance(n_best, int) and values["method"] == "beam":
            values["beam"] = max(defaults.beam, n_best)
        return DecodingOptions.parse(values, where="decoding options")

    def _check_frames(self, asked: int | None) -> None:
        most = min(MAX_FRAMES, *(one.bundle.config.max_frames for one in self._streams))
        if asked is not None and not 1 <= asked <= most:
            raise UsageError(f"frames is a number from 1 to {most}, not {asked}")

    def _looks(self, frames: int | None) -> list[Look]:
        self._check_frames(frames)
        return [stream.look(frames) for stream in self._streams]

    def _caption_many(
        self,
        photos: Iterable[Photo | ClipPart],
        size: int,
        frames: int | None,
        on_error: OnError,
        options: DecodingOptions,
    ) -> Iterator[Result]:
        batches = caption_in_batches(
            photos, self._streams, self.options, options, size, lambda: self._looks(frames)
        )
        # its threads would go on for as long as somebody keeps the error
        with closing(batches):
            for result in itertools.chain.from_iterable(batches):
                if result.error is not None and on_error == "raise":
                    raise result.error
                yield result
