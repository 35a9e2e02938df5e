"""Sentences to tokens by the rules of the Penn Treebank (PTB) tokenizer of the COCO evaluation.

That tokenizer is the one of Stanford CoreNLP 3.4.1. The rules below were written from its published
behaviour and its observed output, not from its grammar. As there, the longest match wins, including
required context after the token, and among equal lengths the first rule. Every pattern reads a
bounded number of characters more than it takes, so time is linear in the length of the text.
``benchmarks/ptb_oracle.py`` measures the agreement.
"""

from __future__ import annotations

import re
from functools import cache
from typing import NamedTuple

from negah.text.ptb_characters import LETTERS, MARKS, SYMBOLS

# Abbreviations that keep their period, in four kinds: before anything (titles); before anything,
# but written as here; with the period also ending the sentence; before a number only.
_TITLES = (
    "mr mrs ms mlle mme messrs dr drs gen sen sens rep reps gov lt maj capt cmdr comdr adm rev hon"
    " sgt pvt pfc spc sfc cpl pres prof atty asst assoc insp det supt esq st mt ft ph vs brig"
    " alex wm jos cie ens adv treas ste ave dept"
)
_ENDERS = (
    "jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thurs fri ala ariz"
    " calif colo col conn ct dak fla ga ind kan kans ky md mich minn mo mont neb nev okla penn"
    " tenn va vt wis wisc wyo jr sr bros inc co cos corp ltd plc bhd blvd rd sq bldg"
    " univ natl intl etc al cf est ext elec tel mfg seq bancorp sys ph\\.d ed\\.d"
)
_ENDERS_CAPITALISED = "Ark Az Del Ill La Mass Miss Ore Pa Tex Wash"
_ENDERS_AS_WRITTEN = "[Mm]tg [Pp]te [Pp]ty"
_BEFORE_NUMBER = "ca nos? pp figs? art op prop"
# A single letter with a period is an initial ("George W. Bush") unless one of these begins the
# sentence after it.
_STARTERS = (
    "A About According Additionally After An As At But Earlier He Her Here However If In It Last"
    " Many More Now Once One Other Our She Since So Some Such That The Their Then There These They"
    " This We What When While Yet You"
)
_FILE_TYPES = (
    "bat bmp c class cgi cpp dll docx? exe gif gz h html? jar java jpe?g mov mp3 pdf php pl png ppt"
    " ps py sql tar txt wav x xml zip 3gp"
)


def _any(words: str) -> str:
    return "|".join(words.split())


def _set(ranges: str, *, digits: bool | None = None) -> str:
    """The inside of a character class from hexadecimal ranges, with or without its digits."""
    spans = [[int(end, 16) for end in span.split("-")] for span in ranges.split()]
    codes = [code for span in spans for code in range(span[0], span[-1] + 1)]
    if digits is not None:
        codes = [code for code in codes if chr(code).isdecimal() is digits]
    found: list[list[int]] = []
    for code in codes:
        if found and found[-1][1] == code - 1:
            found[-1][1] = code
        else:
            found.append([code, code])
    return "".join(f"\\u{first:04x}-\\u{last:04x}" for first, last in found)


_HALVED = ("cannot", "gimme", "gonna", "gotta", "lemme", "wanna")
# A word of letters before a space: the most frequent case, which no rule changes.
_SIMPLE = re.compile("[A-Za-z]++(?= )")

# The action of a rule on the token that it found.
_TAKE = "take"
_GIVE_BACK = "give its period back, to be read again"
_INITIAL = "take it, or without its period where a sentence starts behind it"
_IN_TWO = "take it as two words"


class _Rule(NamedTuple):
    """``pattern`` reads the token as its first group, then what must follow it."""

    pattern: re.Pattern[str]
    kind: str


class _PatternParts(NamedTuple):
    """Named parts of patterns: classes of characters, and parts of words."""

    letter: str
    mark: str
    digit: str
    l_: str
    m: str
    d: str
    w: str
    p: str
    q: str
    end: str
    accented: str
    h: str
    word: str
    dotted: str
    number: str
    hyphened: str
    slashed: str
    acronym: str
    clitic: str
    stop: str
    host: str
    path: str
    compound: str
    french: str
    name: str
    attribute: str
    enders: str


