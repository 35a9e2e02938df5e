"""The captioner: captions with evidence for photos and clips.

Files are opened and encoded while the photos before them are searched, see
:mod:`negah.runtime.batches`. A clip is a batch of its own, since another may have another number
of frames: its frames pass the encoder as photos do, and the captioner sees their features
together. Several models may caption together, see :mod:`negah.runtime.stages`.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

from negah.backends import Backend
from negah.captions import Caption, SceneCaption
from negah.decoding import DecodingOptions
from negah.errors import UsageError
from negah.runtime.batches import Batching, Result, caption_in_batches, in_order
from negah.runtime.calibrated import calibrated
from negah.runtime.models import check_fusion, check_language, one_for_both, open_backend
from negah.runtime.options import RuntimeOptions
from negah.runtime.shots import caption_shot, look
from negah.runtime.stages import (
    ClipSpan,
    Photo,
    alone,
    caption_photos,
    check_decoding,
    is_of_clip,
    of_photos,
    see_photo,
)

if TYPE_CHECKING:
    from negah.evidence import Evidence

    # FFmpeg is loaded where a clip is read, and not for photos.
    from negah.media.motion import SampledPictures
    from negah.media.scenes import Scene, SceneOptions
    from negah.runtime.clips import Video

OnError = Literal["raise", "report"]

#: What names a model, or one that is open.
Model: TypeAlias = "str | os.PathLike[str] | Backend"

#: Larger numbers of frames are taken for a typing error.
MAX_FRAMES = 1000


class Captioner:
    """A model ready to caption, alone or fused with others. It may be used from several threads.

    Models that are fused choose every word by the mean of their probabilities, as CAM-RNN fuses
    appearance and motion. The decoding options, the frames' times and the evidence are those of
    the first; each looks at as many frames as it is made for. A photo has no motion: it is
    captioned by those of the models that see appearance.

    Args:
        model: the name of a bundled model; the folder of a bundle, of a training run or of a
            Hugging Face captioner; ``hf:ORG/NAME``; or an open
            :class:`~negah.backends.Backend`. See :func:`~negah.runtime.open_backend`. None for
            the bundled models, that for photos and that for clips, each opened when it is needed.
        fuse: models to fuse with it, of the same vocabulary.
        options: fields of :class:`~negah.runtime.RuntimeOptions`.

    Attributes:
        options: how it is run.

    Raises:
        UsageError: there is no such model, the vocabularies differ, or an option is wrong.
        NegahError: a model, or its calibration, is damaged, or what runs it is not installed.
    """

    def __init__(
        self, model: Model | None = None, *, fuse: Sequence[Model] = (), **options: Any
    ) -> None:
        self.options = RuntimeOptions.parse(options, where="captioner")
        if isinstance(fuse, str | os.PathLike):
            raise UsageError(f"fuse is a list of models, not {os.fspath(fuse)!r}")
        self._model = model
        if self.options.calibration is not None and (model is None or fuse):
            raise UsageError("a calibration is of one model: name that one, and fuse no other")
        self._fused = tuple(self._open(name) for name in fuse)
        # by whether they caption clips, where the bundled models do
        self._backends: dict[bool, tuple[Backend, ...]] = {}
        self._opening = threading.Lock()
        if model is not None:
            self._of(clips=False)

    @property
    def backend(self) -> Backend:
        """The model that captions photos, the first of those that are fused."""
        return self._of(clips=False)[0]

    @property
    def fused(self) -> tuple[Backend, ...]:
        """The models that are fused with it."""
        return self._fused

    @property
    def files(self) -> list[Path]:
        """The files of all models that are open."""
        with self._opening:
            opened = {id(one): one for backends in self._backends.values() for one in backends}
        return [file for backend in opened.values() for file in backend.identity.files]

    def _open(self, model: Model | None, *, clips: bool = False) -> Backend:
        if model is None or isinstance(model, str | os.PathLike):
            cores, language = self.options.cores, self.options.language
            return open_backend(model, clips=clips, language=language, threads=cores)
        check_language(model, self.options.language)
        return model

    def _of(self, *, clips: bool) -> tuple[Backend, ...]:
        """The models that caption photos, or clips."""
        with self._opening:
            if clips not in self._backends:
                first = self._open(self._model, clips=clips)
                backends = (calibrated(first, self.options.calibration), *self._fused)
                check_fusion(backends)
                self._backends[clips] = backends
                if self._model is not None or one_for_both(self.options.language):
                    self._backends[not clips] = backends
        return self._backends[clips]

    def caption(self, photo: Photo, *, frames: int | None = None, **decoding: Any) -> Caption:
        """Caption one photo, or one clip by its path.

        Args:
            photo: a path, the bytes of an image file, a Pillow image (turned upright as its
                EXIF orientation says), or an array uint8 (H, W, 3) or (H, W). A path with the
                suffix of a clip is captioned by :meth:`caption_clip`.
            frames: of a clip, as there.
            decoding: fields of :class:`~negah.decoding.DecodingOptions` that replace the
                model's own. ``n_best`` widens the beam where ``beam`` is not given.

        Raises:
            MediaError: the photo or clip cannot be read.
            UsageError: an option is wrong, or it is a photo and the model sees motion.
        """
        if isinstance(photo, str | os.PathLike) and is_of_clip(photo):
            return self.caption_clip(photo, frames=frames, **decoding)
        options = self.decoding_options(decoding)
        backends = of_photos(self._of(clips=False))
        seen = see_photo(photo, backends, max_pixels=self.options.max_pixels)
        return caption_photos([seen], alone(backends), options, [0])[0]

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

        options = self.decoding_options(decoding, clips=True)
        shot = read_shot(clip, self.looks(frames), span, max_pixels=self.options.max_pixels)
        return caption_shot(shot, self._of(clips=True), options, 0, self.options.cores)

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

        Memory does not grow with the length of the clip: one scene's features are held at a time.

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

        options = self.decoding_options(decoding, clips=True)
        backends, cores = self._of(clips=True), self.options.cores
        shots = read_scenes(
            open_video(clip, self.options.max_pixels), self.looks(frames), scenes, progress
        )
        return (
            SceneCaption(shot.start, shot.end, caption_shot(shot, backends, options, number, cores))
            for number, shot in enumerate(shots)
        )

    def caption_many(
        self,
        photos: Iterable[Photo | ClipSpan],
        *,
        batch_size: int | None = None,
        on_error: OnError = "raise",
        frames: int | None = None,
        pictures: bool = False,
        places: Iterable[int] | None = None,
        **decoding: Any,
    ) -> Iterator[Result]:
        """Caption photos and clips as they come, and give the results in their order.

        Args:
            photos: as in :meth:`caption`, and parts of clips; may be endless. As many
                batches, or clips, are captioned ahead as there are threads, and two more are
                opened.
            batch_size: photos that are captioned together; by default that of ``options``.
            on_error: "raise" stops at a photo or clip that cannot be read; "report" gives a
                result with its ``error`` and continues.
            frames: of a clip, as in :meth:`caption_clip`.
            pictures: whether the results of photos have their ``picture``, to draw on.
            places: of each photo the number that seeds what is sampled for it; default: 0, 1, ...
            decoding: as in :meth:`caption`.

        Raises:
            MediaError: a photo or clip cannot be read, with "raise"; after the results before it.
            UsageError: an option is wrong; raised here, before the first result is asked for. A
                photo where the model sees motion; raised where its result would come.
        """
        for clips in list(self._backends):
            self.check(clips=clips, frames=frames if clips else None, **decoding)
        if not self._backends:  # nothing is opened before it is known what comes
            DecodingOptions.parse({"beam": 1024, **decoding}, where="decoding options")
        if on_error not in ("raise", "report"):
            raise UsageError(f"on_error is 'raise' or 'report', not {on_error!r}")
        size = self.options.batch_size if batch_size is None else batch_size
        if size < 1:
            raise UsageError(f"batch_size is 1 or more, not {size}")

        def work_on(clips: bool) -> Batching:
            work = self.work(clips=clips, frames=frames, **decoding)
            return replace(work, batch_size=size, pictures=pictures)

        batches = caption_in_batches(photos, work_on, places)
        return in_order(batches, raising=on_error == "raise")

    def explain(
        self,
        photo: Photo | ClipSpan,
        *,
        method: str | Evidence | None = None,
        frames: int | None = None,
        progress: Callable[[float], None] | None = None,
        **decoding: Any,
    ) -> Caption:
        """Caption a photo or clip, and measure where each word comes from: :func:`negah.explain`.

        Args:
            photo: as in :meth:`caption`, or a part of a clip.
            method: of evidence, as there.
            frames: of a clip, as in :meth:`caption_clip`.
            progress: called as there; decoding options and errors are those of there, too.

        Raises:
            UsageError: the method does not suit the model, or models are fused.
        """
        from negah.runtime.explaining import caption_subject, choose_method

        clips = is_of_clip(photo)
        chosen = choose_method(method, self.one_backend(clips=clips), clips=clips)
        return caption_subject(self, photo, frames=frames, **decoding).explained(chosen, progress)

    def one_backend(self, *, clips: bool) -> Backend:
        """The model that captions photos, or clips; a UsageError where several do together."""
        if self._fused:
            raise UsageError("evidence is of one model: explain each of those that are fused")
        return (self._of(clips=True) if clips else of_photos(self._of(clips=False)))[0]

    def work(self, *, clips: bool = False, frames: int | None = None, **decoding: Any) -> Batching:
        """How photos or clips are captioned, for callers who form batches themselves.

        Args:
            clips: whether they are clips.
            frames: as in :meth:`caption_clip`.
            decoding: as in :meth:`caption`.

        Raises:
            UsageError: an option is wrong.
        """
        options = self.decoding_options(decoding, clips=clips)
        if clips:
            self._check_frames(frames, clips=True)
        return Batching(
            self._of(clips=clips), options, self.options, self.options.batch_size, clips, frames
        )

    def check(self, *, clips: bool = False, frames: int | None = None, **decoding: Any) -> None:
        """Open what captions photos, or clips, and refuse wrong options before anything is read.

        Args:
            clips: whether clips are to be captioned.
            frames: as in :meth:`caption_clip`.
            decoding: as in :meth:`caption`.

        Raises:
            UsageError: an option is wrong.
        """
        self.decoding_options(decoding, clips=clips)
        self._check_frames(frames, clips=clips)

    def check_photos(self) -> None:
        """Refuse to caption photos if all models are motion models."""
        of_photos(self._of(clips=False))

    def check_regions(self) -> None:
        """Refuse models without region attention, before captioning.

        Raises:
            UsageError: the model gives no regions, so there is nothing to draw.
        """
        backend = of_photos(self._of(clips=False))[0]
        if backend.sight.grid is None:
            raise UsageError(
                f"{backend.identity.source} does not tell where its words looked, so there is "
                "no attention to draw: use negah explain, or a model with region attention"
            )

    def least_confidence(self, *, clips: bool = False) -> float:
        """The confidence below which a picture is probably not a photograph.

        Raises:
            UsageError: the model has not been calibrated, or several caption together.
        """
        first, *others = self._of(clips=clips)
        if first.sight.judge is None or others:
            why = "is fused with others" if others else "has not been calibrated"
            raise UsageError(
                f"captions of {first.identity.name} carry no confidence, since it {why}: calibrate "
                "it (negah calibrate MODEL --data PATH --output FOLDER), and use it alone"
            )
        return first.sight.judge.threshold

    def decoding_options(
        self, replacements: dict[str, Any], *, clips: bool = False
    ) -> DecodingOptions:
        """The model's decoding options with some replaced.

        Raises:
            UsageError: an unknown option, a wrong value, a contradiction, or captions that are
                longer than a model can take.
        """
        backends = self._of(clips=clips)
        options = backends[0].decoding
        if replacements:
            options = options.changed(replacements)
        check_decoding(options, backends)
        return options

    def _check_frames(self, frames: int | None, *, clips: bool) -> None:
        most = min(MAX_FRAMES, *(one.sight.max_frames for one in self._of(clips=clips)))
        if frames is not None and not 1 <= frames <= most:
            raise UsageError(f"frames is a number from 1 to {most}, not {frames}")

    def looks(self, frames: int | None) -> list[SampledPictures]:
        """How each model looks at a clip; None for as many frames as it is made for."""
        self._check_frames(frames, clips=True)
        return [look(backend, frames) for backend in self._of(clips=True)]
