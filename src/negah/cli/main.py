"""The ``negah`` command: its subcommands, exit codes and error messages.

Exit codes: 0 success; 1 something failed, and the message says what; 2 wrong usage; 130 interrupted
with Ctrl-C.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from negah import __version__
from negah.cli.lazy import Command, CommandGroup, build_group
from negah.cli.streams import say, standard_streams
from negah.errors import MissingExtraError, NegahError, OutputError, UsageError
from negah.extras import EXTRAS

COMMANDS = CommandGroup(
    "Captions for photos and clips, and where each word comes from.",
    {
        "caption": Command("Caption photos and clips.", "negah.cli.caption:caption"),
        "explain": Command(
            "Show which place of the picture each word comes from.", "negah.cli.explain:explain"
        ),
        "apply": Command(
            "Write corrected captions to sidecars or metadata.", "negah.cli.apply:apply"
        ),
        "serve": Command(
            "Serve captions over HTTP, with a page for browsers.", "negah.cli.serve:serve"
        ),
        "train": Command("Train a captioner on captioned photos.", "negah.cli.train:train"),
        "evaluate": Command("Score a model on captioned photos.", "negah.cli.evaluate:evaluate"),
        "score": Command("Score captions against human references.", "negah.cli.score:score"),
        "rerank": Command("Fit the reranking of a beam's captions.", "negah.cli.rerank:rerank"),
        "tune": Command("Choose decoding options on held-out photos.", "negah.cli.tune:tune"),
        "calibrate": Command(
            "Calibrate a model's seen and confidence.", "negah.cli.calibrate:calibrate"
        ),
        "export": Command("Turn a training run into a bundle.", "negah.cli.export:export"),
        "diagnose": Command("Diagnose a model and suggest changes.", "negah.cli.diagnose:diagnose"),
        "study": Command("Repeat an experiment on the models.", "negah.cli.study:study"),
        "data": CommandGroup(
            "Inspect and prepare captioned data sets.",
            {
                "inspect": Command("Summarise a data set and check it.", "negah.cli.data:inspect"),
                "features": Command(
                    "Compute the image features of a data set.", "negah.cli.data:features"
                ),
                "convert": Command(
                    "Write a data set in another format.", "negah.cli.convert:convert"
                ),
                "synth": Command(
                    "Make synthetic clips with known captions.", "negah.cli.synth:synth"
                ),
                "restyle": Command(
                    "Caption photos in the style of other sentences.", "negah.cli.restyle:restyle"
                ),
                "storyboards": Command(
                    "Match descriptions of clips with photos.",
                    "negah.cli.storyboards:storyboards",
                ),
            },
        ),
    },
)


def run(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: what stands behind ``negah``; None for those of this process.

    Returns:
        The exit code; see the module's docstring.
    """
    try:
        with standard_streams():
            return _run(arguments)
    except OutputError as error:  # flush the rest of the buffer of standard output
        return _fail(error)


def _run(arguments: Sequence[str] | None) -> int:
    try:
        build_group("negah", COMMANDS, _negah).main(
            args=None if arguments is None else list(arguments), prog_name="negah"
        )
    except SystemExit as stop:
        return stop.code if isinstance(stop.code, int) else int(stop.code is not None)
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    except ModuleNotFoundError as error:
        module = (error.name or "").partition(".")[0]
        if module not in EXTRAS:
            raise
        return _fail(MissingExtraError(module, "this command"))
    except NegahError as error:
        return _fail(error)
    except ImportError as error:
        # Raised by C modules if Ctrl-C is pressed while they are imported.
        if not isinstance(error.__cause__ or error.__context__, KeyboardInterrupt):
            raise
        say("interrupted")
        return 130
    except OSError as error:
        # A disk that is full or gone: the system's message is sufficient.
        named = f"{error.filename}: " if error.filename else ""
        return _fail(NegahError(f"{named}{error.strerror or error}"))
    return 0


def _fail(error: NegahError) -> int:
    say(f"negah: {error}")
    return 2 if isinstance(error, UsageError) else 1


def _show_version(value: bool) -> None:
    if value:
        print(f"negah {__version__}")
        raise typer.Exit


def _negah(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Captions for photos and clips, and where each word comes from.

    \b
    negah caption photo.jpg
    negah caption holiday/ --recursive --sidecar
    negah explain photo.jpg -o photo.html
    negah COMMAND --help
    """
