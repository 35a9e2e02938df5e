"""One language of a tokenizer that has several, as decoding sees a vocabulary.

Axes: none; ids are integers.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from negah.errors import UsageError
from negah.text.languages import Language, Mixed, language_of
from negah.text.languages.mixed import tag_of
from negah.text.tokenizers import Tokenizer
from negah.text.vocabulary import SOS, Specials


class InLanguage:
    """The words of a tokenizer, where the caption is begun in one of its languages.

    The tag of the language is what the model reads first, behind :attr:`prompt`, so that a search
    starts from it and never writes a tag.

    Args:
        tokenizer: of several languages (:class:`~negah.text.languages.Mixed`), its tokens words.
        code: of one of them.

    Attributes:
        prompt: ids that the model reads before ``specials.start``.
        language: of the captions.

    Raises:
        UsageError: the tokenizer does not have the language, or no tag of it.
    """

    prompt: tuple[int, ...] = (SOS,)

    def __init__(self, tokenizer: Tokenizer, code: str) -> None:
        mixed = tokenizer.language
        if not isinstance(mixed, Mixed) or code not in mixed.parts:
            raise UsageError(f"captions of {mixed!r} are not in {code!r}")
        missing = [tag for one in mixed.parts if (tag := tag_of(one)) not in tokenizer]
        if missing:
            raise UsageError(
                f"no caption that the tokenizer was built from begins with {missing[0]}: captions "
                f"of several languages begin with the tag of their own, as in '{tag_of(code)} ...'"
            )
        self._tokenizer = tokenizer
        self._tags = {one: tokenizer.tokens.index(tag_of(one)) for one in mixed.parts}
        self._code = code
        self.language: Language = language_of(code)

    @property
    def tokens(self) -> Sequence[str]:
        """Of all languages."""
        return self._tokenizer.tokens

    @property
    def specials(self) -> Specials:
        """With the tag as the start, and no tag among what is written."""
        known = self._tokenizer.specials
        never = (*known.never, *self._tags.values())
        return replace(known, start=self._tags[self._code], never=never)

    def decode(self, ids: Iterable[int]) -> str:
        """Readable text in the language, without its tag."""
        text = self._tokenizer.decode([self._tags[self._code], *ids])
        mixed = self._tokenizer.language
        assert isinstance(mixed, Mixed)
        return mixed.parted(text)[1]
