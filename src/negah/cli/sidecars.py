"""A file of text or subtitles beside every photo or clip: ``photo.jpg`` -> ``photo.txt``.

An existing sidecar is kept unless it may be overwritten, so that an interrupted run resumes where
it stopped. For the same reason a sidecar appears only when it is complete.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from negah.captions import Caption
from negah.cli.clock import TimeRange
from negah.cli.writers import OutputFormat, OutputLayout, RowBuffer, Writer, make_writer
from negah.errors import MediaError, OutputError, UsageError
from negah.files import write_text
from negah.outputs import Outputs

#: The suffixes of those formats that stand beside a file.
SIDECAR_SUFFIXES = {OutputFormat.TEXT: ".txt", OutputFormat.SRT: ".srt", OutputFormat.VTT: ".vtt"}


@dataclass(frozen=True, slots=True)
class SidecarPlan:
    """Which photos and clips need a sidecar.

    Attributes:
        wanted: files to caption.
        existing: why files need none, a line each.
        clashes: files whose sidecar would be a file, or the sidecar of another, of this run, or
            cannot be written.
    """

    wanted: list[Path]
    existing: list[str]
    clashes: list[MediaError]

    def fail(self, path: Path, reason: str) -> None:
        """Note why a file gets no sidecar."""
        self.clashes.append(MediaError(path, reason))


def plan_sidecars(
    paths: Sequence[Path], suffix: str, outputs: Outputs, *, overwrite: bool
) -> SidecarPlan:
    """Find existing sidecars, and those that would replace another file.

    Args:
        paths: the photos and clips.
        suffix: of the sidecars.
        outputs: of the run; its inputs are not replaced.
        overwrite: whether a sidecar that exists is replaced.
    """
    plan = SidecarPlan([], [], [])
    place = functools.cache(os.path.realpath)
    writable = functools.cache(lambda folder: os.access(folder, os.W_OK | os.X_OK))
    owners = {Path(place(path.parent), path.name): path for path in paths}
    for path in paths:
        sidecar = path.with_suffix(suffix)
        owner = owners.setdefault(Path(place(path.parent), sidecar.name), path)
        if sidecar == path:
            plan.fail(path, f"its sidecar {sidecar} would be itself; rename it")
        elif owner is not path and not (sidecar != owner and same_file(owner, path)):
            what = f"the file or the sidecar of {owner}"
            plan.fail(path, f"its sidecar {sidecar} would be {what}; rename it")
        elif owner is not path:
            plan.existing.append(f"{path}: is {owner}, whose sidecar is {sidecar}")
        elif sidecar.is_file() and not overwrite:
            plan.existing.append(f"{path}: {sidecar} exists (--overwrite replaces it)")
        elif not os.path.lexists(sidecar) and writable(path.parent):
            plan.wanted.append(path)
        else:
            try:
                outputs.write(sidecar, f"its sidecar {sidecar}")
            except UsageError as error:
                plan.fail(path, str(error))
            else:
                plan.wanted.append(path)
    return plan


def same_file(one: Path, other: Path) -> bool:
    """Whether two names are those of one file."""
    try:
        return one.samefile(other)
    except OSError:
        return False


class SidecarWriter(Writer):
    """Writes the captions of every file into one beside it.

    Args:
        layout: of what stands in a sidecar; its format is one of ``SIDECAR_SUFFIXES``.
        overwrite: whether one that has appeared meanwhile is replaced.
    """

    def __init__(self, layout: OutputLayout, *, overwrite: bool) -> None:
        self._layout = layout
        self._overwrite = overwrite
        self._begin(None)

    def _begin(self, path: Path | None) -> None:
        self._path = path
        self._rows = RowBuffer()
        self._writer = make_writer(self._rows, self._layout)

    def write(self, path: Path, caption: Caption, span: TimeRange | None = None) -> None:
        """See :meth:`Writer.write`."""
        if (
            path != self._path
        ):  # nothing of the previous file is pending, unless it was not completed
            self._begin(path)
        self._writer.write(path, caption, span)

    def close(self, path: Path) -> None:
        """See :meth:`Writer.close`."""
        sidecar = path.with_suffix(SIDECAR_SUFFIXES[self._layout.form])
        try:
            write_text(sidecar, self._rows.text, fresh=not self._overwrite)
        except OutputError as error:
            if error.ends_run:
                raise
            reason = f"cannot write to its sidecar {sidecar}: {error.reason}"
            raise MediaError(path, reason) from error
        finally:
            self._begin(None)
