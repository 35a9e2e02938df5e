"""Several languages in one vocabulary: the first token of a caption says which one it is in.

``text.language: en+fa`` of a recipe learns both at once. A caption begins with the tag of its
language, ``<fa> سگی می‌دود``, which is a token like others; a captioner that reads the tag first
writes in that language (M. Johnson et al., "Google's Multilingual Neural Machine Translation
System: Enabling Zero-Shot Translation", TACL 5, 2017).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from negah.text.languages.language import Language

#: Between the codes of the languages.
JOINT = "+"
_TAG = re.compile(r"\s*<([a-z]{2,8})>\s*")


def tag_of(code: str) -> str:
    """The token that says that a caption is in a language: ``<fa>``."""
    return f"<{code}>"


class Mixed(Language):
    """Captions of several languages; one without a tag is in the first.

    Args:
        parts: the languages, two or more.

    Attributes:
        parts: the same, by code.
    """

    def __init__(self, parts: Sequence[Language]) -> None:
        self.parts = {part.code: part for part in parts}
        self.code = JOINT.join(self.parts)  # type: ignore[misc]
        self.name = " and ".join(part.name for part in parts)  # type: ignore[misc]
        self.signature = JOINT.join(part.signature for part in parts)  # type: ignore[misc]
        tags = frozenset(map(tag_of, self.parts))
        self.stop_words = tags.union(*(p.stop_words for p in parts))  # type: ignore[misc]
        self.open_words = tags.union(*(p.open_words for p in parts))  # type: ignore[misc]
        self.relations = frozenset().union(*(p.relations for p in parts))  # type: ignore[misc]

    def parted(self, text: str) -> tuple[str, str]:
        """The code of the language of a caption, "" without a tag, and the caption without it."""
        found = _TAG.match(text)
        if found is None or found[1] not in self.parts:
            return "", text
        return found[1], text[found.end() :]

    def normalise(self, text: str) -> str:
        """As its language does, with the tag."""
        code, rest = self.parted(text)
        normal = self._part(code).normalise(rest)
        # what stood before a space may be gone, and a tag takes the spaces behind it
        return f"{tag_of(code)} {normal.lstrip()}" if code else normal

    def tokens(self, text: str) -> list[str]:
        """The tag, and the words of its language."""
        code, rest = self.parted(text)
        return [*([tag_of(code)] if code else []), *self._part(code).tokens(rest)]

    def join(self, tokens: Iterable[str]) -> str:
        """The inverse, with the tag."""
        words = list(tokens)
        code = next((code for code in self.parts if words[:1] == [tag_of(code)]), "")
        text = self._part(code).join(words[1:] if code else words)
        return f"{tag_of(code)} {text}".rstrip() if code else text

    def metric_tokens(self, text: str) -> list[str]:
        """Without the tag."""
        code, rest = self.parted(text)
        return self._part(code).metric_tokens(rest)

    def lemma(self, word: str) -> str:
        """That of the first language whose lemma differs from the word; else the word."""
        found = (part.lemma(word) for part in self.parts.values())
        return next((lemma for lemma in found if lemma != word), word)

    def is_content_word(self, word: str) -> bool:
        """Whether it is one in any of them."""
        return any(part.is_content_word(word) for part in self.parts.values())

    def _part(self, code: str) -> Language:
        return self.parts[code or next(iter(self.parts))]
