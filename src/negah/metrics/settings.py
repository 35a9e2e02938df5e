"""Settings of metrics besides captions and references.

Names and defaults are those of the keyword arguments of :func:`negah.metrics.score`.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict, get_args

from negah.errors import DataError, UnknownNameError
from negah.metrics.captions import Tokenised, Tokens, as_tokens
from negah.metrics.frequencies import DocumentFrequencies
from negah.text.languages import DEFAULT, Language, language_of

#: The reference length used by BLEU's brevity penalty.
ReferenceLength = Literal["closest", "shortest", "average"]
#: The names of the things in each image, by image name or in order.
Objects = Mapping[str, Collection[str]] | Sequence[Collection[str]]

#: Advice in the error about an English-only metric for captions in another language.
NAMED = "leave it out, and name BLEU-4, ROUGE-L or CIDEr-D"


class SettingValues(TypedDict, total=False):
    """The fields of :class:`Settings`, as keyword arguments."""

    frequencies: DocumentFrequencies | None
    tokenised: bool
    reference_length: ReferenceLength
    objects: Objects | None
    language: str


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Settings:
    """Settings shared by scorers, accumulators and metrics; a metric uses those that concern it.

    Attributes:
        frequencies: document frequencies of CIDEr-D (or of CIDEr); None for those of the
            references.
        tokenised: captions are already tokenised: tokens separated by spaces.
        reference_length: used by BLEU's brevity penalty: that of the reference ``"closest"`` in
            length (as the COCO caption evaluation), of the ``"shortest"``, or their ``"average"``.
        objects: the objects in each image, for CHAIR: COCO categories or words for them, given like
            the references, by name or in order. Images may be absent by name.
        language: code of the language of captions and references; it determines the tokenisation.

    Raises:
        UnknownNameError: no such reference length, or no such language.
        DataError: ``objects`` is malformed.
    """

    frequencies: DocumentFrequencies | None = None
    tokenised: bool = False
    reference_length: ReferenceLength = "closest"
    objects: Objects | None = None
    language: str = DEFAULT
    _words: Language = field(init=False, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_words", language_of(self.language))
        lengths = get_args(ReferenceLength)
        if self.reference_length not in lengths:
            raise UnknownNameError("reference length", str(self.reference_length), lengths)
        if self.objects is not None:
            _check_objects(self.objects)

    @property
    def tokenizer(self) -> str:
        """As signatures name it."""
        return "none" if self.tokenised else self._words.signature

    def tokens(self, caption: Tokenised) -> Tokens:
        """The tokens of a caption as given.

        Raises:
            DataError: it is no text.
        """
        if isinstance(caption, str):
            return (
                as_tokens(caption) if self.tokenised else tuple(self._words.metric_tokens(caption))
            )
        if self.tokenised and isinstance(caption, (list, tuple)):
            return as_tokens(caption)
        raise DataError(f"a caption is a text, not {caption!r:.60} ({type(caption).__name__})")


def _check_objects(objects: Any) -> None:
    by_name = isinstance(objects, Mapping)
    if isinstance(objects, str) or not (by_name or isinstance(objects, Sequence)):
        raise DataError(f"objects is {objects!r:.60}; give the names of the things in each image")
    for names in objects.values() if by_name else objects:
        if isinstance(names, str) or not isinstance(names, Collection):
            raise DataError(f"the objects of an image are a list of names, not {names!r:.60}")
        for name in names:
            if not isinstance(name, str):
                raise DataError(f"the name of an object is a text, not {name!r:.60}")
