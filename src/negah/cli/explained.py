"""Explaining photos and clips one by one, and writing the results."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from negah.captions import Caption
from negah.cli.paths import outputs
from negah.cli.pictures import places_in, png_mark
from negah.cli.progress import Tally, progress_bar
from negah.cli.tables import print_table
from negah.errors import MediaError, OutputError, UsageError
from negah.files import atomic_path, write_text
from negah.interrupt import Interrupt
from negah.json_layout import indented_json
from negah.media import is_clip
from negah.outputs import OutputKind, Outputs, check_picture_folder

if TYPE_CHECKING:
    from PIL import Image

    from negah.evidence.methods import Evidence
    from negah.runtime import CaptionerSpec

#: What is written, by suffix, and what it may replace.
KINDS = {
    ".html": OutputKind.TEXT,
    ".json": OutputKind.TEXT,
    ".png": OutputKind.PICTURE,
    ".webp": OutputKind.PICTURE,
}

#: Pixels of a side that a photo is drawn with, at least where it has them.
_SIDE = 1200


def plan_outputs(
    output: Path | None, form: str | None, files: Sequence[Path], run: Outputs, *, single: bool
) -> dict[Path, Path] | None:
    """The target of each explanation; None for standard output.

    Args:
        output: a file for one photo or clip, or a folder.
        form: of the files in a folder; None for pages.
        files: that are explained.
        run: inputs and outputs of the run.
        single: whether one file was named by itself.

    Raises:
        UsageError: the output is of no known kind, one file for several, or would replace
            something else.
    """
    if output is None:
        if form is not None:
            raise UsageError(f"--format {form} needs a folder to write into: add --output FOLDER")
        return None
    label = f"--output {output}"
    suffix = output.suffix.lower()
    if single and suffix:
        if suffix not in KINDS:
            raise UsageError(
                f"{label}: explanations are {', '.join(KINDS)}; name such a file, or a folder"
            )
        if form is not None and suffix != f".{form}":
            raise UsageError(f"{label} is not a .{form} file: leave out --format, or name a folder")
        run.write(output, label, KINDS[suffix])
        return {files[0]: output} if files else {}
    if suffix in KINDS or output.is_file():
        raise UsageError(
            f"{label} is one file, but {len(files)} are to be explained: name a folder"
        )
    suffix = f".{form or 'html'}"
    targets = places_in(output, files, suffix)
    if KINDS[suffix] is OutputKind.PICTURE:
        check_picture_folder(output, label)
    run.write(output, label, OutputKind.FOLDER)
    run.write_in_folder(output, [one.name for one in targets.values()], label, KINDS[suffix])
    return targets


def explain_all(
    files: Sequence[Path],
    targets: Mapping[Path, Path] | None,
    spec: CaptionerSpec,
    named: str | None,
    tally: Tally,
) -> None:
    """Explain file by file; on Ctrl-C finished files are kept.

    Args:
        files: photos and clips.
        targets: where each goes; None for a table on standard output.
        spec: which captioner, and how it is run and asked.
        named: method of evidence; None for what suits the model.
        tally: of the run.

    Raises:
        UsageError: there is no such model or method, or they do not suit each other.
    """
    # slow imports are here, so that wrong usage is reported at once
    from negah.evidence.methods import default_method
    from negah.runtime.explaining import caption_subject, choose_method

    captioner = spec.open()
    chosen: dict[bool, tuple[str, Evidence]] = {}
    for clips in sorted({is_clip(path) for path in files}):
        spec.check(captioner, clips=clips)
        backend = captioner.one_backend(clips=clips)
        name = named or default_method(backend, clips=clips)
        chosen[clips] = name, choose_method(name, backend)
    outputs().read(captioner.files)
    shown = targets is not None
    with (
        Interrupt() as interrupt,
        progress_bar(len(files), wanted=shown, label="explaining") as bar,
    ):

        def reached(share: float) -> None:
            if interrupt.asked:  # a clip may take a minute
                raise KeyboardInterrupt

        try:
            for path in files:
                try:
                    name, method = chosen[is_clip(path)]
                    frames = spec.frames if is_clip(path) else None
                    reading = caption_subject(captioner, path, frames=frames, **spec.decoding)
                    explained = _Explained(
                        path, reading.explained(method, reached), name,
                        reading.subject.backend.identity.name, spec.run.max_pixels,
                    )  # fmt: skip
                    if targets is None:
                        _print(explained, named=tally.total > 1)
                    else:
                        _write(targets[path], explained)
                    tally.warn(path, explained.caption)
                    tally.done += 1
                except MediaError as error:
                    tally.failures.append(error)
                except OutputError as error:
                    tally.stopped = error
                bar.advance()
                if tally.stopped is not None or interrupt.asked:
                    break
        except KeyboardInterrupt:
            tally.interrupted = True
        tally.interrupted = tally.interrupted or interrupt.asked


@dataclass(frozen=True, slots=True)
class _Explained:
    """An explained photo or clip, and how that was done."""

    path: Path
    caption: Caption
    method: str
    model: str
    max_pixels: int


def _write(target: Path, it: _Explained) -> None:
    caption = it.caption
    suffix = target.suffix.lower()
    if suffix == ".json":
        facts = {"path": str(it.path), "model": it.model, "method": it.method}
        write_text(target, indented_json(facts | caption.to_dict()) + "\n")
        return
    from negah.evidence import draw_clip_evidence, draw_evidence
    from negah.evidence.moving import write_moving
    from negah.evidence.page import page_of

    if not caption.words:
        raise MediaError(it.path, "its caption has no words, so there is nothing to show")
    pictures = pictures_of(it.path, caption, it.max_pixels)
    if suffix == ".html":
        write_text(
            target,
            page_of(pictures, caption, method=it.method, name=it.path.name, model=it.model),
        )
        return
    try:
        with atomic_path(target) as temporary:
            if suffix == ".webp":
                write_moving(pictures, caption, temporary)
                return
            drawn = (
                draw_evidence(pictures[0], caption)
                if len(pictures) == 1
                else draw_clip_evidence(pictures, caption)
            )
            drawn.save(temporary, format="PNG", pnginfo=png_mark())
    except OSError as error:
        raise OutputError(target, error) from error


def pictures_of(path: Path, caption: Caption, max_pixels: int) -> list[Image.Image]:
    """The photo, or the frames used for the caption, upright."""
    if not is_clip(path):
        from negah.media import read_image, to_rgb

        opened = read_image(path, max_pixels=max_pixels, target_size=(_SIDE, _SIDE))
        return [to_rgb(opened.image)]
    from negah.media.videos import open_clip

    return [frame.image for frame in open_clip(path, max_pixels=max_pixels).at(caption.times)]


def _print(it: _Explained, *, named: bool) -> None:
    from negah.evidence.words import percent, place_of

    caption = it.caption
    print(f"{it.path}: {caption.text}" if named else caption.text)
    seen = any(word.seen is not None for word in caption.words)
    rows = []
    for word in caption.words:
        own = word.seen
        rows.append(
            (
                word.text,
                *([("" if own is None else percent(own))] if seen else []),
                percent(math.exp(word.logprob)),
                place_of(word, caption.times, nats=it.method != "attention"),
            )
        )
    columns = ("word", *(["seen"] if seen else []), "probability", "comes from")
    print_table(columns, rows, left={"word", "comes from"})
