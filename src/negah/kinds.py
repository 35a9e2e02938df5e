"""Registries of what a recipe selects by ``kind``, each kind with its own options class.

A kind is a factory whose first argument is its options. It is registered by a decorator that names
the options class::

    @CAPTIONERS.register("mean-gru", MeanGruOptions)
    class MeanGru(Captioner): ...

or, from another package, by an entry point in the registry's group that refers to the decorated
object. A section of a recipe is parsed by the options class of its kind.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from pydantic import BeforeValidator
from pydantic_core import PydanticCustomError

from negah.errors import UnknownNameError, UsageError
from negah.options import SENTENCE, Options
from negah.registry import Registry

Built = TypeVar("Built")
Factory = TypeVar("Factory", bound=Callable[..., Any])


class Kinds(Generic[Built]):
    """Factories and their options classes, by kind.

    Args:
        what: the name of such a thing in messages, in the singular ("captioner").
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
        """A decorator that registers a factory for a kind.

        Args:
            kind: as recipes name it.
            options: the class of its options, whose field ``kind`` is ``Literal[kind]`` with that
                as its default.

        Raises:
            UsageError: the kind is registered already, or the options are of another kind.
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

    @contextmanager
    def temporary(self) -> Iterator[None]:
        """See :meth:`negah.registry.Registry.temporary`."""
        before = dict(self._options)
        with self.registry.temporary():
            try:
                yield
            finally:
                self._options = before

    def parse(self, values: Any, *, where: str) -> Options:
        """Validate options by the options class of their kind.

        Args:
            values: names and values, including ``kind``; or only the name of a kind, for its
                defaults.
            where: their source, for messages.

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
                f"the {what} {kind!r} has no options class: decorate it with "
                f"register({kind!r}, OPTIONS)"
            )
        given = values if isinstance(values, Mapping) else {"kind": kind}
        return options_class.parse(given, where=where)

    def build(self, options: Options, *arguments: Any, **named: Any) -> Built:
        """Call the factory of the kind of ``options`` with them and further arguments."""
        return self.registry.get(options.kind)(options, *arguments, **named)  # type: ignore[attr-defined]

    def validator(self) -> BeforeValidator:
        """A validator for the annotation of a field that holds options of any kind.

        Use it with ``pydantic.SerializeAsAny``, so that all fields are serialised.
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
