"""The base of every options class: frozen, typed, and strict about unknown keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, ValidationError

from negah.errors import UnknownNameError, UsageError

#: Type of validation errors whose message is a complete sentence, including the given value.
SENTENCE = "sentence"


class Options(BaseModel):
    """Options of one component.

    Instances are immutable. Build one from code with keywords, or from data
    (YAML, JSON, the command line) with :meth:`parse`, which turns every
    complaint into one :class:`~negah.errors.UsageError` that names the key,
    what was given and what is allowed.
    """

    # validators are built at first use: many options classes are imported and never used
    model_config = ConfigDict(frozen=True, extra="forbid", validate_default=True, defer_build=True)

    @classmethod
    def parse(cls, values: Mapping[str, Any], *, where: str) -> Self:
        """Validate ``values`` together.

        Args:
            values: option names and values, as read from a file or the command line.
            where: their source, for messages ("recipe cam-rnn").

        Raises:
            UsageError: an unknown key, a wrong type, or a contradiction.
        """
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise UsageError(f"{where}: {_explain(cls, error)}") from None


def _explain(cls: type[Options], error: ValidationError) -> str:
    sentences = []
    for item in error.errors():
        path = ".".join(str(part) for part in item["loc"])
        if item["type"] == "extra_forbidden":
            known = _fields_at(cls, item["loc"][:-1])
            sentences.append(str(UnknownNameError("option", path, known)))
        elif item["type"] == SENTENCE:
            sentences.append(f"{path}: {item['msg']}")
        else:
            message = item["msg"].removeprefix("Value error, ")
            given = "" if item["type"] == "missing" else f" (given: {item['input']!r})"
            sentences.append(f"{path}: {message}{given}" if path else message)
    return "; ".join(sentences)


def _fields_at(cls: type[BaseModel], path: tuple[int | str, ...]) -> list[str]:
    """The field names that are allowed at ``path``, prefixed with that path."""
    current: type[BaseModel] = cls
    for part in path:
        field = current.model_fields.get(str(part))
        annotation = field.annotation if field else None
        if not (isinstance(annotation, type) and issubclass(annotation, BaseModel)):
            return []
        current = annotation
    prefix = "".join(f"{part}." for part in path)
    return [prefix + name for name in current.model_fields]
