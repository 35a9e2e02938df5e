"""``--mark``: "possibly" before objects that the picture hardly supports."""

from __future__ import annotations

from negah.captions import Caption
from negah.text import detokenize
from negah.text.pieces import spelled

_DETERMINERS = frozenset(
    [
        *("a", "an", "the", "his", "her", "their", "its", "some", "several", "many"),
        *("two", "three", "four", "five", "six"),
    ]
)
#: Words before a noun that are skipped when looking for its determiner.
_FARTHEST = 4


def marked(caption: Caption) -> str:
    """The text of a caption with "possibly" before doubtful objects.

    Objects are names of COCO's 80 categories, which can be distinguished from verbs and colours
    without a parser. "Possibly" stands before the article: "a man sits on possibly a red bench".
    """
    from negah.metrics.chair import mentions

    whole = spelled([word.text for word in caption.words], caption.text)
    words = [word.text for word in whole]
    before: set[int] = set()
    end = 0
    for one in mentions(words):
        last, end = end, one.start + len(one.words.split())
        pieces = caption.words[whole[one.start].first : whole[min(end, len(whole)) - 1].end]
        if any(word.doubtful for word in pieces):
            before.add(_start_of_phrase(words, one.start, last))
    # what is made of pieces stands between spaces, as in the text
    parts = words if detokenize(words) == caption.text else caption.text.split()
    if not before or len(parts) != len(whole):
        return caption.text
    return detokenize(
        part
        for place, word in enumerate(parts)
        for part in (["possibly", word] if place in before else [word])
    )


def _start_of_phrase(words: list[str], noun: int, first: int) -> int:
    """Where the article of a noun stands; the noun itself where none is near.

    Args:
        words: of the caption.
        noun: its place.
        first: after the thing before it.
    """
    from negah.text.stopwords import STOP_WORDS

    for place in range(noun - 1, max(first, noun - 1 - _FARTHEST) - 1, -1):
        if words[place] in _DETERMINERS:
            return place
        if words[place] in STOP_WORDS and words[place] != "and":
            break
    return noun
