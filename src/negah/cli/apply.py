"""``negah apply``: captions that a person has corrected, written where captions are kept."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from negah.cli.metadata import (
    CaptionPlace,
    Copies,
    ExistingText,
    InPlace,
    Metadata,
    WriteMetadata,
    model_of,
)
from negah.cli.paths import Reads, outputs
from negah.cli.progress import MOST_SKIPPED, CappedMessages, tell
from negah.cli.streams import say
from negah.errors import DataError, MediaError, OutputError, UsageError
from negah.interrupt import Interrupt
from negah.metadata import Existing, is_language_tag
from negah.text.languages import DEFAULT

#: Value of the column ``by`` for captions that were not corrected.
_OWN = "negah"
_NO_TAG = "name it by its code, such as fa or pt-BR"
#: A quote before text that a spreadsheet would interpret as a formula.
_GUARD = re.compile(r"'(?='?[=+\-@\t\r])")


class Correction(NamedTuple):
    """A row of the table.

    Attributes:
        where: it stands, for messages.
        name: of the photo or clip, as in the table.
        caption: the text.
        model: the captioning model; "" if a person wrote it.
        language: of the text, by its code.
    """

    where: str
    name: str
    caption: str
    model: str
    language: str


@dataclass(slots=True)
class _RowCounts:
    """Counts of the rows by result."""

    written: int = 0
    skipped: CappedMessages[str] = field(default_factory=lambda: CappedMessages(most=MOST_SKIPPED))
    failures: list[str] = field(default_factory=list)
    interrupted: bool = False
    stopped: OutputError | None = None

    def report(self) -> int:
        """Print what went wrong and a summary; the exit code."""
        tell("skipped", self.skipped)
        for failure in self.failures:
            say(f"failed: {failure}")
        done = f"written {self.written}, skipped {self.skipped.total}, failed {len(self.failures)}"
        if self.stopped is not None:
            say(f"negah: {self.stopped}; {done}")
        else:
            say(f"interrupted: {done}" if self.interrupted else done)
        return 130 if self.interrupted else int(bool(self.failures or self.stopped))


def apply(
    table: Annotated[
        Path,
        typer.Argument(
            metavar="TABLE",
            help="CSV with the columns path and caption, as the page of negah caption --format "
            "html saves it.",
            show_default=False,
        ),
        Reads(),
    ],
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Folder of the photos and clips; no file outside it is changed.",
            show_default="as the table names them",
        ),
        Reads(),
    ] = None,
    language: Annotated[
        str,
        typer.Option(
            metavar="CODE",
            help="Language of captions whose row names none (column language), such as fa.",
        ),
    ] = DEFAULT,
    write_metadata: WriteMetadata = CaptionPlace.SIDECAR,
    in_place: InPlace = False,
    copies: Copies = None,
    existing: ExistingText = None,
) -> None:
    """Write corrected captions into photos, or into XMP files beside them.

    An existing description is replaced; one written by a person is kept in negah:Previous.
    --existing skip and --existing append keep it. Rows whose column "by" is not "negah" are
    captions of a person, and are marked as such. Captions that are
    not English are also written under their language.

    \b
    negah caption holiday/ --format html --output review.html
    negah apply corrections.csv
    negah apply corrections.csv --write-metadata file --copies captioned/
    negah apply corrections.csv --images holiday/ --write-metadata file --in-place
    negah apply corrections.csv --language fa

    Exit code: 0 all written or skipped, 1 some failed, 2 wrong usage, 130 interrupted.
    """
    metadata = Metadata(write_metadata, in_place, copies, existing or Existing.REPLACE)
    metadata.check(elsewhere=False, by_parts=False, mark=False)
    if images is not None and not images.is_dir():
        raise UsageError(f"--images {images}: there is no such folder")
    if not is_language_tag(language):
        raise UsageError(f"--language {language}: {_NO_TAG}")
    rows = list(read_corrections(table, language))
    tally, done = _RowCounts(), set[Path]()
    with Interrupt() as interrupt:
        for row in rows:
            if interrupt.asked:
                tally.interrupted = True
                break
            try:
                path = _find(row, images)
                if path.resolve() in done:
                    raise MediaError(path, "has a caption in an earlier row; this one is left out")
                done.add(path.resolve())
                outputs().read([path])
                written = metadata.write(path, row.caption, row.model, row.language)
            except MediaError as error:
                tally.failures.append(f"{table}, {row.where}: {error}")
            except OutputError as error:
                tally.stopped = error
                break
            else:
                tally.written += written
                if not written:
                    tally.skipped.append(metadata.kept(path))
    if code := tally.report():
        raise typer.Exit(code)


def read_corrections(table: Path, language: str = DEFAULT) -> Iterator[Correction]:
    """The rows of a table of corrections.

    Args:
        table: CSV.
        language: of captions whose row names none.

    Raises:
        DataError: it cannot be read, is no table, has no path or caption, or a row is malformed.
    """
    from negah.data.cells import Malformed, header_of, table_rows
    from negah.textfiles import read_utf8

    text = read_utf8(table)
    header = header_of(text, ("path", "caption", "by", "model", "language"))
    if header is None or not {"path", "caption"} <= set(header.columns):
        raise DataError(f"{table}: a table of corrections has the columns path and caption")
    for row in table_rows(str(table), text, header, ("path",)):
        if isinstance(row, Malformed):
            raise DataError(f"{table}, {row.where}: {row.reason}")
        cells = {name: _GUARD.sub("", cell, 1) if cell[:1] == "'" else cell
                 for name, cell in row.cells.items()}  # fmt: skip
        name, caption = cells["path"], " ".join(cells["caption"].split())
        if not name or not caption:
            missing = "caption" if name else "path"
            raise DataError(
                f"{table}, {row.where}: it has no {missing}; fill it, or delete the row"
            )
        code = cells.get("language", "").strip() or language
        if not is_language_tag(code):
            raise DataError(f"{table}, {row.where}: its language is {code[:32]!r}: {_NO_TAG}")
        own = cells.get("by", "") == _OWN
        model = (cells.get("model", "") or model_of(None, Path(name), code)) if own else ""
        yield Correction(row.where, name, caption, model, code)


def _find(row: Correction, images: Path | None) -> Path:
    """The photo or clip of a row.

    Raises:
        MediaError: there is none.
    """
    from negah.data.names import FileNames, is_media, tails

    if not is_media(row.name):
        raise MediaError(row.name, "its suffix is not that of a photo or clip")
    if images is not None:
        names = FileNames(images)
        found = next(filter(None, map(names.find, (row.name, *tails(row.name)))), None)
        if found is None:
            raise MediaError(row.name, f"there is no such file in {images}")
        return images / found
    path = Path(row.name)
    if not path.is_file():
        raise MediaError(row.name, "there is no such file; --images FOLDER says where it is")
    return path
