"""Registries: implementations by name, from this package or from others.

Every extension point (backends, metrics, data formats, captioners, encoders, objectives) has one
registry. An implementation is registered in one of three ways: by the table of this package, which
is imported on demand; by the decorator :meth:`Registry.register`; or by an entry point of another
installed package, in the registry's group, as ``docs/extending.md`` shows.
"""

from __future__ import annotations

import importlib
import importlib.metadata
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Generic, TypeVar

from negah.errors import UnknownNameError, UsageError

Item = TypeVar("Item")


class Registry(Generic[Item]):
    """Implementations of one extension point by name.

    Args:
        kind: the name of such an implementation in messages, in the singular ("metric").
        group: of the entry points of other packages ("negah.metrics").
        table: of this package: name -> ``module:attribute``, imported at first use.
    """

    def __init__(self, kind: str, group: str, table: Mapping[str, str] | None = None) -> None:
        self.kind = kind
        self.group = group
        self._table = dict(table or {})
        self._loaded: dict[str, Item] = {}

    def register(self, name: str, item: Item | None = None) -> Any:
        """Register an implementation under a name; without ``item``, a decorator.

        Raises:
            UsageError: the name is taken.
        """

        def put(item: Item) -> Item:
            taken = self._loaded.get(name, item) is not item or (
                name in self._table and not _is_from(self._table[name], item)
            )
            if taken:
                raise UsageError(
                    f"there is already a {self.kind} called {name!r}: choose another name"
                )
            self._loaded[name] = item
            return item

        return put if item is None else put(item)

    @contextmanager
    def temporary(self) -> Iterator[None]:
        """Context manager at whose end all registrations made within it are forgotten.

        For tests and notebooks, which define an implementation of their own more than once.
        """
        before = dict(self._loaded)
        try:
            yield
        finally:
            self._loaded = before

    def names(self) -> list[str]:
        """The names of this package in the order of its table, then those of other packages."""
        others = {*self._loaded, *self._entry_points()} - self._table.keys()
        return [*self._table, *sorted(others)]

    def __contains__(self, name: object) -> bool:
        return any(name == known for known in self)

    def __iter__(self) -> Iterator[str]:
        # installed packages are searched only if the table does not have the name
        yield from self._table
        yield from self.names()[len(self._table) :]

    def get(self, name: str) -> Item:
        """The implementation registered under a name.

        Raises:
            UnknownNameError: the name is not registered.
            UsageError: the implementation of another package cannot be imported.
        """
        if name not in self._loaded:
            if name in self._table:
                self._loaded[name] = _resolve(self._table[name])
            else:
                points = self._entry_points().get(name)
                if points is None:
                    raise UnknownNameError(self.kind, name, self.names(), self.group)
                self._loaded[name] = self._load(points)
        return self._loaded[name]

    def _load(self, points: list[importlib.metadata.EntryPoint]) -> Item:
        point = points[0]
        if len({other.value for other in points}) > 1:
            owners = " and ".join(other.dist.name if other.dist else "?" for other in points)
            raise UsageError(
                f"the packages {owners} both have a {self.kind} called {point.name!r}: remove one"
            )
        try:
            item: Item = point.load()
        except Exception as error:  # code of another package may raise anything
            owner = point.dist.name if point.dist else point.value
            raise UsageError(
                f"the {self.kind} {point.name!r} of package {owner} cannot be imported "
                f"({type(error).__name__}: {error}): fix or remove that package"
            ) from error
        return item

    def _entry_points(self) -> dict[str, list[importlib.metadata.EntryPoint]]:
        found: dict[str, list[importlib.metadata.EntryPoint]] = {}
        for point in importlib.metadata.entry_points(group=self.group):
            if point.name not in self._table:
                found.setdefault(point.name, []).append(point)
        return found


def _resolve(target: str) -> Any:
    module, _, attribute = target.partition(":")
    return getattr(importlib.import_module(module), attribute)


def _is_from(target: str, item: Callable[..., Any] | Any) -> bool:
    """Whether a decorated item is the one named in the table."""
    module, _, attribute = target.partition(":")
    return (getattr(item, "__module__", None), getattr(item, "__qualname__", None)) == (
        module,
        attribute,
    )
