"""The registry of languages: how captions in each are normalised, tokenised and written.

``text.language`` of a recipe, the tokenizer of a bundle and the settings of metrics name one by its
code. Another package adds one by an entry point of the group ``negah.languages``, named after the
code, that refers to an instance of a subclass of :class:`Language`.
"""

from __future__ import annotations

from functools import lru_cache

from negah.errors import UsageError
from negah.registry import Registry
from negah.text.languages.language import Language
from negah.text.languages.mixed import JOINT, Mixed

__all__ = [
    "DEFAULT",
    "LANGUAGES",
    "Language",
    "Mixed",
    "english_only",
    "language_of",
    "refuse_several",
    "spoken",
]

#: The default language, also of older bundles that do not name one.
DEFAULT = "en"

#: The languages by code: those of this package, then those of other packages.
LANGUAGES: Registry[Language] = Registry(
    "language",
    "negah.languages",
    {
        "en": "negah.text.languages.english:ENGLISH",
        "fa": "negah.text.languages.persian:PERSIAN",
    },
)


def language_of(code: str) -> Language:
    """The language of a code; of codes with ``+`` between, all of them in one vocabulary.

    Raises:
        UnknownNameError: no language has that code; a package may be missing.
        UsageError: another package registered something else, or a language of another code; or a
            code is given twice.
    """
    if JOINT in code:
        return _mixed(code)
    found = LANGUAGES.get(code)
    if not isinstance(found, Language) or found.code != code:
        raise UsageError(
            f"what is registered as language {code!r} ({found!r:.80}) is not an instance of a "
            f"subclass of negah.text.languages.Language with code = {code!r}"
        )
    return found


@lru_cache(maxsize=16)
def _mixed(code: str) -> Mixed:
    codes = code.split(JOINT)
    if len(set(codes)) < len(codes):
        raise UsageError(f"language {code!r:.80}: a language stands twice in it")
    return Mixed([language_of(one) for one in codes])


def english_only(code: str, what: str, reason: str, instead: str = "leave it out") -> None:
    """Refuse captions that are not English, for a function that supports English only.

    Args:
        code: of the language of the captions.
        what: the name of the function ("METEOR").
        reason: why it supports English only, as the end
            of a sentence ("its synonyms are English").
        instead: what to do.

    Raises:
        UsageError: the captions are of another language.
    """
    if code != DEFAULT:
        raise UsageError(
            f"{what} is for English only, since {reason}, and the captions are "
            f"{language_of(code).name} (language {code}): {instead}"
        )


def refuse_several(code: str, model: str) -> None:
    """Refuse a model of several languages where captions are to be written for use.

    Args:
        code: of its captions.
        model: as a user knows it.

    Raises:
        UsageError: it has several.
    """
    if JOINT in code:
        raise UsageError(
            f"{model} learned {language_of(code).name} together (language {code}). Such a model is "
            "trained and compared (negah study persian); it neither captions nor becomes a bundle. "
            f"Train one of a single language, such as text.language={code.split(JOINT)[0]}"
        )


def spoken(vocabulary: object) -> Language:
    """The language of a vocabulary; English if it names none, as those of other packages."""
    found = getattr(vocabulary, "language", None)
    return found if isinstance(found, Language) else language_of(DEFAULT)
