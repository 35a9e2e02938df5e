"""Running captioners over the photos and clips of ``negah caption``, file by file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Literal, NamedTuple

from negah.backends import Identity
from negah.captions import Caption
from negah.cli.clock import TimeRange
from negah.cli.compute import give_back_memory, share_heap
from negah.cli.pictures import WordPictures
from negah.cli.progress import FileProgressBar, Tally
from negah.cli.wording import Wording
from negah.cli.writers import Writer
from negah.errors import MediaError, UsageError
from negah.interrupt import Interrupt
from negah.media import is_clip
from negah.text.languages import DEFAULT, language_of

if TYPE_CHECKING:
    from PIL import Image

    from negah.runtime import Captioner, CaptionerSpec, Result


class CaptionedPart(NamedTuple):
    """A caption of a photo, of a clip, or of a part of one.

    Attributes:
        caption: its caption.
        span: of a clip or part: start and end in seconds.
        photo: the captioned picture, if it will be drawn on.
    """

    caption: Caption
    span: TimeRange | None = None
    photo: Image.Image | None = None


Pieces = Iterator[CaptionedPart]


class Files(NamedTuple):
    """The photos and clips that are captioned.

    Attributes:
        paths: in order, read lazily.
        places: of each, the number that seeds what is sampled for it; None: 0, 1, ...
    """

    paths: Iterable[Path]
    places: Iterable[int] | None = None


@dataclass(frozen=True, slots=True)
class CaptioningSettings:
    """The options of the captioners.

    Attributes:
        spec: the captioner, and the options it runs with.
        scenes: whether clips are captioned scene by scene.
        every: the seconds of a part of a clip, where clips are captioned by parts.
        pictures: whether captions of photos come with their pictures.
        min_confidence: captions with less are left out; "default": with less than the model's
            threshold; None: none is.
        mark: whether doubtful objects are marked in text.
        wording: how captions are worded.
    """

    spec: CaptionerSpec
    scenes: bool = False
    every: float | None = None
    pictures: bool = False
    min_confidence: float | Literal["default"] | None = None
    mark: bool = False
    wording: Wording = field(default_factory=Wording)

    @property
    def by_parts(self) -> bool:
        """Whether a clip may have several captions in a row."""
        return self.scenes or self.every is not None


def open_captioner(work: CaptioningSettings, paths: Sequence[Path]) -> Captioner:
    """Load the models of a run, and check its options before any file is opened.

    Args:
        work: what is asked.
        paths: the photos and clips.

    Raises:
        UsageError: there is no such model, or an option is wrong.
        NegahError: a model is damaged, or a dependency of it is not installed.
    """
    share_heap()
    captioner = work.spec.open()
    for clips in sorted({is_clip(path) for path in paths}):
        work.spec.check(captioner, clips=clips)
        check_english(work, captioner.work(clips=clips).backends[0].identity)
        if work.min_confidence is not None or work.mark:
            captioner.least_confidence(clips=clips)
        if not clips:
            captioner.check_photos()
            if work.pictures:
                captioner.check_regions()
    if len(paths) > 1:  # captioning one takes no longer than this
        give_back_memory()
    return captioner


def check_english(work: CaptioningSettings, identity: Identity) -> None:
    """Refuse an English-only option for a model of another language."""
    options = {"--mark": work.mark, "--neutral-people": work.wording.neutral_people}
    for option, is_given in options.items():
        if is_given and identity.language != DEFAULT:
            raise UsageError(
                f"{option} supports English only, but {identity.name} captions in "
                f"{language_of(identity.language).name}: leave it out"
            )


def caption_each(
    captioner: Captioner,
    work: CaptioningSettings,
    files: Files,
    bar: FileProgressBar,
    reached: Callable[[float], None],
) -> Iterator[tuple[Path, Pieces]]:
    """For every file, in order, its captions; taking them raises its ``MediaError``.

    Args:
        captioner: of :func:`open_captioner`.
        work: what is asked.
        files: to caption.
        bar: receives the clip that is being captioned.
        reached: called about once a second of a clip that is captioned by parts.
    """
    places = None if files.places is None else iter(files.places)
    for by_parts, some in groupby(files.paths, key=lambda path: work.by_parts and is_clip(path)):
        if by_parts:
            for path in some:
                if places is not None:
                    next(places)
                yield path, _parts(captioner, work, path, bar, reached)
            continue
        results = captioner.caption_many(
            some,
            on_error="report",
            frames=work.spec.frames,
            pictures=work.pictures,
            places=places,
            **work.spec.decoding,
        )
        for result in results:
            assert isinstance(result.photo, Path)
            yield result.photo, _whole(result)


def _parts(
    captioner: Captioner,
    work: CaptioningSettings,
    path: Path,
    bar: FileProgressBar,
    reached: Callable[[float], None],
) -> Pieces:
    from negah.media.videos import open_clip
    from negah.runtime.clips import equal_scenes

    clip = open_clip(path, max_pixels=work.spec.run.max_pixels)
    bar.begin_clip(path, clip.info.start, clip.info.end)
    for one in captioner.caption_scenes(
        clip,
        frames=work.spec.frames,
        scenes=None if work.every is None else equal_scenes(clip, work.every),
        progress=reached,
        **work.spec.decoding,
    ):
        yield CaptionedPart(one.caption, (one.start, one.end))


def check_work(work: CaptioningSettings, paths: Sequence[Path]) -> None:
    """Refuse options for clips if there are none.

    Raises:
        UsageError: there is none.
    """
    about_clips = {
        "--scenes": work.scenes,
        "--every": work.every is not None,
        "--frames": work.spec.frames is not None,
    }
    given = [name for name, is_given in about_clips.items() if is_given]
    if given and not any(is_clip(path) for path in paths):
        raise UsageError(f"{given[0]} is for clips, but there are none: leave it out")


def _whole(result: Result) -> Pieces:
    if result.caption is None:
        assert result.error is not None
        raise result.error
    yield CaptionedPart(result.caption, result.span, result.picture)


def write_all(
    captioner: Captioner,
    work: CaptioningSettings,
    files: Files,
    writer: Writer,
    pictures: WordPictures | None,
    tally: Tally,
    bar: FileProgressBar,
) -> None:
    """Write captions as they come; on Ctrl-C written captions are kept and counted."""
    with Interrupt() as interrupt:

        def reached(time: float) -> None:
            bar.reach(time)
            if interrupt.asked:  # a scene may last an hour
                raise KeyboardInterrupt

        try:
            for path, pieces in caption_each(captioner, work, files, bar, reached):
                try:
                    written = False
                    for caption, span, photo in pieces:
                        if _is_unsure(caption, captioner, work, clips=is_clip(path)):
                            tally.leave_out(path, caption)
                            continue
                        written = True
                        caption = work.wording.of(path, caption)
                        writer.write(path, caption, span)
                        if pictures is not None:
                            pictures.draw(path, caption, photo)
                        tally.warn(path, caption)
                        tally.scenes += work.by_parts and span is not None
                    writer.close(path)
                    if pictures is not None:
                        pictures.close()
                    tally.done += written
                    writer.settle(path, None)
                except MediaError as error:
                    tally.failures.append(error)
                    writer.settle(path, error)
                    if pictures is not None:
                        pictures.forget()
                bar.advance()
                if interrupt.asked:
                    break
        except KeyboardInterrupt:  # the second Ctrl-C does not wait
            tally.interrupted = True
        tally.interrupted = tally.interrupted or interrupt.asked


def _is_unsure(
    caption: Caption, captioner: Captioner, work: CaptioningSettings, *, clips: bool
) -> bool:
    """Whether a caption is left out because of low confidence."""
    least = work.min_confidence
    if least is None or caption.confidence is None:
        return False
    return caption.confidence < (
        captioner.least_confidence(clips=clips) if least == "default" else least
    )
