"""The options of ``--write-metadata``: captions into photos, or into XMP files beside them."""

from __future__ import annotations

import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from negah.captions import Caption
from negah.cli.clock import TimeRange
from negah.cli.paths import Writes
from negah.cli.writers import Writer
from negah.errors import MediaError, OutputError, UsageError
from negah.media import is_clip
from negah.metadata import Existing, Naming
from negah.outputs import OutputKind
from negah.text.languages import DEFAULT


class CaptionPlace(StrEnum):
    """Where captions are written."""

    FILE = "file"
    SIDECAR = "sidecar"
    SIDECAR_STEM = "sidecar-stem"

    @property
    def naming(self) -> Naming | None:
        """The naming of sidecars; None for the file itself."""
        return {"sidecar": Naming.FULL, "sidecar-stem": Naming.STEM}.get(self.value)


WriteMetadata = Annotated[
    CaptionPlace | None,
    typer.Option(
        "--write-metadata",
        help="Write description and alternative text into photos (file), or into XMP files "
        "beside them: a.jpg.xmp (sidecar) or a.xmp (sidecar-stem).",
        show_default=False,
    ),
]
InPlace = Annotated[
    bool, typer.Option("--in-place", help="With --write-metadata file: change the photos.")
]
Copies = Annotated[
    Path | None,
    typer.Option(
        "--copies",
        metavar="FOLDER",
        help="With --write-metadata file: write copies into this folder.",
        show_default=False,
    ),
    Writes(OutputKind.FOLDER, "copies with captions"),
]
ExistingText = Annotated[
    Existing | None,
    typer.Option(
        "--existing",
        help="With --write-metadata: treatment of an existing description.",
        show_default="skip",
    ),
]


@dataclass(frozen=True, slots=True)
class Metadata:
    """The values of ``--write-metadata`` and its options.

    Attributes:
        place: where captions are written; None for nowhere.
        in_place: whether photos are changed.
        copies: the folder of copies.
        existing: treatment of an existing description.
    """

    place: CaptionPlace | None = None
    in_place: bool = False
    copies: Path | None = None
    existing: Existing | None = None

    def check(self, *, elsewhere: bool, by_parts: bool, mark: bool) -> None:
        """Refuse options that contradict each other.

        Args:
            elsewhere: whether captions are to be written to another place as well.
            by_parts: whether a clip has several captions.
            mark: whether doubtful objects are to be marked in text.
        """
        given = {"--in-place": self.in_place, "--copies": self.copies, "--existing": self.existing}
        alone = [name for name, value in given.items() if value]
        if self.place is None:
            if alone:
                raise UsageError(f"{alone[0]} needs --write-metadata: add it, or leave this out")
            return
        if elsewhere:
            raise UsageError(
                "--write-metadata writes to the photos: leave out --sidecar, --output and --format"
            )
        if mark:
            raise UsageError("--mark writes into text, not into metadata: leave it out")
        if by_parts:
            raise UsageError("--write-metadata has room for one caption of a file, not of scenes")
        if self.place is not CaptionPlace.FILE and (self.in_place or self.copies):
            raise UsageError(f"{alone[0]} needs --write-metadata file: leave it out")
        if self.place is CaptionPlace.FILE and self.in_place == (self.copies is not None):
            raise UsageError(
                "--write-metadata file needs to know where: --in-place, or --copies FOLDER"
            )

    def take(self, paths: Sequence[Path], skip: Callable[[str], None]) -> list[Path]:
        """The files to be captioned: those without a description that must be kept.

        Args:
            paths: the files; ``place`` is not None.
            skip: called with the reason of each of the others.
        """
        assert self.place is not None
        if self.existing not in (None, Existing.SKIP):
            return list(paths)
        from negah.metadata import described

        wanted = []
        for path in paths:
            if described(path, self.place.naming):
                skip(self.kept(path))
            else:
                wanted.append(path)
        return wanted

    def kept(self, path: Path) -> str:
        """Why nothing is written for a file, in a line that says what to do."""
        from negah.metadata import sidecar_of

        naming = None if self.place is None else self.place.naming
        place = path if naming is None else sidecar_of(path, naming)
        if self.existing is Existing.APPEND:
            return f"{path}: {place} says this already"
        return f"{path}: {place} has a description (--existing replace or append changes it)"

    def write(self, path: Path, text: str, model: str, language: str = DEFAULT) -> bool:
        """Write a text into a file, its copy or its sidecar; ``place`` is not None.

        Args:
            path: of the photo or clip.
            text: its description.
            model: the captioning model; "" if a person wrote it.
            language: of the text, by its code.

        Returns:
            whether anything was written; False if an existing text was kept.

        Raises:
            MediaError: it cannot be written there.
        """
        from negah import __version__
        from negah.metadata import Written, embed, write_sidecar
        from negah.text.alt import alt_text

        written = Written(
            description=text,
            alt=alt_text(text, language=language) or "",
            language="" if language == DEFAULT else language,
            model=model,
            software=f"Negah {__version__}",
            date=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        )
        existing = self.existing or Existing.SKIP
        assert self.place is not None
        try:
            if self.place.naming is not None:
                return write_sidecar(path, written, existing, self.place.naming)
            copy = None if self.copies is None else self.copies / path.name
            return embed(path, written, existing, target=copy)
        except OutputError as error:
            if error.ends_run:
                raise
            raise MediaError(path, str(error)) from error


def model_of(model: str | None, path: Path, language: str = DEFAULT) -> str:
    """The name of the captioning model, as written to files.

    Args:
        model: as the user named it; None for the bundled ones. Of a path, only the last part gets
            into files: where it stands is nobody's business.
        path: of the photo or clip.
        language: of the caption, by its code.
    """
    if model is None and language != DEFAULT:
        from negah.runtime import find_bundle

        return find_bundle(clips=is_clip(path), language=language).name
    if model is None:
        return "negah-video" if is_clip(path) else "negah-photo"
    return Path(model).resolve().name if Path(model).exists() else model


class MetadataWriter(Writer):
    """Writes the caption of every file into it, its copy or its sidecar.

    Args:
        metadata: what is asked; ``place`` is not None.
        model: what captions, as the user named it; None for the bundled ones.
    """

    def __init__(self, metadata: Metadata, model: str | None) -> None:
        self._metadata = metadata
        self._model = model

    def write(self, path: Path, caption: Caption, span: TimeRange | None = None) -> None:
        """See :meth:`Writer.write`."""
        model = model_of(self._model, path, caption.language)
        self._metadata.write(path, caption.text, model, caption.language)
