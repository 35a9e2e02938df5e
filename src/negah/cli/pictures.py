"""``--picture``: drawings of the attention of each word."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from negah.captions import Caption
from negah.cli.clock import clock
from negah.errors import MediaError, OutputError, UsageError
from negah.files import atomic_path
from negah.media import MAX_PIXELS, is_clip
from negah.outputs import PNG_MARK, OutputKind, Outputs, check_picture_folder
from negah.text import language_of

if TYPE_CHECKING:
    from PIL import Image
    from PIL.PngImagePlugin import PngInfo

#: In bytes; of nearly all file systems.
_LONGEST_NAME = 255


class WordPictures:
    """Draws the model's attention for each word.

    Args:
        targets: where the picture of each file goes; see :func:`plan_pictures`.
        outputs: of the run.
        scenes: whether clips are captioned by scenes: then each has a picture, numbered.
        max_pixels: of a frame; larger ones were refused before.
    """

    def __init__(
        self,
        targets: Mapping[Path, Path],
        outputs: Outputs,
        *,
        scenes: bool,
        max_pixels: int = MAX_PIXELS,
    ) -> None:
        self._scenes = scenes
        self._max_pixels = max_pixels
        self._number = 0
        self._targets = targets
        self._outputs = outputs
        self._taken = {target.name.casefold() for target in targets.values()}
        self._failure: MediaError | None = None

    def draw(self, path: Path, caption: Caption, photo: Image.Image | None) -> None:
        """Draw one caption.

        Args:
            path: of the photo or clip.
            caption: of it, or of a scene.
            photo: as it was captioned; None for a clip, whose frames are fetched.

        Raises:
            OutputError: nothing more can be written to that disk.
        """
        target = self._targets[path]
        try:
            if self._scenes and is_clip(path):
                self._number += 1
                target = target.with_name(self._numbered(target.stem))
                self._outputs.write(target, f"its picture {target}", OutputKind.PICTURE)
            picture = _draw(path, caption, photo, self._max_pixels)
            with atomic_path(target) as temporary:
                picture.save(temporary, format="PNG", pnginfo=png_mark())
        except UsageError as error:
            self._failure = self._failure or MediaError(path, str(error))
        except OSError as error:
            failure = OutputError(target, error)
            if failure.ends_run:
                raise failure from error
            reason = f"cannot write to its picture {target}: {failure.reason}"
            self._failure = self._failure or MediaError(path, reason)

    def _numbered(self, stem: str) -> str:
        """``clip-001.png``; something longer where a photo of that name has its picture there."""
        end = f"-{self._number:03}.png"
        name = _fitting(stem, end)
        while name.casefold() in self._taken:
            end = f"-scene{end}"
            name = _fitting(stem, end)
        return name

    def forget(self) -> None:
        """Reset after a photo or clip that ended or failed."""
        self._number, self._failure = 0, None

    def close(self) -> None:
        """End one photo or clip; a failed picture is reported after all captions.

        Raises:
            MediaError: a picture could not be drawn or written.
        """
        failure = self._failure
        self.forget()
        if failure is not None:
            raise failure


def _fitting(stem: str, end: str) -> str:
    """A name of at most as many bytes as file systems allow."""
    room = _LONGEST_NAME - len(os.fsencode(end))
    return os.fsencode(stem)[:room].decode("utf-8", "ignore") + end


def plan_pictures(
    target: Path, paths: Sequence[Path], outputs: Outputs, *, scenes: bool
) -> dict[Path, Path]:
    """The path of the picture of each photo and clip.

    Args:
        target: a .png file for one photo or clip, otherwise a folder, created when needed.
        paths: all photos and clips of the run.
        outputs: of the run.
        scenes: whether clips are captioned by scenes.

    Raises:
        UsageError: a file was named for several pictures, or something that is no .png for one;
            or a picture would replace what is no picture of Negah's.
    """
    label = f"--picture {target}"
    targets = _targets(target, paths, scenes=scenes)
    if list(targets.values()) == [target]:
        outputs.write(target, label, OutputKind.PICTURE)
    else:
        check_picture_folder(target, label)
        outputs.write(target, label, OutputKind.FOLDER)
        if scenes and outputs.writes_into(target):
            raise UsageError(
                f"{label} is the folder of another output, which a picture of a scene could "
                "replace; name a folder of their own for the pictures"
            )
        outputs.write_in_folder(target, [each.name for each in targets.values()], label)
    return targets


def png_mark() -> PngInfo:
    """The mark by which pictures drawn by Negah are recognised."""
    from PIL.PngImagePlugin import PngInfo

    mark = PngInfo()
    mark.add_text(*PNG_MARK)
    return mark


def _draw(path: Path, caption: Caption, photo: Image.Image | None, max_pixels: int) -> Image.Image:
    from negah.evidence import draw_clip_evidence, draw_evidence

    if photo is not None:
        return draw_evidence(photo, caption)

    from negah.media.videos import open_clip

    frames = [frame.image for frame in open_clip(path, max_pixels=max_pixels).at(caption.times)]
    if len(frames) == 1:
        own = language_of(caption.language)
        label = own.say("the frame at {time}", time=own.number(clock(caption.times[0])))
        return draw_evidence(frames[0], caption, label=label)
    return draw_clip_evidence(frames, caption)


def _targets(target: Path, paths: Sequence[Path], *, scenes: bool) -> dict[Path, Path]:
    if scenes and target.suffix:
        raise UsageError(
            f"--picture {target}: every scene has a picture, so name a folder for them"
        )
    if len(paths) == 1 and target.suffix:
        if target.suffix.lower() != ".png":
            raise UsageError(f"--picture {target}: pictures are PNG; name a .png file or a folder")
        return {paths[0]: target}
    if target.suffix or target.is_file():
        raise UsageError(
            f"--picture {target}: there are {len(paths)} files to caption, so name a folder for "
            "the pictures"
        )
    return places_in(target, paths, ".png")


def places_in(folder: Path, paths: Sequence[Path], suffix: str) -> dict[Path, Path]:
    """A file in a folder for each photo or clip, called as it is; numbered where two share one."""
    taken: dict[Path, Path] = {}
    names: set[str] = set()
    for path in paths:
        name, number = path.stem, 2
        while name.casefold() in names:
            name = _fitting(path.stem, f"-{number}{suffix}").removesuffix(suffix)
            number += 1
        names.add(name.casefold())
        taken[path] = folder / f"{name}{suffix}"
    return taken
