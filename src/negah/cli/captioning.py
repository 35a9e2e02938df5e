"""Running captioners over the photos and clips of ``negah caption``, file by file."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from negah.captions import Caption
from negah.cli.clock import Span
from negah.cli.progress import Bar, Tally
from negah.cli.writers import Writer
from negah.errors import MediaError, UsageError
from negah.interrupt import Interrupt
from negah.media import MAX_PIXELS, is_clip

if TYPE_CHECKING:
    from negah.runtime import Captioner, Result

Pieces = Iterator[tuple[Caption, Span | None]]


@dataclass(frozen=True, slots=True)
class Work:
    """What is asked of the captioners.

    Attributes:
        model: as the user named it; None for the default ones.
        fuse: models that are fused with it.
        threads: to compute with; None for the captioner's choice.
        batch_size: photos captioned together.
        decoding: options of decoding that replace the model's.
        frames: of a clip or scene; None for as many as the model is made for.
        scenes: whether clips are captioned scene by scene.
        every: the seconds of a part of a clip, where clips are captioned by parts.
        max_pixels: larger pictures are refused.
    """

    model: str | None = None
    fuse: Sequence[str] = ()
    threads: int | None = None
    batch_size: int = 16
    decoding: dict[str, Any] = field(default_factory=dict)
    frames: int | None = None
    scenes: bool = False
    every: float | None = None
    max_pixels: int = MAX_PIXELS

    @property
    def by_parts(self) -> bool:
        """Whether a clip may have several captions in a row."""
        return self.scenes or self.every is not None


class Captioners:
    """The models that a run needs, loaded, and its options checked.

    Args:
        work: what is asked.
        paths: the photos and clips.

    Raises:
        UsageError: there is no such model, or an option is wrong.
        BundleError: a bundle is damaged.
    """

    def __init__(self, work: Work, paths: Sequence[Path]) -> None:
        from negah.bundle.schema import CONFIG_FILE
        from negah.runtime import Captioner, find_bundle

        kinds = {is_clip(path) for path in paths}
        folders = {clips: find_bundle(work.model, clips=clips) for clips in kinds}
        loaded: dict[Path, Captioner] = {}
        for folder in dict.fromkeys(folders.values()):
            loaded[folder] = Captioner(
                folder, fuse=work.fuse, threads=work.threads, max_pixels=work.max_pixels
            )
            # Nothing is captioned yet; what is wrong is said before a file is touched.
            loaded[folder].caption_many((), frames=work.frames, **work.decoding)
        self._work = work
        if False in folders:
            loaded[folders[False]].check_photos()
        self._of = {clips: loaded[folder] for clips, folder in folders.items()}
        #: The files of the models that were loaded.
        self.files = [
            bundle.path / name
            for captioner in loaded.values()
            for bundle in (captioner.bundle, *captioner.fused)
            for name in (CONFIG_FILE, *bundle.config.files)
        ]

    def run(
        self, paths: Sequence[Path], bar: Bar, reached: Callable[[float], None]
    ) -> Iterator[tuple[Path, Pieces]]:
        """For every file, in order, its captions; taking them raises its ``MediaError``.

        Args:
            paths: the files.
            bar: told which clip is being captioned.
            reached: called about once a second of a clip that is captioned by parts.
        """
        work = self._work
        for clips, run in groupby(paths, key=is_clip):
            captioner = self._of[clips]
            if clips and work.by_parts:
                for path in run:
                    yield path, self._parts(captioner, path, bar, reached)
                continue
            group = list(run)
            results = captioner.caption_many(
                group,
                batch_size=work.batch_size,
                on_error="report",
                frames=work.frames,
                **work.decoding,
            )
            for path, result in zip(group, results, strict=True):
                yield path, _whole(result)

    def _parts(
        self, captioner: Captioner, path: Path, bar: Bar, reached: Callable[[float], None]
    ) -> Pieces:
        from negah.media.videos import open_clip
        from negah.runtime.clips import equal_scenes

        work = self._work
        clip = open_clip(path, max_pixels=work.max_pixels)
        bar.begin_clip(path, clip.info.start, clip.info.end)
        for one in captioner.caption_scenes(
            clip,
            frames=work.frames,
            scenes=None if work.every is None else equal_scenes(clip, work.every),
            progress=reached,
            **work.decoding,
        ):
            yield one.caption, (one.start, one.end)


def check_work(work: Work, paths: Sequence[Path]) -> None:
    """Refuse options about clips where there is none.

    Raises:
        UsageError: there is none.
    """
    about_clips = {
        "--scenes": work.scenes,
        "--every": work.every is not None,
        "--frames": work.frames is not None,
    }
    given = [name for name, is_given in about_clips.items() if is_given]
    if given and not any(is_clip(path) for path in paths):
        raise UsageError(f"{given[0]} is about clips, and there is none here: leave it out")


def _whole(result: Result) -> Pieces:
    if result.caption is None:
        assert result.error is not None
        raise result.error
    yield result.caption, result.span


def write_all(
    captioners: Captioners,
    paths: Sequence[Path],
    writer: Writer,
    tally: Tally,
    bar: Bar,
    *,
    by_parts: bool,
) -> None:
    """Write what comes; on Ctrl-C what has come is kept, and counted as it was written."""
    with Interrupt() as interrupt:

        def reached(time: float) -> None:
            bar.reach(time)
            if interrupt.asked:  # a scene may last an hour
                raise KeyboardInterrupt

        try:
            for path, pieces in captioners.run(paths, bar, reached):
                try:
                    for caption, span in pieces:
                        writer.write(path, caption, span)
                        tally.warn(path, caption)
                        tally.scenes += by_parts and span is not None
                    writer.close(path)
                    tally.captioned += 1
                except MediaError as error:
                    tally.failures.append(error)
                bar.advance()
                if interrupt.asked:
                    break
        except KeyboardInterrupt:  # the second Ctrl-C does not wait
            tally.interrupted = True
        tally.interrupted = tally.interrupted or interrupt.asked
