"""The page of a study: the parts of ``docs/studies/NAME.md`` that are made from the numbers.

They stand between ``<!-- made: NAME -->`` and ``<!-- end -->``; what people wrote around them
stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from negah.errors import DataError
from negah.studies.results import Results
from negah.studies.study import Study

_MADE = re.compile(r"(<!-- made: ([\w-]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def made_parts(study: Study, results: Mapping[str, Any]) -> dict[str, str]:
    """Every part by name: ``setting``, the tables, and ``verdicts``."""
    sentences = "\n".join(f"- {sentence}" for sentence in results["verdicts"])
    return {
        "setting": setting(results),
        **study.tables(Results(results)),
        "verdicts": sentences,
    }


def renew(text: str, parts: Mapping[str, str]) -> str:
    """``text`` with each of its made parts made again.

    Raises:
        DataError: it names a part that is none.
    """
    unknown = {found[2] for found in _MADE.finditer(text)} - set(parts)
    if unknown:
        raise DataError(
            f"the page has made parts that the study does not make: {', '.join(sorted(unknown))}. "
            f"It makes: {', '.join(parts)}."
        )
    return _MADE.sub(lambda found: f"{found[1]}{parts[found[2]]}\n{found[3]}", text)


def written_text(text: str) -> str:
    """The page without its made parts: what people wrote."""
    return _MADE.sub("", text)


def setting(results: Mapping[str, Any]) -> str:
    """How much of everything, as a sentence."""
    values = {name: value for name, value in results["options"].items() if name != "seeds"}
    seeds = results["options"]["seeds"]
    listed = "; ".join(f"{name} {_printed(value)}" for name, value in _flat(values).items())
    made = results["environment"]
    signatures = "; ".join(f"`{signature}`" for signature in results.get("signatures", {}).values())
    measured = f" Metrics: {signatures}." if signatures else ""
    return (
        f"Seeds {', '.join(map(str, seeds))}; {listed}. Negah {made['negah']}, PyTorch "
        f"{made['torch']}, Python {made['python']}, {made['machine']}.{measured}"
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        if isinstance(value, Mapping):
            found |= _flat(value, f"{prefix}{name}.")
        else:
            found[f"{prefix}{name}".replace("_", " ")] = value
    return found


def _printed(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(_printed, value))
    if isinstance(value, float):
        return f"{value:g}"
    return f"{value:,}" if isinstance(value, int) else str(value)
