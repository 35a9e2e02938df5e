"""``negah serve``: captions over HTTP, on this machine unless told otherwise."""

from __future__ import annotations

import os
import re
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from negah.cli.calibration_option import READS_CALIBRATION
from negah.cli.compute import share_heap
from negah.cli.limits import MaxPixels
from negah.cli.paths import READS_MODEL, Reads
from negah.cli.streams import say
from negah.errors import UnknownNameError, UsageError
from negah.interrupt import Interrupt
from negah.text.languages import DEFAULT

#: The name of the bundled models, photos by one and clips by the other.
_BUNDLED = "negah"
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}")
_TOKEN_VARIABLE = "NEGAH_TOKEN"


def serve(
    model: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]MODEL",
            help="Serve this model, under this name; may be given several times. The first is used "
            "for requests that name none.",
            show_default="negah: the bundled models",
        ),
        READS_MODEL,
    ] = None,
    language: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CODE",
            help="Serve the bundled models of this language, such as fa; may be given several "
            "times. The first is used for requests that name none.",
            show_default="en",
        ),
    ] = None,
    calibration: Annotated[
        list[str] | None,
        typer.Option(
            metavar="[NAME=]FOLDER",
            help="Calibration of a served model from negah calibrate.",
            show_default="those in the bundles, if any",
        ),
        READS_CALIBRATION,
    ] = None,
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Listen on this address; 0.0.0.0 for all.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port; 0 for any free port.")
    ] = 8484,
    token_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Answer only clients that send the token in this file (Authorization: Bearer).",
            show_default=f"the variable {_TOKEN_VARIABLE}",
        ),
        Reads(),
    ] = None,
    allow_anyone: Annotated[
        bool, typer.Option("--allow-anyone", help="Accept other machines without a token.")
    ] = False,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(
            metavar="URL",
            help="Accept requests from this origin, such as https://photos.example (CORS).",
            show_default=False,
        ),
    ] = None,
    max_bytes: Annotated[
        int, typer.Option(min=1024, metavar="N", help="Maximum size of a request body in bytes.")
    ] = 64 * 2**20,
    max_pixels: MaxPixels = 64_000_000,
    max_seconds: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Maximum length of a clip.")
    ] = 600.0,
    timeout: Annotated[
        float, typer.Option(min=0.1, metavar="SECONDS", help="Maximum time for an answer.")
    ] = 120.0,
    queue: Annotated[
        int,
        typer.Option(min=1, max=10_000, metavar="N", help="Maximum number of pending requests."),
    ] = 128,
    batch_size: Annotated[
        int, typer.Option(min=1, max=1024, metavar="N", help="Photos captioned together.")
    ] = 16,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=256,
            metavar="N",
            help="Batches captioned in parallel, one core each.",
            show_default="one for each core",
        ),
    ] = None,
) -> None:
    """Serve captions over HTTP: a web page, and interfaces of Ollama, OpenAI and PhotoPrism.

    By default only this machine can connect. Uploads are not stored, and nothing is fetched.
    Ctrl-C or SIGTERM stops the service once all accepted requests are answered; a second one
    stops it at once.

    \b
    negah serve
    negah serve --model negah-photo --model mine=runs/cam-rnn/bundle
    negah serve --language en --language fa
    negah serve --host 0.0.0.0 --token-file token.txt
    curl -F file=@photo.jpg http://127.0.0.1:8484/v1/captions

    Exit code: 0 stopped, 1 a model cannot be opened, 2 wrong usage, 130 stopped at once.
    """
    from negah.runtime import CaptionerSpec, RuntimeOptions
    from negah.serve.app import build_app
    from negah.serve.options import RequestLimits, ServeOptions
    from negah.serve.server import Server

    limits = RequestLimits(
        body_bytes=max_bytes,
        held_bytes=max(RequestLimits().held_bytes, 2 * max_bytes),
        requests=queue,
        pixels=max_pixels,
        clip_seconds=max_seconds,
        seconds=timeout,
    )
    options = ServeOptions.parse(
        {
            "host": host,
            "port": port,
            "token": _token(token_file),
            "allow_anyone": allow_anyone,
            "origins": tuple(allow_origin or ()),
            "limits": limits,
        },
        where="negah serve",
    )
    bundled = CaptionerSpec(
        run=RuntimeOptions(threads=threads, batch_size=batch_size, max_pixels=max_pixels)
    )
    if language and (model or calibration):
        raise UsageError(
            "--language names the bundled models of a language, and a model that --model names "
            "captions in its own: leave one of them out"
        )
    sources = _models_by_name(model or [])
    calibrations = named_calibrations(calibration or [], sources)
    specs = {
        name: replace(bundled, model=source).with_run(calibration=calibrations.get(name))
        for name, source in sources.items()
    }
    if language:
        specs = {
            _BUNDLED if code == DEFAULT else f"{_BUNDLED}-{code}": bundled.with_run(language=code)
            for code in language
        }
    share_heap()
    captioners = {name: spec.open() for name, spec in specs.items()}
    for captioner in captioners.values():
        for clips in (False, True):
            captioner.check(clips=clips)
    server = Server(build_app(captioners, options), options)
    say(f"{', '.join(captioners)} at {server.url} (Ctrl-C stops it)")
    with Interrupt(server.stop):
        server.run()
    say("stopped")


def _models_by_name(given: list[str]) -> dict[str, str | None]:
    """Models by name.

    Raises:
        UsageError: a name is no name, or is given twice.
    """
    if not given:
        return {_BUNDLED: None}
    found: dict[str, str | None] = {}
    for one in given:
        name, equals, source = one.partition("=")
        if not equals or Path(one).exists():
            source = one
            name = one if one.startswith("hf:") else Path(one).name
        if not source or _NAME.fullmatch(name) is None:
            raise UsageError(
                f"--model {one!r}: write MODEL or NAME=MODEL, with a name of letters, digits and "
                ". _ : / -"
            )
        if name in found:
            raise UsageError(f"--model: two are called {name!r}; write NAME=MODEL for one of them")
        found[name] = source
    return found


def named_calibrations(given: list[str], models: Collection[str]) -> dict[str, str]:
    """Folders of calibrations, by the names of the models that they are of.

    Raises:
        UsageError: it is not told of which model one is, or two are of one.
    """
    found: dict[str, str] = {}
    for one in given:
        name, equals, folder = one.partition("=")
        if not equals or Path(one).exists():
            name, folder = next(iter(models)), one
            if len(models) > 1:
                raise UsageError(
                    f"--calibration {one}: write NAME=FOLDER, with the name of one of the models "
                    f"that are served: {', '.join(models)}"
                )
        if name not in models:
            raise UnknownNameError("served model", name, models)
        if name in found:
            raise UsageError(f"--calibration: two are of the model {name!r}; leave one out")
        found[name] = folder
    return found


def _token(file: Path | None) -> str | None:
    """The token that clients must send; None for none.

    Raises:
        UsageError: the file cannot be read, or holds no token.
    """
    if file is None:
        return os.environ.get(_TOKEN_VARIABLE) or None
    try:
        token = file.read_text(encoding="ascii").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not ASCII text"
        raise UsageError(f"--token-file {file}: {reason}") from None
    if len(token.split()) != 1:
        raise UsageError(f"--token-file {file}: it holds one word, the token, and nothing else")
    return token
