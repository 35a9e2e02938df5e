"""Sentences to tokens by the rules of the Penn Treebank (PTB) tokenizer of the COCO evaluation.

That tokenizer is the one of Stanford CoreNLP 3.4.1. The rules below were written from its
published behaviour and from watching what it answers, never from its grammar. As there, the
rule that reaches furthest wins, what a rule must see behind its token counts as reached, and
among equals the first wins. Every pattern reads a bounded number of characters more than it
takes, so time is linear in the length of the text. ``benchmarks/ptb_oracle.py`` measures the
agreement.
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
# A word of letters before a space: most of what there is, and no rule says otherwise.
_SIMPLE = re.compile("[A-Za-z]++(?= )")

# What a rule does with the token that it found.
_TAKE = "take"
_GIVE_BACK = "give its period back, to be read again"
_INITIAL = "take it, or without its period where a sentence starts behind it"
_IN_TWO = "take it as two words"


class _Rule(NamedTuple):
    """``pattern`` reads the token as its first group, then what must follow it."""

    pattern: re.Pattern[str]
    kind: str


@cache
def _rules() -> tuple[_Rule, ...]:
    """Compiled on first use: it takes a tenth of a second, and captioning never needs it."""
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
    rules = (
        # mark-up and addresses
        (
            _TAKE,
            rf"(<{name}{attribute}*+[ ]*+/?[ ]*+>|</{name}[ ]*+>)",
        ),
        (_TAKE, r"(<[!?][A-Za-z-][^>\n\t]{0,500}>)"),
        (_TAKE, rf"((?i:https?)://(?=[^{stop}.]{{0,1000}}+\.)(?:[.!?,-]*+[^{stop}.!?,-]++)++)"),
        (_TAKE, rf"((?i:www)\.(?:[^{stop}.!?,;:/$'`]++\.)+[A-Za-z]{{2,4}}(?:{path})?)"),
        (_TAKE, rf"((?i:www)\.(?:[^{stop}.!?,;:$&'`]++\.)+[A-Za-z]{{2,4}})"),
        (_TAKE, rf"((?:{host}\.){{1,8}}?(?i:com|net|org|edu)(?:{path})?)"),
        (_TAKE, rf"(<?[A-Za-z0-9][^{stop}@\x00-\x1f]{{0,64}}@[^{stop}.]++(?:\.[^{stop}.]++)*+>?)"),
        (_TAKE, r"(&(?:#[0-9]{1,7}|HT|TL|UR|LR|QC|QL|QR|odq|cdq|APOS);)"),
        (_TAKE, r"(@[A-Za-z_][A-Za-z0-9_]*+)"),
        (_TAKE, f"(#{l_}++)"),
        # do + n't, 's and its like, 'tis, '90s, o'clock
        (_TAKE, rf"([{letter}{mark}][{letter}{digit}{mark}]*?)[nN][{q[1:-1]}`][tT]"),
        (_TAKE, f"([nN][{q[1:-1]}`][tT])"),
        (_TAKE, f"([nN]`{l_}{l_}++)"),
        (_TAKE, f"({word}|{compound}|{dotted}){clitic}"),
        (_TAKE, f"({clitic})"),
        (_TAKE, f"({q}[nN]{q})"),
        (_TAKE, rf"({q}[nN])(?:\s|\Z)"),
        (_TAKE, f"({q}(?i:em|till?|cause))"),
        (_TAKE, "('[tT])(?i:is|was)"),
        (_TAKE, rf"({q}{d}0s)"),
        (_TAKE, rf"({q}{d}{{2}})(?:\s|\Z)"),
        (_TAKE, f"((?i:y){q})(?={l_})"),
        (_TAKE, f"((?i:[djl]|ol){q})"),
        (_TAKE, f"({french}|[nNA-HJ-XZ]{q}{l_}{l_}++)"),
        (_TAKE, f"({l_}{l_}++(?<=[aeiouyAEIOUY]){q}[aeiouA-Z][A-Za-z]*+)"),
        (
            _TAKE,
            f"((?i:dunkin{q}|somethin{q}|ma{q}am|n?e{q}er|o{q}er|c{q}mon|c{q}est|o{q}o"
            f"|li{q}l|cap{q}n|ev{q}ry|nat{q}l))",
        ),
        # abbreviations and initials
        (_TAKE, rf"((?i:{_any(_TITLES)})\.)"),
        (_TAKE, rf"({enders}\.)\W?\w?(?:\W|\Z)"),
        (_GIVE_BACK, rf"({enders}\.)"),
        (_TAKE, rf"((?i:{_any(_BEFORE_NUMBER)})\.)\s*+{d}"),
        (_TAKE, f"({acronym})"),
        (_INITIAL, r"([A-Za-z]\.)"),
        (
            _TAKE,
            rf"((?:{hyphened}|{word}|{compound}|{dotted}|{french}|[A-Z]++&[A-Z]++|{p}++(?:_{p}++)++)\.)[,;:]",
        ),
        (_TAKE, rf"({p}++(?:\.{p}++){{0,3}}?\.(?i:{_any(_FILE_TYPES)}))(?:[\s.,]|\Z)"),
        # numbers
        (_TAKE, f"([+-]?{number})"),
        (_TAKE, rf"(\({d}{{2,3}}\)[ \u00a0]?{d}{{3,4}}[- \u00a0]?{d}{{3,5}})"),
        (
            _TAKE,
            rf"((?:{d}{{2,4}}[- \u00a0])?{d}{{2,4}}[- \u00a0]{d}{{3,4}}[- \u00a0]?{d}{{3,5}})",
        ),
        (_TAKE, rf"((?:{d}{{1,4}}[- \u00a0])?{d}{{1,4}}[/\u2044]{d}{{1,4}})"),
        # words, and what holds them together
        (_IN_TWO, f"((?i:{'|'.join(_HALVED)})){end}(?!'(?i:s|m|d|ll|re|ve))"),
        (_TAKE, f"({word})"),
        (_TAKE, f"({dotted})"),
        (_TAKE, r"([A-Z]++(?:&[A-Z]++)++)"),
        (_TAKE, r"([A-Z]++\$)"),
        (_TAKE, f"({p}++(?:[-_\u058a\u2010\u2011]{p}++)*+)"),
        (_TAKE, f"({slashed}(?:/{slashed}){{1,2}})"),
        (_TAKE, f"({hyphened})"),
        (_TAKE, f"({p}[{letter}{digit}.,]{{0,40}}+(?:(?:{h}{p}++)*?{h}{acronym})++(?:{h}{p}++)*+)"),
        (_TAKE, r"([cC]\+\+|[cCfF]#)"),
        (_TAKE, r"(-[LRlr][CRScrs][Bb]-)"),
        # faces
        (_TAKE, r"([<>]?[:;=][-o*']?[()DdPpO\\{@|\[\]])(?![A-Za-z0-9])"),
        (_TAKE, r"([-^x=~<>]_[-^x=~<>]|\([-^x=~<>][_.][-^x=~<>]\)|\(\^-\^\))"),
        # runs of one mark
        (_TAKE, r"([\u0091-\u0094\u00ab\u00bb\u2018-\u201f\u2039\u203a]++)"),
        (_TAKE, r"([!?]++|\.{3,}+|''|``|-++|_++|@++|#++|\*++|(?:\\\*)++|<<|>>)"),
        (_TAKE, f"([!-~{mark}{_set(SYMBOLS)}\ue000\ue001])"),
    )
    return tuple(_Rule(re.compile(pattern), kind) for kind, pattern in rules)


@cache
def _new_sentence() -> re.Pattern[str]:
    """What makes an initial end its sentence: the end of the text, or one of the starters."""
    starters = f"{_any(_STARTERS)}|{_any(_STARTERS).upper()}"
    return re.compile(rf"\s*\Z|\s+(?:{starters})(?=\s|\Z)")


def tokens(text: str) -> list[str]:
    """The tokens of ``text`` as written, punctuation included, cut at white space.

    The end of the text counts as the end of a sentence behind which another begins.
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
