"""A file of text or subtitles beside every photo or clip: ``photo.jpg`` -> ``photo.txt``.

A sidecar that exists is left alone unless it may be overwritten, so that a run which was
interrupted goes on where it stopped when it is started again. For the same reason one appears
when it is complete, and not before.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from negah.captions import Caption
from negah.cli.clock import Span
from negah.cli.writers import Format, Layout, RowBuffer, Writer, make_writer
from negah.errors import MediaError, OutputError, UsageError
from negah.files import write_text
from negah.outputs import Outputs

#: The suffixes of those formats that stand beside a file.
SIDECAR_SUFFIXES = {Format.TEXT: ".txt", Format.SRT: ".srt", Format.VTT: ".vtt"}


@dataclass(frozen=True, slots=True)
class SidecarPlan:
    """Which photos and clips need a sidecar.

    Attributes:
        wanted: files to caption.
        existing: files that have a sidecar already.
        clashes: files whose sidecar would be a file, or the sidecar of another, of this run, or
            cannot be written.
    """

    wanted: list[Path]
    existing: list[Path]
    clashes: list[MediaError]


def plan_sidecars(
    paths: Sequence[Path], suffix: str, outputs: Outputs, *, overwrite: bool
) -> SidecarPlan:
    """Look which sidecars are there already, and which would take the place of something else.

    Args:
        paths: the photos and clips.
        suffix: of the sidecars.
        outputs: of the run; its inputs are not replaced.
        overwrite: whether a sidecar that exists is replaced.
    """
    plan = SidecarPlan([], [], [])
    owners = {path: path for path in paths}
    for path in paths:
        sidecar = path.with_suffix(suffix)
        owner = owners.setdefault(sidecar, path)
        if owner is not path or sidecar == path:
            what = "itself" if sidecar == path else f"the file or the sidecar of {owner}"
            reason = f"its sidecar {sidecar} would be {what}; rename it"
            plan.clashes.append(MediaError(path, reason))
        elif not os.path.lexists(sidecar):
            plan.wanted.append(path)
        elif sidecar.exists() and not overwrite:
            plan.existing.append(path)
        else:
            try:
                outputs.write(sidecar, f"its sidecar {sidecar}")
            except UsageError as error:
                plan.clashes.append(MediaError(path, str(error)))
            else:
                plan.wanted.append(path)
    return plan


class SidecarWriter(Writer):
    """Writes the captions of every file into one beside it.

    Args:
        layout: of what stands in a sidecar; its format is one of ``SIDECAR_SUFFIXES``.
    """

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._begin(None)

    def _begin(self, path: Path | None) -> None:
        self._path = path
        self._rows = RowBuffer()
        self._writer = make_writer(self._rows, self._layout)

    def write(self, path: Path, caption: Caption, span: Span | None = None) -> None:
        """See :meth:`Writer.write`."""
        if path != self._path:  # of the one before, nothing is left, or it was not completed
            self._begin(path)
        self._writer.write(path, caption, span)

    def close(self, path: Path) -> None:
        """See :meth:`Writer.close`."""
        sidecar = path.with_suffix(SIDECAR_SUFFIXES[self._layout.form])
        try:
            write_text(sidecar, self._rows.text)
        except OutputError as error:
            if error.ends_run:
                raise
            reason = f"cannot write to its sidecar {sidecar}: {error.reason}"
            raise MediaError(path, reason) from error
        finally:
            self._begin(None)
