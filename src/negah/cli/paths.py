"""Annotations that mark the options of a command as files to read or to write.

They follow the option in its annotation::

    output: Annotated[Path | None, typer.Option("--output"), Writes()] = None
    data: Annotated[list[Path], typer.Option(), Reads()]

Before a command runs, all marked files are registered with :class:`~negah.outputs.Outputs`, which
refuses outputs that would replace inputs. Files found later, such as the photos of a folder, are
added to :func:`outputs`.
"""

from __future__ import annotations

import functools
import os
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext, suppress
from contextvars import ContextVar
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import typer
from typer.models import ArgumentInfo, OptionInfo

from negah.cli.streams import messages_only, say
from negah.outputs import OutputKind, Outputs
from negah.run_folder import LOG
from negah.targets import find_target

#: Of a model's folder, the files that a command reads.
_MODEL_FILES = (
    *("*.json", LOG, "README.md", "*.onnx", "*.safetensors", "*.npy"),
    *("merges.txt", "vocab.txt", "*.model"),  # tokenizers of Hugging Face
)


@dataclass(frozen=True, slots=True)
class Reads:
    """The option names inputs.

    Attributes:
        folder_files: patterns of the files that count as inputs where a folder is named.
        beside: patterns of those that are read beside a file that is named.
    """

    folder_files: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    def files(self, path: Path) -> Iterator[Path]:
        """``path``, and what is read in it or beside it."""
        yield from shards(path)
        folder, patterns = (
            (path, self.folder_files) if path.is_dir() else (path.parent, self.beside)
        )
        if patterns and folder.is_dir():
            for file in sorted(folder.iterdir()):
                if any(fnmatch(file.name, pattern) for pattern in patterns):
                    yield file


@dataclass(frozen=True, slots=True)
class Writes:
    """The option names an output.

    Attributes:
        kind: what is written; None where the command decides, and registers it itself.
        what: what is written, for the line that reports it; "" where the command calls
            :func:`say_written` itself, since it knows more, or where a folder is a cache.
    """

    kind: OutputKind | None = OutputKind.TEXT
    what: str = ""


@dataclass(frozen=True, slots=True)
class Marked:
    """A parameter of a command that names files.

    Attributes:
        mark: whether they are read or written.
        label: how the user names it: ``--output``, or ``OUTPUT``.
    """

    mark: Reads | Writes
    label: str


def shards(path: Path) -> list[Path]:
    """The files that a path means: itself, or those of ``data-{000..009}.tar``.

    Raises:
        UsageError: the range in braces is invalid.
    """
    if "{" not in str(path):
        return [path]
    from negah.data.formats.source import expand_braces  # a data set: this takes a moment

    return expand_braces(path)


READS_MODEL = Reads(_MODEL_FILES)
#: A file of captions; lists of parts and of clips are read beside some.
READS_CAPTIONS = Reads(
    beside=(
        "Flickr_8k.*Images.txt",
        "youtube_video_to_id_mapping.txt",
        "sents_*_lc_nopunc.txt",
    )
)
WRITES_FOLDER = Writes(OutputKind.FOLDER)

#: The meaning of a dash as an output.
_STANDARD_OUTPUT = Path("/dev/stdout")

_OutputState = tuple[int, int, int, int]
#: Outputs, with what is written there and their state.
_OutputStates = dict[Path, tuple[str, _OutputState | None]]

_current: ContextVar[Outputs | None] = ContextVar("outputs", default=None)


def outputs() -> Outputs:
    """Inputs and outputs of the command that runs; new ones where none does."""
    return _current.get() or Outputs()


def marked(function: Callable[..., Any]) -> dict[str, Marked]:
    """The parameters of a command that name files, by name."""
    found = {}
    for name, hint in typing.get_type_hints(function, include_extras=True).items():
        notes = getattr(hint, "__metadata__", ())
        for mark in notes:
            if isinstance(mark, Reads | Writes):
                found[name] = Marked(mark, label_of(name, notes))
    return found


