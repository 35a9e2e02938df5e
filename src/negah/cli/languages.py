"""The option ``--language``: the language of captions."""

from __future__ import annotations

from typing import Annotated

import typer

Language = Annotated[
    str | None,
    typer.Option(
        "--language",
        metavar="CODE",
        help="Caption in this language, such as fa for Persian, with the bundled model of it.",
        show_default="en, or what the model captions in",
    ),
]
