"""A caption as a self-contained HTML page with its words and their maps.

Hovering or focusing a word shows its map over the picture and its numbers; everything is accessible
by keyboard, and the numbers are also in a table for screen readers. Text is escaped, and the page's
content security policy allows no loading.
"""

from __future__ import annotations

import html
import json
from collections.abc import Sequence
from importlib import resources
from string import Template
from typing import Any

from PIL import Image

from negah.captions import Caption, Word
from negah.errors import UsageError
from negah.evidence.encoding import light_uri, photo_uri
from negah.evidence.light import frame_shares, has_maps, light_of_maps, maps_of
from negah.evidence.words import alternatives, attributes, describe, percent, translated
from negah.text.languages import DEFAULT, Language, language_of

_PHOTO_SIDE, _FRAME_SIDE = 1200, 640
#: Pixels of a cell of light, over a photo and over a frame of a clip.
_PHOTO_CELL, _FRAME_CELL = 24, 12


def page_of(
    pictures: Sequence[Image.Image], caption: Caption, *, method: str, name: str, model: str
) -> str:
    """The page of a caption, as HTML.

    Args:
        pictures: the photo, or the frames that the captioner saw, upright, in order.
        caption: explained.
        method: of evidence, that made the maps.
        name: of the photo or clip.
        model: that captioned.

    Raises:
        UsageError: the words have no maps, or those of another number of frames.
    """
    if not has_maps(caption) or maps_of(caption).shape[1] != len(pictures):
        raise UsageError("a page needs a caption that was explained, and its frames")
    clip = len(pictures) > 1
    side = _FRAME_SIDE if clip else _PHOTO_SIDE
    frames = [photo_uri(picture, side) for picture in pictures]
    words = _words(caption, nats=method != "attention", cell=_FRAME_CELL if clip else _PHOTO_CELL)
    own = language_of(caption.language)
    template = resources.files(__package__).joinpath("page.html").read_text(encoding="utf-8")
    return Template(translated(template, own.code)).substitute(
        page=attributes(own.code),
        title=html.escape(f"{caption.text} - {name}"),
        written=_written(caption),
        words=" ".join(_button(word, n, own) for n, word in enumerate(caption.words)),
        about=_about(caption),
        legend=_legend(caption),
        ratio=f"{pictures[0].width / pictures[0].height:.4f}",
        alt=html.escape(caption.text),
        first=frames[0],
        strip=_strip(frames, caption.times, own) if clip else "",
        rows="\n".join(_row(word, _written(caption), own) for word in words),
        others=_others(caption),
        footer=html.escape(
            own.say(
                "{name}, captioned by {model}; evidence by {method}. Made by Negah.",
                name=_isolated(name, caption),
                model=_isolated(model, caption),
                method=_isolated(method, caption),
            )
        ),
        # "<" would end the script early
        data=json.dumps({"words": words, "frames": frames}).replace("<", "\\u003c"),
    )


def _words(caption: Caption, *, nats: bool, cell: int) -> list[dict[str, Any]]:
    """The data of each word for the page's script."""
    maps_TFHW = maps_of(caption)
    light_TFHW, shares_TF = light_of_maps(maps_TFHW), frame_shares(maps_TFHW)
    others = alternatives(caption)
    own, many = language_of(caption.language), len(caption.alternatives)
    return [
        {
            "text": word.text,
            "told": describe(word, caption.times, nats=nats, language=own.code),
            "others": [
                own.say("{text} ({n} of {all})", text=_isolated(text, caption), n=n, all=many)
                for text, n in others[t]
            ],
            "masks": [light_uri(light_HW, cell) for light_HW in light_TFHW[t]],
            "shares": [round(float(share), 3) for share in shares_TF[t]],
            "best": int(shares_TF[t].argmax()),
        }
        for t, word in enumerate(caption.words)
    ]


def _written(caption: Caption) -> str:
    """The attributes of elements that hold words of the caption."""
    return 'dir="auto"' if caption.language == DEFAULT else attributes(caption.language)


