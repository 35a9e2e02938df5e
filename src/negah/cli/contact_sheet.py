"""``negah caption --format html``: a page of thumbnails and captions for a person to correct.

It needs no other file. Corrections are saved from the page as CSV, which ``negah apply`` writes to
where captions are kept.
"""

from __future__ import annotations

import html
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING

from negah.captions import Caption, Word
from negah.cli.clock import TimeRange
from negah.cli.metadata import model_of
from negah.cli.writers import OutputLayout, RowOutput, RowWriter
from negah.errors import MediaError
from negah.media import is_clip, read_image
from negah.text.languages import DEFAULT, language_of
from negah.textfiles import printable

if TYPE_CHECKING:
    from PIL import Image

#: Pixels on the longer side of a thumbnail.
_SIDE = 384


class HtmlWriter(RowWriter):
    """A card for every photo and clip, as they come."""

    def __init__(self, rows: RowOutput, layout: OutputLayout) -> None:
        from negah.evidence.words import attributes, translated

        super().__init__(rows, layout)
        self._language = language_of(layout.language)
        page = resources.files(__package__).joinpath("contact_sheet.html").read_text("utf-8")
        page = page.replace("{{page}}", attributes(layout.language))
        head, self._tail = translated(page, layout.language).split("<!-- cards -->\n")
        rows.begin(head)

    def write(self, path: Path, caption: Caption, span: TimeRange | None = None) -> None:
        """See :meth:`Writer.write`."""
        from negah.evidence.words import attributes, percent

        own, name = self._language, html.escape(printable(str(path)))
        confidence = caption.confidence
        known = "" if confidence is None else f' data-confidence="{confidence:.4f}"'
        notes = [*caption.warnings]
        if confidence is not None:
            said = "all of it is seen with a probability of {share}"
            notes.insert(0, own.say(said, share=percent(confidence, own.code)))
        written = 'dir="auto"' if caption.language == DEFAULT else attributes(caption.language)
        words = " ".join(_word(word) for word in caption.words)
        others = "".join(
            f'<button type="button" {written}>{html.escape(other.text)}</button>'
            for other in caption.alternatives
        )
        by_words, instead = (html.escape(own.say(one)) for one in ("By words:", "Instead:"))
        text = html.escape(caption.text)
        model = html.escape(model_of(self._layout.model, path, caption.language))
        self.put(
            f'<li class="card" data-path="{name}" data-caption="{text}" data-model="{model}" '
            f'data-language="{html.escape(caption.language)}"{known}>'
            f'{self._thumbnail(path, caption)}<div class="said"><p><bdi>{name}</bdi></p>'
            f"<label>{html.escape(own.say('Caption'))}"
            f'<textarea rows="3" {written} maxlength="2000">{text}</textarea></label>'
            + (f"<p>{html.escape('; '.join(notes))}</p>" if notes else "")
            + (f"<p>{by_words} <bdi {written}>{words}</bdi></p>" if "unsure" in words else "")
            + (f'<div class="others"><p>{instead}</p>{others}</div>' if others else "")
            + "</div></li>\n"
        )

    def finish(self) -> None:
        """End the page."""
        self._rows.end(self._tail)

    def _thumbnail(self, path: Path, caption: Caption) -> str:
        """A thumbnail of the photo, or of the middle frame used."""
        from negah.evidence.encoding import photo_uri

        try:
            uri = photo_uri(self._picture(path, caption), _SIDE)
        except MediaError:  # it was removed since it was captioned
            return ""
        return f'<img alt="" loading="lazy" src="{uri}">'

    def _picture(self, path: Path, caption: Caption) -> Image.Image:
        most = self._layout.max_pixels
        if not is_clip(path):
            return read_image(path, max_pixels=most, target_size=(_SIDE, _SIDE)).image
        from negah.media.videos import open_clip

        time = caption.times[len(caption.times) // 2]
        (frame,) = open_clip(path, max_pixels=most).at([time])
        return frame.image


def _word(word: Word) -> str:
    text = html.escape(word.text)
    return f'<span class="unsure">{text}</span>' if word.doubtful else text