def _parts() -> _PatternParts:
    letter = "A-Za-z\u00ad" + _set(LETTERS, digits=False)
    mark = _set(MARKS)
    digit = "0-9" + _set(LETTERS, digits=True)
    l_, m, d, w = f"[{letter}]", f"[{letter}{mark}]", f"[{digit}]", f"[{letter}{digit}{mark}]"
    p = f"[{letter}{digit}]"  # a part of a compound
    q = "['\u2019\u0092]"
    end = f"(?!{p})"
    accented = "&[aeiouAEIOU](?:acute|grave|uml);"
    h = "[-\u058a\u2010\u2011]"
    word = f"(?:{m}|{accented})(?:{w}|{accented})*+"
    dotted = f"{l_}{p}*+(?:[.!?]{l_}{p}*+)++"
    number = rf"(?:{d}++(?:[.,:\u066b\u066c]{d}++)*+|(?:[.,:\u066b\u066c]{d}++)++)"
    hyphened = f"{p}[{letter}{digit}.,]{{0,40}}+(?:{h}{p}++)++"
    slashed = "[A-Za-z0-9]++(?:-[A-Za-z][A-Za-z0-9]*+)*+"
    acronym = r"[A-Za-z](?:\.[A-Za-z]){1,20}\."
    clitic = "(?:'(?i:s|m|d|ll|re|ve)(?![A-Za-z])|[\u2019\u0092](?i:s|m|d|ll|re|ve))"
    stop = r'\s"<>|(){}'
    host = rf"[^{stop}.!?,;:/$&'`@\[\]{digit}_-]{{1,80}}+"
    path = rf"/[^{stop.replace('{', '')}]+[^{stop}.!?,-]"
    compound = f"{p}++(?:{h}{p}++)*+"
    french = f"(?i:[dol]{q}{p}{p}++(?:{h}(?:[dol]{q}{p})?{p}++)*+|o{q}clock(?:{h}{p}++)*+)"
    name = "[A-Za-z][A-Za-z0-9_:.-]*+"
    attribute = rf"""(?:[ ]++{name}(?:[ ]*+=[ ]*+(?:"[^"\n]{{0,500}}"|'[^'\n]{{0,500}}'))?)"""
    enders = (
        f"(?:(?i:{_any(_ENDERS)})|{_any(_ENDERS_AS_WRITTEN)}"
        f"|{'|'.join(w + '|' + w.upper() for w in _ENDERS_CAPITALISED.split())})"
    )
    return _PatternParts(
        letter,
        mark,
        digit,
        l_,
        m,
        d,
        w,
        p,
        q,
        end,
        accented,
        h,
        word,
        dotted,
        number,
        hyphened,
        slashed,
        acronym,
        clitic,
        stop,
        host,
        path,
        compound,
        french,
        name,
        attribute,
        enders,
    )


def _addresses(b: _PatternParts) -> tuple[tuple[str, str], ...]:
    """Mark-up and addresses."""
    return (
        (
            _TAKE,
            rf"(<{b.name}{b.attribute}*+[ ]*+/?[ ]*+>|</{b.name}[ ]*+>)",
        ),
        (_TAKE, r"(<[!?][A-Za-z-][^>\n\t]{0,500}>)"),
        (_TAKE, rf"((?i:https?)://(?=[^{b.stop}.]{{0,1000}}+\.)(?:[.!?,-]*+[^{b.stop}.!?,-]++)++)"),
        (_TAKE, rf"((?i:www)\.(?:[^{b.stop}.!?,;:/$'`]++\.)+[A-Za-z]{{2,4}}(?:{b.path})?)"),
        (_TAKE, rf"((?i:www)\.(?:[^{b.stop}.!?,;:$&'`]++\.)+[A-Za-z]{{2,4}})"),
        (_TAKE, rf"((?:{b.host}\.){{1,8}}?(?i:com|net|org|edu)(?:{b.path})?)"),
        (
            _TAKE,
            rf"(<?[A-Za-z0-9][^{b.stop}@\x00-\x1f]{{0,64}}@[^{b.stop}.]++(?:\.[^{b.stop}.]++)*+>?)",
        ),
        (_TAKE, r"(&(?:#[0-9]{1,7}|HT|TL|UR|LR|QC|QL|QR|odq|cdq|APOS);)"),
        (_TAKE, r"(@[A-Za-z_][A-Za-z0-9_]*+)"),
        (_TAKE, f"(#{b.l_}++)"),
    )


