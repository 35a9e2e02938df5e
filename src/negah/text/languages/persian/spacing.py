"""Spaces and half-spaces of Persian words: «می کند», «میکند» and «می‌کند» are one word.

The rules follow «دستور خط فارسی» of the Academy of Persian Language and Literature (2nd edition
1394, revised 1401): می and نمی, the plural ها, تر and ترین, the verb endings ام، ای، ایم، اید، اند
behind a silent ه, the indefinite ای there, and the parts of compounds stand with a half-space; است
is a word of its own. Where the Academy lets a writer choose («کتابها», «کتاب‌ها»), the half-space
is chosen, so that each word has one spelling. After a letter that never joins the next one a
half-space would be invisible and is left out: «دخترها», «دورتر». Rules that would need more context
than the neighbouring words are left out: two words are better than a wrong one.
"""

from __future__ import annotations

import re
from functools import lru_cache

from negah.text.languages.persian.letters import HALF_SPACE, NON_JOINING
from negah.text.languages.persian.lexicon import (
    COMPARED,
    COMPOUNDS,
    NO_PLURALS,
    PARTICIPLES,
    PREVERBS,
    RIDING,
    VERB_FORMS,
)

_PRESENT = ("می", "نمی")
_PLURALS = ("ها", "های", "هایی", "هایش", "هایشان", "هایم", "هایمان", "هایت", "هایتان")
_COMPARATIVES = ("تر", "تری", "ترین", "ترها", "ترهای")
_OWNERS = ("شان", "مان", "تان")
#: Endings that follow the silent ه of «خانه» with a half-space.
_AFTER_HEH = ("ای", "ام", "ایم", "اید", "اند", "اش", "ات", "شان", "مان", "تان")

_GLUED_PLURAL = re.compile(f"(.{{2,}}?)({'|'.join(sorted(_PLURALS, key=len, reverse=True))})")
_GLUED_PRESENT = re.compile("(برن?می|درن?می|بازن?می|ن?می)(.+)")
_GLUED_COMPARATIVE = re.compile("(.+?)(تری?|ترین|ترها|ترهای)")
_COPULA = re.compile(f"(.+){HALF_SPACE}(است)")
_PREPOSITION = re.compile(f"(به){HALF_SPACE}(.+)")
_RUNS = re.compile(f"{HALF_SPACE}+")
#: Words that are written together with a space in them.
_PHRASES = {"درحالیکه": "در حالی که", "درحالی": "در حالی", "درحال": "در حال", "بطوری": "به طوری"}


def spaced(words: list[str]) -> list[str]:
    """Words between spaces with half-spaces where they belong; a word may become two, or two one.

    Idempotent.

    Args:
        words: letters in one spelling (:func:`negah.text.languages.persian.letters.one_spelling`),
            without punctuation.
    """
    while (found := _spaced_once(words)) != words:
        words = found
    return found


def _spaced_once(words: list[str]) -> list[str]:
    """Joined words may need a second pass: «هایها» are two endings."""
    parted = [part for word in words for part in _parted(word)]
    found: list[str] = []
    for word in parted:
        while found and _belongs(found, word):
            word = _joined(found.pop(), word)
        found.append(word)
    return found


def _with_half_space(before: str, after: str) -> str:
    """Join two pieces of a word, with a half-space where it is visible.

    Before ا it is kept even if it changes no letter, because it shows how the word is read:
    «نور‌افکن».
    """
    is_seen = before[-1] not in NON_JOINING or after[0] in "اآ"
    return f"{before}{HALF_SPACE if is_seen else ''}{after}"


@lru_cache(maxsize=1 << 15)
def _parted(word: str) -> tuple[str, ...]:
    """A word between spaces as one or more words, each with its own half-spaces."""
    word = _RUNS.sub(HALF_SPACE, word).strip(HALF_SPACE)
    if not word:
        return ()
    if word in _PHRASES:
        return tuple(_PHRASES[word].split())
    for pattern in (_COPULA, _PREPOSITION):
        if match := pattern.fullmatch(word):
            return (*_parted(match[1]), *_parted(match[2]))
    whole, *rest = word.split(HALF_SPACE)
    whole = _own_half_spaces(whole, alone=not rest)
    for piece in rest:
        if piece == "ی" and whole.endswith("ه"):
            whole += "ٔ"
        else:
            whole = _with_half_space(whole, piece if piece in _PLURALS else _plural(piece) or piece)
    return (whole,)


def _own_half_spaces(word: str, *, alone: bool) -> str:
    """Insert the missing half-spaces into a piece without any."""
    match = _GLUED_PRESENT.fullmatch(word)
    if match and match[2] in VERB_FORMS:
        return _with_half_space(match[1], match[2])
    if not alone and word in _PRESENT:
        return word
    if plural := _plural(word):
        return plural
    match = _GLUED_COMPARATIVE.fullmatch(word)
    if match and match[1] in COMPARED:
        return _with_half_space(match[1], match[2])
    if word.endswith("هاند") and word[:-3] in PARTICIPLES:
        return f"{word[:-3]}{HALF_SPACE}اند"
    return word


def _plural(word: str) -> str:
    """«سگها» as «سگ‌ها»; "" if it is not a plural."""
    match = _GLUED_PLURAL.fullmatch(word)
    # «انتهای» is «انتها» with an ezafe, and no plural
    if match is None or match[1] + "ها" in NO_PLURALS:
        return ""
    return _with_half_space(match[1], match[2])


def _belongs(before: list[str], word: str) -> bool:
    """Whether a word continues the previous one."""
    last = before[-1]
    if last in _PRESENT or last in ("برمی", "درمی", "بازمی", "برنمی", "درنمی", "بازنمی"):
        return True
    if last in PREVERBS and word.startswith(("می" + HALF_SPACE, "نمی" + HALF_SPACE)):
        return word.partition(HALF_SPACE)[2].startswith(PREVERBS[last])
    first = word.partition(HALF_SPACE)[0]
    if first in _PLURALS or first in _COMPARATIVES:
        return True
    if word == "اند":
        return last[-1] not in NON_JOINING  # «سوارند» is how that is written there
    if word == "اش":
        return last[-1] not in "اوآ"
    bare = last.removesuffix("ٔ")
    if word in _OWNERS and bare.endswith(("ه", "های")):
        return True
    if word == "ی":
        return last[-1] in "هاو"
    if word in _AFTER_HEH and bare.endswith("ه"):
        return True
    if word == "ای":
        return last.endswith("ی")
    return _is_compound(before, first)


def _is_compound(before: list[str], word: str) -> bool:
    """Whether a word is the second of a compound: «دوچرخه سوار», but not «بر اسب سوار»."""
    if word not in COMPOUNDS.get(before[-1], ()):
        return False
    return not (word == "سوار" and len(before) > 1 and before[-2] in RIDING)


def _joined(last: str, word: str) -> str:
    """Two words as one, mostly with a half-space between them."""
    if word == "ی" and last.endswith("ه"):
        return last + "ٔ"  # the Academy writes «خانهٔ» for «خانه‌ی»
    if word == "ی" or (last in PREVERBS and word.startswith(("می", "نمی"))):
        return last + word
    if word in _OWNERS and last.endswith("های"):
        return last + word
    if word == "اش" and last[-1] in NON_JOINING:
        return last + "ش"
    return _with_half_space(last.removesuffix("ٔ"), word)
