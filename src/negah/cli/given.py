"""Which options of a command were given, so that a mode of it can refuse what it does not know."""

from __future__ import annotations

from typing import Any

import typer


def given_options(context: typer.Context) -> dict[str, str]:
    """The options that stand on the command line: how a user calls each, by its parameter."""
    return {
        parameter.name: _label(parameter)
        for parameter in context.command.params
        if parameter.name is not None and _is_given(context, parameter.name)
    }


def _is_given(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _label(parameter: Any) -> str:
    """``--output`` of ``-o`` and ``--output``."""
    return next((name for name in parameter.opts if name.startswith("--")), str(parameter.name))
