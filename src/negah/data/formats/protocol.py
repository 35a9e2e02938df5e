"""The interface of data set formats."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from negah.data.examples import Example
from negah.data.formats.source import Source
from negah.data.records import Reading


class Format(Protocol):
    """A format of captioned data sets or of caption files for scoring.

    An implementation is an object without state, entered in :data:`~negah.data.formats.FORMATS`
    under its name. It may derive from this class, which provides defaults of all attributes.

    Attributes:
        files: patterns of the files of a folder that may be such a data set, best first; in a
            folder, the first file that matches a pattern of any format is taken, plain names before
            wildcards. A pattern may look into folders (``*/metadata.csv``).
        beside: patterns of files that are read in addition to the named one, so that no output
            replaces them.
        many: whether all files that a pattern matches are one data set, as shards are; otherwise
            two are refused.
        binary: whether it is tried on binary files, for which ``Source.text`` must not be used;
            False for text files only, None for both.
        last: whether it is tried after the others, because it recognises files by suffix only.
        by_line: whether captions are matched by line, without file names, so that it cannot be used
            for training.
    """

    files: ClassVar[tuple[str, ...]] = ()
    beside: ClassVar[tuple[str, ...]] = ()
    many: ClassVar[bool] = False
    binary: ClassVar[bool | None] = False
    last: ClassVar[bool] = False
    by_line: ClassVar[bool] = False

    def sniff(self, source: Source) -> bool:
        """Whether a file (or shards) has this layout, by its name and by how it begins.

        Formats are tried in order until one returns True, so it must be sure. ``source`` reads and
        parses its content only once for all formats.

        Raises:
            DataError: it cannot be read, or is JSON that cannot be parsed.
        """
        ...

    def read(self, source: Source) -> Reading:
        """Read all records, without opening pictures.

        Also called without :meth:`sniff` if the user named the format. Lines and entries that
        cannot be used are left out and reported in :attr:`Reading.problems`.

        Raises:
            DataError: it has another layout, or is damaged so that nothing can be read; the
                message begins with ``source.label``.
            MissingExtraError: a module that is needed is not installed.
        """
        ...


@runtime_checkable
class WritableFormat(Protocol):
    """A format that examples can be written in.

    Attributes:
        suffixes: of its files, lower case; empty if it writes a folder.
    """

    suffixes: ClassVar[tuple[str, ...]]

    def write(
        self,
        examples: Sequence[Example],
        output: Path,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> Path | None:
        """Write examples so that :meth:`Format.read` restores captions, parts and spans.

        Args:
            examples: one or more, with files that exist and names without ``..``.
            output: a file with one of the suffixes, or a folder that is absent or empty. Written
                through :mod:`negah.files`.
            progress: called with the number done and the total.

        Returns:
            the folder that ``--images`` must name to read it; None for formats that contain their
            pictures.

        Raises:
            OutputError: it cannot be written.
            DataError: a picture cannot be read.
        """
        ...
