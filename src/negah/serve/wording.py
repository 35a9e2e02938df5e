"""Captions as JSON: a description, a short title, keywords.

Prompts are not interpreted. JSON is returned if the format of the request or the word JSON in its
prompt asks for it, with the keys in the schema or named in the prompt.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from negah.captions import Caption
from negah.text.languages import DEFAULT, language_of
from negah.text.pieces import spelled

#: What keys stand for the caption, and which for its title and its keywords.
_DESCRIPTION = frozenset(
    {"alt", "alt_text", "alttext", "caption", "content", "description", "desc", "sentence"}
    | {"summary", "text"}
)
_TITLE = frozenset({"headline", "name", "subject", "title"})
_KEYWORDS = frozenset({"categories", "keywords", "labels", "objects", "tags"})

_TITLE_WORDS = 6
_UNASKED = ("title", "description", "keywords")
_EMPTY: Mapping[str, Any] = {
    "string": "", "number": 0, "integer": 0, "boolean": False, "array": [], "object": {},
}  # fmt: skip


def title_of(caption: Caption) -> str:
    """A short title: the first words of the caption, without a leading article or broken end."""
    words = caption.text.split()
    if caption.language == DEFAULT and len(words) > 1 and words[0].lower() in ("a", "an", "the"):
        words = words[1:]
    cut = words[:_TITLE_WORDS]
    while len(cut) > 1 and cut[-1].lower() in language_of(caption.language).open_words:
        cut.pop()
    title = " ".join(cut).rstrip(" .,")
    return title[:1].upper() + title[1:]


def keywords_of(captions: Iterable[Caption]) -> list[str]:
    """The content words of captions, in order, each once; if calibrated, only seen ones."""
    return list(dict.fromkeys(word for caption in captions for word in _keywords(caption)))


def _keywords(caption: Caption) -> list[str]:
    if caption.confidence is None:
        is_visible = language_of(caption.language).is_visible
        return [word for word in caption.text.lower().split() if is_visible(word)]
    whole = spelled([word.text for word in caption.words], caption.text)
    words = ((word.text.lower(), caption.words[word.first]) for word in whole)
    return [text for text, first in words if first.seen is not None and not first.doubtful]


def text_of(captions: list[Caption], form: Any, prompt: str) -> str:
    """The answer of a chat: one caption per line, or a JSON object.

    Args:
        captions: of the pictures of one request.
        form: see :func:`wants_json`.
        prompt: likewise.
    """
    if wants_json(form, prompt):
        return as_json(captions, form, prompt)
    return "\n".join(caption.text for caption in captions)


def pieces_of(text: str) -> list[str]:
    """A text in pieces of one word for streaming; joined, they are the text."""
    words = text.split(" ")
    return [word if number == 0 else f" {word}" for number, word in enumerate(words)]


def wants_json(form: Any, prompt: str) -> bool:
    """Whether the answer should be JSON.

    Args:
        form: ``format`` of Ollama; the type or the schema of OpenAI's ``response_format``.
        prompt: all text of the request.
    """
    if isinstance(form, str) and form:
        return form.startswith("json")
    if isinstance(form, Mapping):
        return form.get("type") not in ("text", None) or "properties" in form
    return re.search(r"\bjson\b", prompt, re.IGNORECASE) is not None


def as_json(captions: list[Caption], schema: Any, prompt: str) -> str:
    """Captions as one JSON object.

    Args:
        captions: of the pictures of one request.
        schema: a JSON schema whose ``properties`` are the keys; None if not given.
        prompt: without a schema, its text names the keys.

    Returns:
        An object; unknown keys are empty values of their type.
    """
    properties = schema.get("properties") if isinstance(schema, Mapping) else None
    if isinstance(properties, Mapping) and properties:
        known = {str(name): _type_of(kind) for name, kind in properties.items()}
    else:
        known = dict.fromkeys(_named_in(prompt) or _UNASKED, "")
    return json.dumps({name: _value(name, kind, captions) for name, kind in known.items()})


def _type_of(schema: Any) -> str:
    kind = schema.get("type", "") if isinstance(schema, Mapping) else ""
    if isinstance(kind, list):
        kind = next((one for one in kind if one != "null"), "")
    return kind if isinstance(kind, str) else ""


def _named_in(prompt: str) -> list[str]:
    words = re.findall(r"[a-z_]+", prompt.lower())
    known = _DESCRIPTION - {"text", "content"} | _TITLE - {"name", "subject"} | _KEYWORDS
    return list(dict.fromkeys(word for word in words if word in known))


def _value(name: str, kind: str, captions: list[Caption]) -> Any:
    key = name.lower()
    if key in _KEYWORDS:
        found = keywords_of(captions)
        return ", ".join(found) if kind == "string" else found
    text = ""
    if key in _TITLE:
        text = title_of(captions[0])
    elif key in _DESCRIPTION:
        text = "\n".join(caption.text for caption in captions)
    if kind == "array":
        return [text] if text else []
    return text if kind in ("", "string") else _EMPTY.get(kind)