def _clitics(b: _PatternParts) -> tuple[tuple[str, str], ...]:
    """Do + n't, 's and its like, 'tis, '90s, o'clock."""
    return (
        (_TAKE, rf"([{b.letter}{b.mark}][{b.letter}{b.digit}{b.mark}]*?)[nN][{b.q[1:-1]}`][tT]"),
        (_TAKE, f"([nN][{b.q[1:-1]}`][tT])"),
        (_TAKE, f"([nN]`{b.l_}{b.l_}++)"),
        (_TAKE, f"({b.word}|{b.compound}|{b.dotted}){b.clitic}"),
        (_TAKE, f"({b.clitic})"),
        (_TAKE, f"({b.q}[nN]{b.q})"),
        (_TAKE, rf"({b.q}[nN])(?:\s|\Z)"),
        (_TAKE, f"({b.q}(?i:em|till?|cause))"),
        (_TAKE, "('[tT])(?i:is|was)"),
        (_TAKE, rf"({b.q}{b.d}0s)"),
        (_TAKE, rf"({b.q}{b.d}{{2}})(?:\s|\Z)"),
        (_TAKE, f"((?i:y){b.q})(?={b.l_})"),
        (_TAKE, f"((?i:[djl]|ol){b.q})"),
        (_TAKE, f"({b.french}|[nNA-HJ-XZ]{b.q}{b.l_}{b.l_}++)"),
        (_TAKE, f"({b.l_}{b.l_}++(?<=[aeiouyAEIOUY]){b.q}[aeiouA-Z][A-Za-z]*+)"),
        (
            _TAKE,
            f"((?i:dunkin{b.q}|somethin{b.q}|ma{b.q}am|n?e{b.q}er|o{b.q}er|c{b.q}mon|c{b.q}est|o{b.q}o"
            f"|li{b.q}l|cap{b.q}n|ev{b.q}ry|nat{b.q}l))",
        ),
    )


def _abbreviations(b: _PatternParts) -> tuple[tuple[str, str], ...]:
    """Abbreviations and initials."""
    return (
        (_TAKE, rf"((?i:{_any(_TITLES)})\.)"),
        (_TAKE, rf"({b.enders}\.)\W?\w?(?:\W|\Z)"),
        (_GIVE_BACK, rf"({b.enders}\.)"),
        (_TAKE, rf"((?i:{_any(_BEFORE_NUMBER)})\.)\s*+{b.d}"),
        (_TAKE, f"({b.acronym})"),
        (_INITIAL, r"([A-Za-z]\.)"),
        (
            _TAKE,
            rf"((?:{b.hyphened}|{b.word}|{b.compound}|{b.dotted}|{b.french}|[A-Z]++&[A-Z]++|{b.p}++(?:_{b.p}++)++)\.)[,;:]",
        ),
        (_TAKE, rf"({b.p}++(?:\.{b.p}++){{0,3}}?\.(?i:{_any(_FILE_TYPES)}))(?:[\s.,]|\Z)"),
    )


def _numbers(b: _PatternParts) -> tuple[tuple[str, str], ...]:
    """Numbers."""
    return (
        (_TAKE, f"([+-]?{b.number})"),
        (_TAKE, rf"(\({b.d}{{2,3}}\)[ \u00a0]?{b.d}{{3,4}}[- \u00a0]?{b.d}{{3,5}})"),
        (
            _TAKE,
            rf"((?:{b.d}{{2,4}}[- \u00a0])?{b.d}{{2,4}}[- \u00a0]{b.d}{{3,4}}"
            rf"[- \u00a0]?{b.d}{{3,5}})",
        ),
        (_TAKE, rf"((?:{b.d}{{1,4}}[- \u00a0])?{b.d}{{1,4}}[/\u2044]{b.d}{{1,4}})"),
    )


