"""The option ``--language``: the language of captions."""

from __future__ import annotations

from typing import Annotated

import typer

LanguageOption = Annotated[
    str | None,
    typer.Option(
        "--language",
        metavar="CODE",
        help="Language of the captions, such as fa for Persian; selects its bundled model.",
        show_default="en, or the language of the model",
    ),
]