def label_of(name: str, notes: Sequence[Any]) -> str:
    """How the user names a parameter: ``--output``, or the metavar of an argument."""
    for note in notes:
        if isinstance(note, ArgumentInfo):
            return note.metavar or name.upper()
        if isinstance(note, OptionInfo):
            # Typer keeps the first of the names as the default value
            for given in (note.default, *(note.param_decls or ())):
                if isinstance(given, str) and given.startswith("--"):
                    return given
    return f"--{name.replace('_', '-')}"


def guarded(function: Callable[..., Any]) -> Callable[..., Any]:
    """The command, run after its inputs and outputs have been registered."""
    parameters = marked(function)

    @functools.wraps(function)
    def run(**values: Any) -> Any:
        token = _current.set(None)
        before: _OutputStates = {}
        try:
            values = {
                name: _STANDARD_OUTPUT if _is_dash(parameters.get(name), value) else value
                for name, value in values.items()
            }
            _current.set(register(parameters, values))
            before = _outputs_now(parameters, values)
            with messages_only() if _takes_stdout(parameters, values) else nullcontext():
                return function(**values)
        except KeyboardInterrupt as interrupt:
            say(": ".join(("interrupted", *map(str, interrupt.args))))
            raise typer.Exit(130) from None
        finally:
            for path, (what, state) in _outputs_now(parameters, values).items():
                if path in before and state not in (None, before[path][1]):
                    say_written(path, what)
            _current.reset(token)

    return run


def say_written(path: Path, what: str) -> None:
    """Report a file or folder that the user named, and that has been written.

    Args:
        path: as the user named it.
        what: stands in it: "captions", "3 examples".
    """
    with suppress(OSError, ValueError):
        if find_target(path).is_stream:  # whoever reads it knows what comes there
            return
    say(f"written: {path}{os.sep * path.is_dir()} ({what})")


def _outputs_now(parameters: Mapping[str, Marked], values: Mapping[str, Any]) -> _OutputStates:
    """The outputs that :func:`guarded` reports, with the state in which they are now."""
    return {
        path: (one.mark.what, _state(path))
        for name, one in parameters.items()
        if isinstance(one.mark, Writes) and one.mark.what
        for path in _paths(values.get(name))
    }


def _state(path: Path) -> _OutputState | None:
    """What changes when a file is written, or a file in a folder; None where there is none."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _is_dash(parameter: Marked | None, value: Any) -> bool:
    """Whether an output is standard output, as a dash says."""
    return parameter is not None and isinstance(parameter.mark, Writes) and str(value) == "-"


def _takes_stdout(parameters: Mapping[str, Marked], values: Mapping[str, Any]) -> bool:
    """Whether an output goes to standard output, which then carries nothing else."""
    for name, one in parameters.items():
        if isinstance(one.mark, Writes):
            for path in _paths(values.get(name)):
                with suppress(OSError, ValueError):
                    if find_target(path).descriptor == 1:
                        return True
    return False


def register(parameters: Mapping[str, Marked], values: Mapping[str, Any]) -> Outputs:
    """Register what a command was given: first all inputs, then all outputs.

    Raises:
        UsageError: an output cannot be written, or is an input or another output.
    """
    found = Outputs()
    found.read_descriptor(0)
    for number, label in ((1, "standard output"), (2, "standard error")):
        found.write_descriptor(number, label)
    for name, one in parameters.items():
        if isinstance(one.mark, Reads):
            for path in _paths(values.get(name)):
                found.read(one.mark.files(path))
    for name, one in parameters.items():
        if isinstance(one.mark, Writes):
            for path in _paths(values.get(name)):
                label = f"{one.label} {path}"
                if one.mark.kind is not None:
                    found.write(path, label, one.mark.kind)
                elif not path.is_dir():
                    found.refuse_input(path, label)
    return found


def _paths(value: Any) -> list[Path]:
    """The paths that an option was given; a dash is standard input."""
    given = value if isinstance(value, list | tuple) else [value]
    return [Path(one) for one in given if one is not None and str(one) not in ("", "-")]
