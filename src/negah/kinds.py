"""Kinds of things that a recipe chooses by ``kind``, each with an options class of its own.

A kind is a factory whose first argument are its options. It is registered by a decorator that
names the class of them::

    @CAPTIONERS.register("mean-gru", MeanGruOptions)
    class MeanGru(Captioner): ...

or, from another package, by an entry point in the registry's group that leads to what was
decorated. The section of a recipe is then read by the options class of the kind that it names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from negah.errors import UnknownNameError, UsageError
from negah.options import SENTENCE, Options
from negah.registry import Registry

Built = TypeVar("Built")
Factory = TypeVar("Factory", bound=Callable[..., Any])


class Kinds(Generic[Built]):
    """Factories of one sort of thing, with their options, by kind.

    Args:
        what: a kind stands for, in the singular and for messages ("captioner").
        group: of the entry points of other packages ("negah.captioners").
        table: of this package: kind -> ``module:attribute``.
    """

    def __init__(self, what: str, group: str, table: Mapping[str, str]) -> None:
        self.registry: Registry[Callable[..., Built]] = Registry(what, group, table)
        # filled by the decorator, which runs when the registry imports a factory's module
        self._options: dict[str, type[Options]] = {}

    def __iter__(self) -> Iterator[str]:
        return iter(self.registry)

    def register(self, kind: str, options: type[Options]) -> Callable[[Factory], Factory]:
        """A decorator that puts a factory behind a kind.

        Args:
            kind: as recipes name it.
            options: the class of its options, whose field ``kind`` is ``Literal[kind]`` with that
                as its default.

        Raises:
            UsageError: another factory has the kind, or the options are not of it.
        """
        field = options.model_fields.get("kind")
        if field is None or field.default != kind:
            raise UsageError(
                f"{options.__name__} are the options of the {self.registry.kind} {kind!r}, so "
                f"they need the field  kind: Literal[{kind!r}] = {kind!r}"
            )

        def put(factory: Factory) -> Factory:
            self.registry.register(kind, factory)
            self._options[kind] = options
            return factory

        return put

    def parse(self, values: Any, *, where: str) -> Options:
        """Validate the options of the kind that they name.

        Args:
            values: names and values with ``kind`` among them, or the name of a kind alone, whose
                defaults are then taken.
            where: they stand, for messages.

        Raises:
            UnknownNameError: a kind that is not registered.
            UsageError: an unknown key, a wrong value, a contradiction.
        """
        what = self.registry.kind
        kind = values.get("kind") if isinstance(values, Mapping) else values
        if not isinstance(kind, str):
            raise UsageError(f"{where}: needs kind: one of {', '.join(sorted(self))}")
        self.registry.get(kind)
        options_class = self._options.get(kind)
        if options_class is None:
            raise UsageError(
                f"the {what} {kind!r} has no options class: it has to be decorated with "
                f"register({kind!r}, OPTIONS)"
            )
        given = values if isinstance(values, Mapping) else {"kind": kind}
        return options_class.parse(given, where=where)

    def build(self, options: Options, *arguments: Any, **named: Any) -> Built:
        """What the kind of ``options`` makes of them and of further arguments."""
        return self.registry.get(options.kind)(options, *arguments, **named)  # type: ignore[attr-defined]

    def validator(self) -> BeforeValidator:
        """For the annotation of a field that holds the options of any kind.

        Together with ``pydantic.SerializeAsAny``, so that all of them are written.
        """

        def read(values: Any) -> Options:
            if isinstance(values, Options):
                return values
            try:
                return self.parse(values, where="")
            except UnknownNameError:
                raise
            except UsageError as error:
                text = str(error).removeprefix(": ")
                raise PydanticCustomError(SENTENCE, "{text}", {"text": text}) from None

        return BeforeValidator(read)
