"""A text file beside every photo: ``photo.jpg`` -> ``photo.txt``.

A sidecar that exists is left alone unless it may be overwritten, so that a run which was
interrupted goes on where it stopped when it is started again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from negah.captions import Caption
from negah.cli.writers import Writer
from negah.errors import MediaError
from negah.files import write_text


@dataclass(frozen=True, slots=True)
class SidecarPlan:
    """Which photos need a sidecar.

    Attributes:
        wanted: photos to caption.
        existing: photos that have a sidecar already.
        clashes: photos whose sidecar would be a photo, or the sidecar of another, of this run.
    """

    wanted: list[Path]
    existing: list[Path]
    clashes: list[MediaError]


def sidecar_of(photo: Path) -> Path:
    """The text file beside a photo."""
    return photo.with_suffix(".txt")


def plan_sidecars(photos: Sequence[Path], *, overwrite: bool) -> SidecarPlan:
    """Look which sidecars are there already, and which would take the place of something else."""
    plan = SidecarPlan([], [], [])
    owners = {photo: photo for photo in photos}
    for photo in photos:
        sidecar = sidecar_of(photo)
        owner = owners.setdefault(sidecar, photo)
        if owner is not photo or sidecar == photo:
            what = "itself" if sidecar == photo else f"the photo or the sidecar of {owner}"
            reason = f"its sidecar {sidecar} would be {what}; rename it"
            plan.clashes.append(MediaError(photo, reason))
        elif sidecar.exists() and not overwrite:
            plan.existing.append(photo)
        else:
            plan.wanted.append(photo)
    return plan


class SidecarWriter(Writer):
    """Writes every caption into a file beside its photo, alternatives in lines of their own."""

    def write(self, path: Path, caption: Caption) -> None:
        """See :meth:`Writer.write`."""
        lines = [one.text for one in (caption, *caption.alternatives)]
        sidecar = sidecar_of(path)
        try:
            write_text(sidecar, "\n".join(lines) + "\n")
        except OSError as error:
            reason = f"cannot write its sidecar {sidecar}: {error.strerror or error}"
            raise MediaError(path, reason) from error
