"""Hard cases for the tokenizer: a seeded generator of captions with awkward things in them.

Every case is a piece of an everyday caption with one to three awkward items, alone, at its
start, inside or at its end, with or without punctuation around them. Items are drawn from
templates of each kind, so that no two seeds test the same strings.
"""

from __future__ import annotations

import random
from collections.abc import Callable


def _listed(text: str, separator: str | None = None) -> list[str]:
    return text.split(separator)


_FRAGMENTS = _listed(
    "a man in a red shirt|two dogs are running|a group of people|the little girl smiles"
    "|children play outside|a woman riding a horse|standing on the beach"
    "|next to a tall building|A brown dog jumps|The boy holds a ball"
    "|holding a sign that says|in front of|with a logo of|he is wearing"
    "|someone pours water into|three men at|a street sign reads|on a sunny day",
    "|",
)
_NOUNS = _listed(
    "dog cat man woman boy girl sign street car shirt kitchen road table bus St. men",
)
_NAMES = _listed(
    "John Mary O'Neil Smith D'Angelo Ho'ohu Pe'e McDonald's Dunkin' Kings Ross Sa'id",
)
_FOREIGN = _listed(
    "café naïve São CAFÉ Ünï Straße mañana İstanbul ΑΣ дом Яна 你好 世界。 「你」 カタカナ 한국어"
    " ไทย हिन्दी में। سلام، می\u200cرود کتاب\u200cها، «سلام» ۱۲۳ ۱۲٫۵ ١٢٣ שלום ש״ס ქართული"
    " fiancé e\u0301té 😀 👍🏽 👨\u200d👩\u200d👧 ❤️ ☺ ★ 🇫🇷 dog😀cat ✓ ♪ ™ © ® a™ H₂O m² → × ÷"
    " ± • · § ¶ † … “quoted” ‘single’ „low“ ‹a› a–b a—b 1–2 – — it’s don’t y’all ’tis"
    " ’90s o’clock dogs’ Dunkin’ fl\ufb01p ｆｕｌｌ",
)
_CONTROLS = [
    *"\0\x01\x07\x1b\x7f\t\u00a0\u00ad\u200b\u200c\u200d\u200e\u2060\ufeff\u2003\u3000\u0092\u0093"
]
_ABBREVIATIONS = _listed(
    "Mr Mrs Dr St Jr Sr Inc Co Corp Ltd Jan Feb Sept Mon Tues etc vs No no Fig pp Mass"
    " Wash Calif Ave Blvd Rd ft mt lt Gen Prof Ph.D M.D e.g i.e U.S U.S.A a.m p.m A B W"
    " x v Mt dept sq lbs in Sat Sun ed est ext al oz vol approx min max Pte Bros Ore"
    " Tex art prop jan mass ill tex",
)
_CONTRACTIONS = _listed(
    "don't can't won't isn't n't I'll they've we'd you're I'm he's 'tis 'twas 'em 'til"
    " 'cause 'n' rock'n'roll y'all o'clock ma'am c'mon ol' goin' dogs' boss's"
    " couldn't've should've who'd've ain't cannot gonna wanna gotta lemme gimme Gonna"
    " CANNOT wannabe dont it's its' 's 'S d'you l'avion qu'il ne'er cat's-paw isn`t"
    " don`t x'y 'bout somethin' '90s '89 1990's 50's mid-'80s",
)
_SMILEYS = _listed(
    ":) :-) :( ;) :D :P :-( =) :] :/ <3 ^_^ (^_^) -_- XD :'( :o) >:( 8) :)) (: T_T o_O",
)
_WORDS_WITH_SIGNS = _listed(
    "t-shirt mother-in-law x_y a__b _a_ and/or a/b/c A&W AT&T R&B r&b AT&amp;T"
    " &lt;b&gt; &quot;a&quot; &nbsp; caf&eacute; &mdash; &#39; c++ C++ C# F# *a* **"
    " **bold** ~a a|b a=b a+b a@ @foo @foo_bar #foo #foo5 #1 #foo-bar a--b -- --- -----"
    " a- -a non- .. ... .... ?! !!! !? a...b end.next one,two three;four a:b a!b (s)"
    " a(s) [a] {a} -LRB- ( ) [ ] \" ' `` '' ` \\ ^ | _ __ / // % & + = U.S.-based"
    " anti-U.S. Wal-Mart B-52 4x4 3D 2nd 10-year-old 7pm kitchen.; cat., it.: wow!great",
)
_TAGS = _listed(
    "<b>|</b>|<br/>|<br />|<a href='x'>|<a href=\"x y\">|<a href=x>"
    "|<p class='a' id=\"b\">|<!-- x -->|<unk>|<PAD>|<3|< b >|<a|<5>|<!DOCTYPE html>"
    "|<b>bold</b>|<i>it's</i>",
    "|",
)


