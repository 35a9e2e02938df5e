"""The arguments and options that name a model."""

from __future__ import annotations

from typing import Annotated

import typer

from negah.cli.paths import READS_MODEL

ANY_MODEL = (
    "A bundled model, the folder of a bundle, of a training run or of a Hugging Face captioner, or "
    "hf:ORG/NAME."
)

ModelArgument = Annotated[
    str, typer.Argument(metavar="MODEL", help=ANY_MODEL, show_default=False), READS_MODEL
]
ModelOption = Annotated[
    str | None,
    typer.Option("--model", metavar="MODEL", help=ANY_MODEL, show_default="the bundled ones"),
    READS_MODEL,
]
