"""Tables of a study as Markdown: of its measures, and of its facts by a declaration."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from negah.studies.measures import Measure, signed
from negah.studies.results import Results, estimate

#: What tables show where there is no number.
MISSING = "–"
_SPECIAL = re.compile(r"<[A-Z]+>")


@dataclass(frozen=True, slots=True)
class FactTable:
    """A table of the facts of a study, or more rows below a table of its measures.

    The cells are templates of :func:`filled`, as in ``("{words:,}", "{layers[GRU][ms]:.2f}")``.

    Attributes:
        name: of the table; where that is the name of another, the rows continue it.
        header: its titles.
        rows: of templates.
        each: the fact for each of whose items ``rows`` is repeated, filled from the item; the items
            of a mapping know their key as ``{name}``. "" fills ``rows`` once, from all facts.
        sparse: whether facts may be missing: their cells are "–", and rows and columns of nothing
            else are left out, so that a table without facts is empty. Titles are filled, too.
    """

    name: str
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    each: str = ""
    sparse: bool = False

    def text(self, facts: Mapping[str, Any]) -> str:
        """Markdown; rows alone where there is no header, "" for a sparse table without facts."""
        rows = self.cells(facts)
        if not self.sparse:
            return markdown(self.header, rows) if self.header else _table_rows(rows)
        rows = [row for row in rows if any(cell != MISSING for cell in row[1:])]
        if not rows:
            return ""
        header = [filled(title, facts, missing=MISSING) for title in self.header]
        columns = [
            column
            for column in range(len(header))
            if column == 0 or any(row[column] != MISSING for row in rows)
        ]
        shown = [[row[column] for column in columns] for row in [header, *rows]]
        return markdown(shown[0], shown[1:])

    def cells(self, facts: Mapping[str, Any]) -> list[list[str]]:
        """The rows, filled."""
        items = _items(facts, self.each)
        missing = MISSING if self.sparse else None
        return [
            [filled(cell, item, missing=missing) for cell in row]
            for item in items
            for row in self.rows
        ]


@dataclass(frozen=True, slots=True)
class FactSentence:
    """Sentences of a verdict that are filled from the facts.

    Attributes:
        text: a template of :func:`filled`.
        each: as in :class:`FactTable`.
    """

    text: str
    each: str = ""

    def sentences(self, facts: Mapping[str, Any]) -> list[str]:
        """One for each item."""
        return [filled(self.text, item) for item in _items(facts, self.each)]


def _items(facts: Mapping[str, Any], each: str) -> list[Mapping[str, Any]]:
    items: Any = facts[each] if each else [facts]
    if isinstance(items, Mapping):
        return [{"name": name, **item} for name, item in items.items()]
    return list(items)


class _Templates(string.Formatter):
    """Formats as :func:`filled` says."""

    def __init__(self, missing: str | None) -> None:
        self._missing = missing

    def get_field(self, field_name: str, args: Any, kwargs: Any) -> Any:
        """The fact of a field; None for one that may be missing."""
        try:
            return super().get_field(field_name, args, kwargs)
        except (LookupError, TypeError):
            if self._missing is None:
                raise
            return None, field_name

    def format_field(self, value: Any, format_spec: str) -> str:
        """As Python does, but for what is missing."""
        if value is None and self._missing is not None:
            return self._missing
        return str(super().format_field(value, format_spec))

    def convert_field(self, value: Any, conversion: Any) -> Any:
        """``!p`` in percent, ``!m`` in millions, ``!e`` an estimate, ``!i`` an interval."""
        if value is None and self._missing is not None:
            return None
        match conversion:
            case "i":
                return interval(value)
            case "p":
                return 100 * value
            case "m":
                return value / 1e6
            case "e":
                return estimate(value)
        return super().convert_field(value, conversion)


def interval(found: Sequence[float] | None) -> str:
    """``0.86 (0.82 to 0.89)``; chance and the like, which do not vary, alone."""
    if found is None:
        return MISSING
    value, low, high = found[:3]
    return f"{value:.2f}" if low == high else f"{value:.2f} ({low:.2f} to {high:.2f})"


def filled(template: str, facts: Mapping[str, Any], *, missing: str | None = None) -> str:
    """A template of :meth:`str.format` with facts in its fields.

    Beside Python's, there are the conversions ``!p``, a share in percent; ``!m``, in millions;
    ``!e``, of one value for each seed the :class:`~negah.studies.results.SeedEstimate`, whose
    format is its number of digits; and ``!i``, the :func:`interval` of a list.

    Args:
        template: with the fields.
        facts: of a study, or one item of them.
        missing: stands for a fact that there is not; None raises.

    Raises:
        LookupError, TypeError: there is no such fact.
    """
    return _Templates(missing).vformat(template, (), facts)


def measure_table(results: Results, columns: Sequence[Measure], compared: Measure | None) -> str:
    """A row for each variant that has one of the measures.

    Args:
        results: of the study.
        columns: those that no variant has are left out.
        compared: the last column tells its difference to the first variant; None for no such
            column.

    Returns:
        Markdown; "" where no variant has any of the measures.
    """
    columns = [one for one in columns if results.having(one.name)]
    if not columns:
        return ""
    variants = results.having(*(one.name for one in columns))
    first = results.variants[0]
    header = ["", *(one.title + (" (chance)" if one.chance else "") for one in columns)]
    rows = [[variant, *(one.text(results, variant) for one in columns)] for variant in variants]
    if compared in columns and len(results.variants) > 1:
        assert compared is not None
        header.append(f"{compared.title} against {first}")
        for row in rows:
            found = results.difference(row[0], first, compared.name)
            shown = row[0] != first and found is not None
            row.append(signed(found, compared.digits) if found and shown else "")
    return markdown(header, rows)


def fact_tables(tables: Iterable[FactTable], facts: Mapping[str, Any]) -> dict[str, str]:
    """Tables of facts by name; those without a header are rows alone."""
    found: dict[str, str] = {}
    for table in tables:
        text = table.text(facts)
        found[table.name] = f"{found[table.name]}\n{text}" if table.name in found else text
    return found


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; ``<UNK>`` and its like become code, as HTML would swallow them."""
    return _table_rows([header, ["---"] * len(header), *rows])


def _table_rows(rows: Sequence[Sequence[str]]) -> str:
    text = "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
    return _SPECIAL.sub(r"`\g<0>`", text)
