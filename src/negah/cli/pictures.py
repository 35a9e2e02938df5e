"""``--picture``: a picture of the evidence of every caption."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from negah.captions import Caption
from negah.cli.writers import Writer
from negah.errors import MediaError, UsageError
from negah.files import atomic_path
from negah.media import open_image


class PictureWriter(Writer):
    """Hands captions on to another writer, and draws each.

    Args:
        writer: writes the captions themselves.
        target: a .png file where there is one photo, else a folder, made when needed.
        photos: all photos of the run.

    Raises:
        UsageError: a file was named for several photos, or something that is no .png for one.
    """

    def __init__(self, writer: Writer, target: Path, photos: Sequence[Path]) -> None:
        self._writer = writer
        self._targets = _targets(target, photos)

    def write(self, path: Path, caption: Caption) -> None:
        """See :meth:`Writer.write`."""
        from negah.evidence import draw_evidence

        self._writer.write(path, caption)
        target = self._targets[path]
        try:
            picture = draw_evidence(open_image(path), caption)
            with atomic_path(target) as temporary:
                picture.save(temporary, format="PNG")
        except OSError as error:
            reason = f"cannot write its picture {target}: {error.strerror or error}"
            raise MediaError(path, reason) from error


def _targets(target: Path, photos: Sequence[Path]) -> dict[Path, Path]:
    if len(photos) == 1 and target.suffix:
        if target.suffix.lower() != ".png":
            raise UsageError(f"--picture {target}: pictures are PNG; name a .png file or a folder")
        if target.resolve() == photos[0].resolve():
            raise UsageError(f"--picture {target} would replace the photo; choose another name")
        return {photos[0]: target}
    if target.suffix or target.is_file():
        raise UsageError(
            f"--picture {target}: there are {len(photos)} photos, so name a folder for the pictures"
        )
    taken: dict[Path, Path] = {}
    names: set[str] = set()
    for photo in photos:
        name, number = photo.stem, 2
        while name.casefold() in names:
            name, number = f"{photo.stem}-{number}", number + 1
        names.add(name.casefold())
        taken[photo] = target / f"{name}.png"
    return taken
