"""Numbers in running text, each filled from the results of a study.

A page says where a number comes from in a comment that readers do not see::

    <!-- n: gru-gates | mean | GRU | cider_d -->40.1 ± 0.5<!-- /n -->
    <!-- n: gru-gates | difference | GRU without reset gate | GRU | cider_d -->−0.3 ± 0.9<!-- /n -->
    <!-- n: gru-gates | curve | GRU | recalled, % by delay | 20 | 1 -->93.6 ± 10.6<!-- /n -->
    <!-- n: output-layer | fact | counts.softmax.exponentials | 0 -->20<!-- /n -->

``photos`` in the place of ``difference`` gives the interval over photos and its p, where cells kept
what each photo adds. So no number in the documentation is typed by hand, and a new run renews them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from negah.errors import DataError
from negah.studies import STUDIES, find_study
from negah.studies.photos import over_photos
from negah.studies.results import Results, SeedEstimate, estimate
from negah.studies.study import signed

_NUMBER = re.compile(r"(<!-- n: (.*?) -->).*?(<!-- /n -->)", re.DOTALL)
_PERSIAN = str.maketrans("0123456789.,", "۰۱۲۳۴۵۶۷۸۹٫٬")


def renew_numbers(text: str, results: Mapping[str, Mapping[str, Any]], *, persian: bool) -> str:
    """``text`` with each of its numbers filled anew; those of studies without results stay.

    Args:
        text: of a page.
        results: of the studies, by name.
        persian: write Persian digits.

    Raises:
        DataError: a place names no number that the results have.
    """

    def fill(found: re.Match[str]) -> str:
        place = [part.strip() for part in found[2].split("|")]
        if place[0] in STUDIES and place[0] not in results:
            return found[0]
        number = _find(place, results)
        return found[1] + (number.translate(_PERSIAN) if persian else number) + found[3]

    return _NUMBER.sub(fill, text)


def without_numbers(text: str) -> str:
    """The text without the numbers that are filled in."""
    return _NUMBER.sub("", text)


def _find(place: list[str], results: Mapping[str, Mapping[str, Any]]) -> str:
    where = " | ".join(place)
    if len(place) < 2 or place[0] not in results:
        raise DataError(f"{where}: there is no study of that name.")
    name, how, *what = place
    found = Results(results[name])
    match how, what:
        case "mean", [variant, measure]:
            value, digits = (
                found.estimate(variant, measure),
                find_study(name).measure(measure).digits,
            )
            shown = None if value is None else value.text(digits)
        case "difference", [variant, against, measure]:
            value, digits = (
                found.difference(variant, against, measure),
                find_study(name).measure(measure).digits,
            )
            shown = None if value is None else signed(value, digits)
        case "photos", [variant, against, measure]:
            one = over_photos(
                found, variant, against, measure, find_study(name).measure(measure).digits
            )
            shown = None if one is None else one.text
        case "curve", [variant, curve, x, digits_text]:
            at = found.at(variant, curve, float(x)) if variant in found.variants else []
            shown = estimate(at).text(int(digits_text)) if at else None
        case "fact", [path, digits_text]:
            fact = _at(found.facts, path)
            shown = None if fact is None else SeedEstimate(fact, None).text(int(digits_text))
        case _:
            raise DataError(
                f"{where}: a number is 'STUDY | mean | VARIANT | MEASURE', 'STUDY | difference | "
                "VARIANT | AGAINST | MEASURE', 'STUDY | photos | VARIANT | AGAINST | MEASURE', "
                "'STUDY | curve | VARIANT | CURVE | X | DIGITS' or 'STUDY | fact | PATH | DIGITS'."
            )
    if shown is None:
        raise DataError(f"{where}: the results have no such number.")
    return str(shown)


def _at(facts: Mapping[str, Any], path: str) -> float | None:
    value: Any = facts
    for part in path.split("."):
        if isinstance(value, list):
            value = value[int(part)] if part.isdigit() and int(part) < len(value) else None
        else:
            value = value.get(part) if isinstance(value, Mapping) else None
    return value if isinstance(value, int | float) else None
