"""Persian captions and sentences of the photos of coloured shapes, for the quick setting."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from negah.data import load_dataset
from negah.files import write_text

#: Of :mod:`negah.studies.made`, word by word; adjectives behind their nouns.
_WORDS = {
    "red": "قرمز", "green": "سبز", "blue": "آبی", "yellow": "زرد", "purple": "بنفش",
    "circle": "دایره", "square": "مربع", "triangle": "مثلث", "bar": "میله",
    "white": "سفید", "black": "سیاه", "grey": "خاکستری",
}  # fmt: skip


def make_persian(data: Path, sentences: Path) -> None:
    """Write the table ``captions_fa.csv`` beside the English one, and the sentences.

    Each caption is made of the colour, the shape and the ground in the photo's name.
    """
    rows, texts = io.StringIO(), []
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["image", "caption", "split"])
    for example in load_dataset(data).examples:
        parts = Path(example.name).stem.split("-")
        colour, shape, ground = (_WORDS[part] for part in parts)
        for caption in (
            f"یک {shape} {colour} روی زمینه {ground}",
            f"{shape}ی که {colour} است",
            f"یک {shape} {colour} دیده می شود",
            f"یک {shape} {colour} می‌شود دید",
            f"{shape} {colour} است و زمینه {ground} است",
        ):
            writer.writerow([example.name, caption, example.split])
            texts.append(caption.replace("یک", "این"))
    write_text(data / "captions_fa.csv", rows.getvalue())
    write_text(sentences, "\n".join(dict.fromkeys(texts)) + "\n")