def _pick(*options: str | list[str] | tuple[str, ...]) -> Callable[[random.Random], str]:
    return lambda rng: "".join(
        option if isinstance(option, str) else rng.choice(option) for option in options
    )


_NUMBERS = _listed(
    "1|1.2|1,3|.2|1/2|1 2/3|1-2/3|1-2|1:3|1:3pm|1:3 p.m.|1.2%|1%|$1|$1.2|$ 1|US$1|£1|€1"
    "|¥1|1¢|#1|No. 1|no. 1|+1|-1|-1.2|1.|1,|1th|1s|'1s|1's|1'2\"|1\"|1'|1x2|1-foot"
    "|1-3-2|1/2/3|(555) 555-3333|555-3333|(55) 2|1½|½|¼ cup|1°|1°C|1km|1.2km|1,2,3"
    "|1:2:3|1..2|1...2|1-|(1)|[1]|1.2.3|1--2|1–2|+1 555 33 33|A$1|R$1|1=2|1+2|1*2|1&2"
    "|1e-2|1_2|v.1|v 1.2|1.2.3.2|1.2-inch|1-inch|1/2-inch|1 2/3-inch|'11|1st"
    "|(555)555-3333|(555) 555 3333|555 555 3333|1-800-555-3333|1 000|1'000|x1|1x|1mx2m"
    "|1/a|a1/2b|№1",
    "|",
)


def _number(rng: random.Random) -> str:
    """One of the shapes above with other digits in it."""
    return "".join(
        rng.choice("0123456789") * (1 if rng.random() < 0.7 else rng.randint(1, 3))
        if sign in "123"
        else rng.choice("0123456789")
        if sign == "5"
        else sign
        for sign in rng.choice(_NUMBERS)
    )


def _address(rng: random.Random) -> str:
    host = rng.choice(["foo", "bar.baz", "my-site", "x5", "été", "www.foo", "www.my-site", "a"])
    top = rng.choice(["com", "org", "net", "co.uk", "de", "info", "jpg", "html", "txt", "py", "x"])
    tail = rng.choice(
        ["", "/", "/a", "/ab", "/ab/c.html", "?q=1&r=2", "/~me", "#x", ":80", "/a_b(c)"]
    )
    scheme = rng.choice(
        ["", "", "http://", "https://", "HTTP://", "ftp://", "me@", "me.too+x@", "@"]
    )
    return f"{scheme}{host}.{top}{tail}"


def _abbreviation(rng: random.Random) -> str:
    follow = rng.choice(
        ["", " The", " the", " Smith", " 5", ",", ";", " A man", "'s", ")", "-x", "x"]
    )
    return rng.choice(_ABBREVIATIONS) + "." + follow


KINDS: dict[str, Callable[[random.Random], str]] = {
    "apostrophes": _pick(_CONTRACTIONS),
    "names": _pick(_NAMES, ["", "", "'s", "'", "-like", ".", " & Co."]),
    "abbreviations": _abbreviation,
    "numbers": _number,
    "addresses": _address,
    "foreign": _pick(_FOREIGN),
    "controls": _pick(_NOUNS, _CONTROLS, _NOUNS),
    "smileys": _pick(_SMILEYS),
    "signs": _pick(_WORDS_WITH_SIGNS),
    "mark-up": _pick(_TAGS),
}


def cases(count: int, seed: int) -> list[tuple[str, str]]:
    """``count`` different (kind, caption) pairs."""
    rng = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        kind = rng.choice(sorted(KINDS))
        item = _wrapped(KINDS[kind](rng), rng)
        if rng.random() < 0.25:
            other = rng.choice(sorted(KINDS))
            item += rng.choice(["", " ", " ", ", "]) + KINDS[other](rng)
        before, after = rng.choice(_FRAGMENTS), rng.choice(_FRAGMENTS)
        caption = rng.choice(
            [item, f"{item} {after}", f"{before} {item} {after}", f"{before} {item}"]
        )
        found.setdefault(caption + rng.choice(["", "", " .", ".", "!", ",", "?"]), kind)
    return [(kind, caption) for caption, kind in found.items()]


def _wrapped(item: str, rng: random.Random) -> str:
    shape = rng.choice(
        ["{}"] * 12
        + [
            "({})",
            '"{}"',
            "'{}'",
            "[{}]",
            "“{}”",
            "{},",
            "{}.",
            "{};",
            "{}:",
            "{}!",
            "{}?",
            "-{}",
            "{}-",
        ]
        + [
            "{}'s",
            "{}...",
            "a {}b",
            "x{}",
            "{}x",
            "{}5",
            "5{}",
            "{}/{}",
            "{}-{}",
            "{}'",
            "'{}",
            '{}"',
            "*{}*",
        ]
    )
    return shape.format(item, item)
