"""Photos of coloured shapes with captions that say what they show, for the quick setting.

With them a study runs from end to end in seconds, on a machine that has neither Flickr8k nor the
weights of an encoder. What it measures then means nothing.
"""

from __future__ import annotations

import csv
import io
from itertools import product
from pathlib import Path

from PIL import Image, ImageDraw

from negah.files import atomic_path, write_text

_COLOURS = ("red", "green", "blue", "yellow", "purple")
_SHAPES = ("circle", "square", "triangle", "bar")
_GROUNDS = {"white": "#f4f4f4", "black": "#202020", "grey": "#909090"}


def make_photos(folder: Path) -> Path:
    """Write 60 photos of 64 x 64 pixels and ``captions.csv``, unless they are there.

    Two thirds are ``train``, one sixth each ``dev`` and ``test``; five captions of each.
    """
    table = folder / "captions.csv"
    if table.is_file():
        return folder
    (folder / "images").mkdir(parents=True, exist_ok=True)
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["image", "caption", "split"])
    for number, (colour, shape, ground) in enumerate(product(_COLOURS, _SHAPES, _GROUNDS)):
        name = f"{colour}-{shape}-{ground}.png"
        with atomic_path(folder / "images" / name) as temporary:
            _draw(colour, shape, _GROUNDS[ground]).save(temporary, format="PNG")
        split = {2: "dev", 5: "test"}.get(number % 6, "train")
        for caption in (
            f"a {colour} {shape} on a {ground} ground",
            f"one {shape} which is {colour}",
            f"there is a {colour} {shape}",
            f"a {shape} in {colour} on {ground}",
            f"the {shape} is {colour} and the ground is {ground}",
        ):
            writer.writerow([name, caption, split])
    write_text(table, rows.getvalue())
    return folder


def _draw(colour: str, shape: str, ground: str) -> Image.Image:
    image = Image.new("RGB", (64, 64), ground)
    draw = ImageDraw.Draw(image)
    box = (14, 14, 50, 50)
    if shape == "circle":
        draw.ellipse(box, fill=colour)
    elif shape == "square":
        draw.rectangle(box, fill=colour)
    elif shape == "triangle":
        draw.polygon([(32, 10), (10, 54), (54, 54)], fill=colour)
    else:
        draw.rectangle((4, 26, 60, 38), fill=colour)
    return image
