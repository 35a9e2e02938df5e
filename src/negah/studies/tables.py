"""Tables of a study as Markdown: of its measures, and of its facts by a declaration."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from negah.studies.measures import Measure, signed
from negah.studies.results import Results, estimate

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
    """

    name: str
    header: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()
    each: str = ""

    def cells(self, facts: Mapping[str, Any]) -> list[list[str]]:
        """The rows, filled."""
        items = _items(facts, self.each)
        return [[filled(cell, item) for cell in row] for item in items for row in self.rows]


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
    def convert_field(self, value: Any, conversion: Any) -> Any:
        """``!p`` in percent, ``!m`` in millions, ``!e`` the estimate of a value for each seed."""
        match conversion:
            case "p":
                return 100 * value
            case "m":
                return value / 1e6
            case "e":
                return estimate(value)
        return super().convert_field(value, conversion)


def filled(template: str, facts: Mapping[str, Any]) -> str:
    """A template of :meth:`str.format` with facts in its fields.

    Beside Python's, there are the conversions ``!p``, a share in percent; ``!m``, in millions; and
    ``!e``, of one value for each seed the :class:`~negah.studies.results.Estimate`, whose format is
    its number of digits.
    """
    return _Templates().vformat(template, (), facts)


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


def caption_table(results: Results, most: int = 3) -> str:
    """The first captions of each variant with the first seed, from ``captions`` of its extra."""
    rows = []
    for variant in results.variants:
        captions = results.cell(variant, results.seeds[0])["extra"].get("captions", {})
        if captions:
            rows.append([variant, *list(captions.values())[:most]])
    return markdown(["", *(f"photo {n}" for n in range(1, most + 1))], rows)


def fact_tables(tables: Iterable[FactTable], facts: Mapping[str, Any]) -> dict[str, str]:
    """Tables of facts by name; those without a header are rows alone."""
    found: dict[str, str] = {}
    for table in tables:
        rows = table.cells(facts)
        text = markdown(table.header, rows) if table.header else _lines(rows)
        found[table.name] = f"{found[table.name]}\n{text}" if table.name in found else text
    return found


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table; ``<UNK>`` and its like become code, as HTML would swallow them."""
    return _lines([header, ["---"] * len(header), *rows])


def _lines(rows: Sequence[Sequence[str]]) -> str:
    text = "\n".join("| " + " | ".join(cells) + " |" for cells in rows)
    return _SPECIAL.sub(r"`\g<0>`", text)
