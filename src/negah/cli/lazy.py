"""Commands that are imported when they are run, so that ``negah --help`` is quick.

A group has the names of its commands and a line of help for each; the module of a command is
imported only when the command is used.
"""

from __future__ import annotations

import gc
import importlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from negah.cli.streams import say
from negah.errors import UnknownNameError

#: Plain text, whatever the terminal: quick to print, easy to search and to paste.
PLAIN: dict[str, Any] = {"add_completion": False, "rich_markup_mode": None}
HELP_OPTIONS = {"help_option_names": ["-h", "--help"]}


@dataclass(frozen=True, slots=True)
class Command:
    """One command.

    Attributes:
        help: what it does, in a line.
        target: ``module:function``; the function's signature and docstring are the command's.
    """

    help: str
    target: str


@dataclass(frozen=True, slots=True)
class CommandGroup:
    """Commands under one name, as in ``negah data inspect``.

    Attributes:
        help: what they are for, in a line.
        commands: by name, in the order in which help shows them.
    """

    help: str
    commands: Mapping[str, Command | CommandGroup] = field(default_factory=dict)


def load_function(command: Command) -> Callable[..., None]:
    """Import the function behind a command."""
    module, _, function = command.target.partition(":")
    found: Callable[..., None] = getattr(importlib.import_module(module), function)
    return found


class RangedCommand(TyperCommand):
    """A command whose errors about numbers state the whole allowed range."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read the words of a command line.

        Raises:
            typer.BadParameter: one is wrong.
        """
        try:
            return super().parse_args(ctx, args)
        except typer.BadParameter as error:
            least, most = (getattr(error.param, name, None) for name in ("min", "max"))
            if least is not None and most is not None:
                error.message += f" (allowed: {least:g} to {most:g})"
            raise

    def invoke(self, ctx: Any) -> Any:
        """Run the command. What was imported until now stays, and is never searched for garbage."""
        gc.freeze()
        gc.enable()
        return super().invoke(ctx)


class LazyGroup(TyperGroup):
    """A Typer group that builds its commands on demand."""

    group: CommandGroup = CommandGroup("")

    def list_commands(self, ctx: Any) -> list[str]:
        """The names, in order."""
        return list(self.group.commands)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        """Import and build one command.

        Raises:
            UnknownNameError: there is none of that name.
        """
        command = self.group.commands.get(cmd_name)
        if command is None:
            raise UnknownNameError("command", cmd_name, self.group.commands)
        if isinstance(command, CommandGroup):
            return build_group(cmd_name, command)
        try:
            from negah.cli.paths import guarded

            function = load_function(command)
        except KeyboardInterrupt:  # importing takes a second, in which Ctrl-C may be pressed
            say("interrupted")
            raise typer.Exit(130) from None
        app = typer.Typer(**PLAIN, context_settings=HELP_OPTIONS)
        app.command(cmd_name, cls=RangedCommand)(guarded(function))
        return get_command(app)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """The list of commands in a help text; imports none of them."""
        with formatter.section("Commands"):
            rows = [(name, command.help) for name, command in self.group.commands.items()]
            formatter.write_dl(rows)


def build_group(
    name: str, group: CommandGroup, callback: Callable[..., None] | None = None
) -> TyperGroup:
    """A command that runs the commands of ``group``.

    Args:
        name: what it is called.
        group: its commands; its ``help`` is the help text unless ``callback`` has a docstring.
        callback: takes the options that stand before the command.
    """
    app = typer.Typer(
        **PLAIN,
        name=name,
        cls=LazyGroup,
        no_args_is_help=True,
        context_settings=HELP_OPTIONS,
        callback=callback if callback is not None else lambda: None,
        help=group.help if callback is None else callback.__doc__,
    )
    command = get_command(app)
    assert isinstance(command, LazyGroup)
    command.group = group
    return command
