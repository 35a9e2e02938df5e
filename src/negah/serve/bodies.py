"""JSON bodies -> validated requests, with a single error for all problems."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from negah.serve.problems import RefusedError

Body = TypeVar("Body", bound="JsonBody")

_MOST_COMPLAINTS = 5


class JsonBody(BaseModel):
    """Base of JSON requests; unknown fields are kept separately and not refused."""

    model_config = ConfigDict(extra="allow", frozen=True, strict=True)

    def ignored(self, *fields: str, options: Iterable[str] = ()) -> dict[str, str]:
        """A header that names the ignored fields.

        Args:
            fields: of those that the class names, the ones that it does not heed either.
            options: names of options that are not heeded.
        """
        set_fields = [name for name in fields if name in self.model_fields_set]
        names = sorted({*set_fields, *(self.model_extra or {}), *options})
        # names come from outside, and this is a header
        plain = [name for name in names if name.isascii() and name.isidentifier()][:32]
        return {"X-Negah-Ignored": ", ".join(plain)[:1000]} if plain else {}


def read_json(kind: type[Body], body: bytes) -> Body:
    """Read a request.

    Raises:
        RefusedError: it is not JSON (400), or not a valid request (422).
    """
    try:
        values = json.loads(body)
    except RecursionError:
        raise RefusedError(400, "the body is nested too deeply") from None
    except ValueError as error:  # also text that is no Unicode
        raise RefusedError(400, f"the body is no valid JSON: {str(error)[:200]}") from None
    try:
        return kind.model_validate(values)
    except ValidationError as error:
        raise RefusedError(422, _explain(error)) from None


def _explain(error: ValidationError) -> str:
    """The problems and their locations, without quoting the request."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    lines = []
    for item in found[:_MOST_COMPLAINTS]:
        path = ".".join(str(part)[:64] for part in item["loc"])
        lines.append(f"{path}: {item['msg'][:200]}" if path else item["msg"][:200])
    if len(found) > _MOST_COMPLAINTS:
        lines.append(f"and {len(found) - _MOST_COMPLAINTS} more")
    return "; ".join(lines)