def _words(b: _PatternParts) -> tuple[tuple[str, str], ...]:
    """Words, and what holds them together."""
    return (
        (_IN_TWO, f"((?i:{'|'.join(_HALVED)})){b.end}(?!'(?i:s|m|d|ll|re|ve))"),
        (_TAKE, f"({b.word})"),
        (_TAKE, f"({b.dotted})"),
        (_TAKE, r"([A-Z]++(?:&[A-Z]++)++)"),
        (_TAKE, r"([A-Z]++\$)"),
        (_TAKE, f"({b.p}++(?:[-_\u058a\u2010\u2011]{b.p}++)*+)"),
        (_TAKE, f"({b.slashed}(?:/{b.slashed}){{1,2}})"),
        (_TAKE, f"({b.hyphened})"),
        (
            _TAKE,
            f"({b.p}[{b.letter}{b.digit}.,]{{0,40}}+(?:(?:{b.h}{b.p}++)*?{b.h}{b.acronym})++(?:{b.h}{b.p}++)*+)",
        ),
        (_TAKE, r"([cC]\+\+|[cCfF]#)"),
        (_TAKE, r"(-[LRlr][CRScrs][Bb]-)"),
    )


def _faces(b: _PatternParts) -> tuple[tuple[str, str], ...]:
    """Faces."""
    return (
        (_TAKE, r"([<>]?[:;=][-o*']?[()DdPpO\\{@|\[\]])(?![A-Za-z0-9])"),
        (_TAKE, r"([-^x=~<>]_[-^x=~<>]|\([-^x=~<>][_.][-^x=~<>]\)|\(\^-\^\))"),
    )


def _marks(b: _PatternParts) -> tuple[tuple[str, str], ...]:
    """Runs of one mark."""
    return (
        (_TAKE, r"([\u0091-\u0094\u00ab\u00bb\u2018-\u201f\u2039\u203a]++)"),
        (_TAKE, r"([!?]++|\.{3,}+|''|``|-++|_++|@++|#++|\*++|(?:\\\*)++|<<|>>)"),
        (_TAKE, f"([!-~{b.mark}{_set(SYMBOLS)}\ue000\ue001])"),
    )


@cache
def _rules() -> tuple[_Rule, ...]:
    """The rules, compiled at first use: this takes a tenth of a second, and captioning never needs
    them.

    The longest token counts; of several equally long ones the first in this order.
    """
    groups = (
        _addresses, _clitics, _abbreviations, _numbers, _words, _faces, _marks
    )  # fmt: skip
    parts = _parts()
    rules = [rule for group in groups for rule in group(parts)]
    return tuple(_Rule(re.compile(pattern), kind) for kind, pattern in rules)


@cache
def _new_sentence() -> re.Pattern[str]:
    """What makes an initial end its sentence: the end of the text, or one of the starters."""
    starters = f"{_any(_STARTERS)}|{_any(_STARTERS).upper()}"
    return re.compile(rf"\s*\Z|\s+(?:{starters})(?=\s|\Z)")


def tokens(text: str) -> list[str]:
    """The tokens of ``text`` as written, including punctuation.

    The end of the text counts as the end of a sentence that another sentence follows.
    """
    rules = _rules()
    simple = _SIMPLE.match
    found: list[str] = []
    place = 0
    while place < len(text):
        match = simple(text, place)
        if match is not None and match[0].lower() not in _HALVED:
            found.append(match[0])
            place = match.end() + 1
            continue
        reach, token, kind = place, "", _TAKE
        for pattern, its_kind in rules:
            if (match := pattern.match(text, place)) and match.end() > reach:
                reach, token, kind = match.end(), match[1], its_kind
        if not token:
            place += 1
            continue
        place += len(token)
        if kind is _GIVE_BACK:
            place -= 1
        elif kind is _INITIAL and _new_sentence().match(text, place):
            token = token[0]
        elif kind is _IN_TWO:
            found.append(token[:3])
            token = token[3:]
        found.extend(token.split())
    return found
