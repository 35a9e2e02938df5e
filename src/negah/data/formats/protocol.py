"""What a format of data sets promises, whoever wrote it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable

from negah.data.examples import Example
from negah.data.formats.source import Source
from negah.data.records import Reading


class Format(Protocol):
    """One layout of captioned data sets, and of captions alone that are to be scored.

    An implementation is an object without state, entered in
    :data:`~negah.data.formats.FORMATS` under its name. It may derive from this class, which gives
    every attribute but the two methods.

    Attributes:
        files: patterns of the files of a folder that may be such a data set, best first; of a
            folder the first file is taken that a pattern of any format matches, plain names
            before patterns with wildcards. A pattern may look into folders (``*/metadata.csv``).
        beside: patterns of files that are read beside one that is named, so that no output
            replaces them.
        many: whether all files that a pattern matches are one data set, as shards are; otherwise
            two are refused.
        binary: whether it is asked about files that are no text, of which ``Source.text`` is not
            to be used; otherwise it is asked about text alone. None: about both.
        last: whether it is asked after the others, since it claims files by their suffix.
        by_line: whether it goes by line and names no files, so that it is no data set to learn
            from.
    """

    files: ClassVar[tuple[str, ...]] = ()
    beside: ClassVar[tuple[str, ...]] = ()
    many: ClassVar[bool] = False
    binary: ClassVar[bool | None] = False
    last: ClassVar[bool] = False
    by_line: ClassVar[bool] = False

    def sniff(self, source: Source) -> bool:
        """Whether a file (or shards) has this layout, by its name and by how it begins.

        All formats are asked in turn until one says yes, so only what is surely of this layout
        is claimed. What ``source`` gives is read and parsed once, whoever asks.

        Raises:
            DataError: it cannot be read, or is JSON that cannot be parsed.
        """
        ...

    def read(self, source: Source) -> Reading:
        """All records, without a look at the pictures.

        Also called without :meth:`sniff`, where the user named the format. Lines and entries that
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
        suffixes: of its files, lower case; empty where it writes a folder.
    """

    suffixes: ClassVar[tuple[str, ...]]

    def write(
        self,
        examples: Sequence[Example],
        output: Path,
        *,
        progress: Callable[[int, int], None] | None = None,
    ) -> Path | None:
        """Write examples that :meth:`Format.read` gives again: captions, parts and spans.

        Args:
            examples: one or more, with files that exist and names without ``..``.
            output: a file of one of the suffixes, or a folder that is not there or is empty.
                Written through :mod:`negah.files`.
            progress: called with how many are done, of how many.

        Returns:
            the folder that has to be named with ``--images`` to read it; None for formats that
            hold their pictures.

        Raises:
            OutputError: it cannot be written.
            DataError: a picture cannot be read.
        """
        ...
