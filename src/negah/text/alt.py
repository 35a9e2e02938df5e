"""A caption as alternative text: one short, complete sentence without "an image of".

Alternative text should describe the content in a short sentence: screen readers announce by
themselves that it is an image, and many users stop listening after about 125 characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from negah.text.languages import DEFAULT
from negah.text.normalize import nfc

#: Maximum length of an alternative text in characters, as web guidelines recommend.
MAX_CHARS = 125
#: The shortest limit in which a sentence fits.
LEAST_CHARS = 20

_OPENING = re.compile(
    r"(?:(?:this|here|it) is |there is )?(?:(?:an?|the|one|this|another) )?"
    r"(?:(?:black[- ]and[- ]white|colou?r|blurry|blurred|old|vintage|close[- ]?up|digital|stock"
    r"|cropped|candid|aerial) )*"
    r"(?:image|picture|photo|photograph|pic|snapshot|shot|close[- ]?up"
    r"(?: (?:photo|picture|image))?) (?:of|showing|that shows|which shows|depicting) ",
    re.IGNORECASE,
)
_STATES = re.compile(
    r"(?:this|the) (?:image|picture|photo|photograph) (?:shows|depicts|features) ", re.IGNORECASE
)
_SENTENCE = re.compile(r"[^.!?؟]+(?:[.!?؟](?![\s\"')\]]|$)[^.!?؟]*)*[.!?؟]*[\"')\]]*")
_SPACES = re.compile(r"\s+")
# Tokens that belong together: "the dog 's tail ." and "do n't"
_BEFORE_MARK = re.compile(r"\s+([,.;:!?)\]%]|['’](?:s|re|ll|ve|d|m)\b|n['’]t\b)")
_AFTER_MARK = re.compile(r"([(\[])\s+")
_QUOTED = re.compile(r'"\s*([^"]*?)\s*"')
# Where a sentence may be cut: before additional details.
_BESIDES = re.compile(
    r"(?:,|\b(?:while|as|with|near|next to|in front of|behind|during|beside|on top of|along"
    r"|surrounded by|under|beneath|by|at|and (?=(?:a|an|the|some|two|three) )))\s",
)
_DANGLING = re.compile(
    r"(?:^|\s)(?:a|an|the|and|or|of|in|on|to|is|are|with|while|as|its|their|looking|sitting|standing"
    r"|leaning|next|front|filled|covered|surrounded|going|pointing|staring|waiting|top)$"
)


def alt_text(caption: str, *, max_chars: int = MAX_CHARS, language: str = DEFAULT) -> str | None:
    """One or more whole sentences of a caption as alternative text.

    "a picture of" and its like are left out, the first letter is a capital, a full stop ends it. Of
    several sentences, those that fit are kept. A single sentence that is too long loses additional
    details ("..., with a house in the background") if a sentence is left. Openings and details are
    recognised in English only.

    Args:
        caption: as a model writes it, with or without punctuation.
        max_chars: the most characters, 20 or more.
        language: of the caption, by its code.

    Returns:
        the text; None if no sentence fits, or the caption is empty.

    Raises:
        ValueError: ``max_chars`` is below 20.

    >>> alt_text("a picture of a dog running on the beach")
    'A dog running on the beach.'
    """
    if max_chars < LEAST_CHARS:
        raise ValueError(f"max_chars is {max_chars}: no sentence fits below {LEAST_CHARS}")
    english = language == DEFAULT
    text = _readable(caption)
    openings = (_STATES, _OPENING) if english else ()
    sentences = [one for part in _SENTENCE.findall(text) if (one := _sentence(part, openings))]
    kept = ""
    for sentence in sentences:
        longer = f"{kept} {sentence}" if kept else sentence
        if len(longer) > max_chars:
            break
        kept = longer
    if kept or not sentences:
        return kept or None
    return _shortened(sentences[0], max_chars) if english else None


def _readable(text: str) -> str:
    """Remove line ends, and the spaces that tokenizers put before punctuation."""
    text = _SPACES.sub(" ", nfc(text)).strip()
    text = _AFTER_MARK.sub(r"\1", _BEFORE_MARK.sub(r"\1", text))
    return _QUOTED.sub(r'"\1"', text)


def _sentence(text: str, openings: Iterable[re.Pattern[str]]) -> str:
    """A sentence with capital and full stop, without openings; "" if it contains no word."""
    text = text.strip(" ,;:-")
    for opening in openings:
        if match := opening.match(text):
            text = text[match.end() :]
    if not any(character.isalnum() for character in text):
        return ""
    text = text[0].upper() + text[1:]
    return text if text.rstrip("\"')]")[-1:] in ".!?؟" else text + "."


def _shortened(sentence: str, max_chars: int) -> str | None:
    """The longest beginning of the sentence that is still a sentence, without its last details."""
    text = sentence.rstrip(".!?")
    for found in reversed(list(_BESIDES.finditer(text, 0, max_chars + 1))):
        shorter = text[: found.start()].rstrip(" ,;")
        whole = len(shorter.split()) >= 3 and not _DANGLING.search(shorter)
        if whole and len(shorter) < max_chars:
            return shorter + "."
    return None