def _isolated(text: str, caption: Caption) -> str:
    """Words within a line of others: whatever their direction, the line keeps its own."""
    return text if caption.language == DEFAULT else f"\u2068{text}\u2069"


def _button(word: Word, number: int, language: Language) -> str:
    seen = word.seen
    kind = "word unsure" if word.doubtful else "word"
    shade = "" if seen is None else f' style="--seen:{seen:.2f}"'
    said = ""
    if seen is not None:
        said = language.say("supported with {share}", share=percent(seen, language.code))
        said = f' title="{html.escape(said)}"'
    return (
        f'<button type="button" class="{kind}" aria-pressed="false" data-number="{number}"'
        f"{shade}{said}>{html.escape(word.text)}</button>"
    )


def _about(caption: Caption) -> str:
    """How sure the caption as a whole is, and its warnings."""
    own = language_of(caption.language)
    said = []
    if caption.confidence is not None:
        sure = "The whole caption is in the picture with a probability of {share}."
        said.append(own.say(sure, share=percent(caption.confidence, own.code)))
    said.extend(
        own.say("Note: {warning}.", warning=_isolated(warning, caption))
        for warning in caption.warnings
    )
    return f'<p class="quiet">{html.escape(" ".join(said))}</p>' if said else ""


def _legend(caption: Caption) -> str:
    """What the marks of the page mean: each with a sample. Without ``seen``, no word is marked."""
    own = language_of(caption.language)
    rows = []
    if any(word.seen is not None for word in caption.words):
        rows += [
            (
                'class="sample" style="--seen:0.9"',
                own.say("This word comes from the picture: the darker, the more probable."),
            ),
            (
                'class="sample unsure"',
                own.say(
                    "This word is probably a guess from the words before it: the picture does not "
                    "clearly show it."
                ),
            ),
            ('class="sample"', own.say('Words like "a" and "in" are not judged.')),
        ]
    rows.append(
        (
            'class="sample light"',
            own.say("Choose a word: the part of the picture that it comes from stays lit."),
        )
    )
    sample = html.escape(own.say("word"))
    return "".join(
        f"<li><span {mark}>{sample}</span><span>{html.escape(said)}</span></li>"
        for mark, said in rows
    )


def _strip(frames: Sequence[str], times: Sequence[float], language: Language) -> str:
    shown = [language.number(f"{time:.1f}") for time in times]
    items = "".join(
        f'<li><button type="button" aria-pressed="{str(n == 0).lower()}" '
        f'aria-label="{_said(language, "the frame at {time} seconds", time=time)}">'
        f'<span class="picture" '
        f'style="display:block"><img class="base" alt="" src="{frame}"><img class="lit" alt="" '
        f'src="{frame}"></span>{_said(language, "{time} s", time=time)}'
        f'<span class="share"><i></i></span></button></li>'
        for n, (frame, time) in enumerate(zip(frames, shown, strict=True))
    )
    said = _said(language, "The frames; bars are their shares of what supports the word")
    return f'<ol class="strip" aria-label="{said}">{items}</ol>'


def _row(word: dict[str, Any], written: str, language: Language) -> str:
    told = " ".join(map(html.escape, word["told"]))
    others = ", ".join(map(html.escape, word["others"])) or _said(language, "the same")
    return (
        f'<tr><th scope="row" {written}>{html.escape(word["text"])}</th><td>{told}</td>'
        f"<td>{others}</td></tr>"
    )


def _others(caption: Caption) -> str:
    if not caption.alternatives:
        return ""
    written = _written(caption)
    items = "".join(f"<li {written}>{html.escape(one.text)}</li>" for one in caption.alternatives)
    said = _said(language_of(caption.language), "The other captions of the beam")
    return f"<details><summary>{said}</summary><ol>{items}</ol></details>"


def _said(language: Language, message: str, **values: object) -> str:
    return html.escape(language.say(message, **values))
