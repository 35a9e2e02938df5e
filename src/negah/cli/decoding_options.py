"""The option ``--decoding``: how captions are searched, beside a command's own options."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer

from negah.errors import UsageError

DecodingPairs = Annotated[
    list[str] | None,
    typer.Option(
        "--decoding",
        metavar="OPTION=VALUE",
        help="A decoding option, such as length_normalisation=0.5 or support=1; may be given "
        "several times.",
        show_default="the model's choice",
    ),
]


def decoding_values(given: Sequence[str] | None) -> dict[str, Any]:
    """``OPTION=VALUE`` pairs as decoding options; the values are read as YAML.

    Raises:
        UsageError: one is no such pair.
    """
    if not given:
        return {}
    from negah.yaml_core import YamlError, read_yaml

    values = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        if not equals or not name:
            raise UsageError(f"--decoding {pair!r}: write OPTION=VALUE, for example beam=5")
        try:
            values[name] = read_yaml(text)
        except YamlError:
            raise UsageError(f"--decoding {pair!r}: the value is not valid YAML") from None
    return values
