"""What the bundled captioner believes of photographs, and of what is none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from common import REPOSITORY
from negah.calibration.pictures import not_a_photo
from negah.runtime import Captioner

#: Not those that a model is calibrated with.
_FIRST = 1_000_000


@pytest.fixture(scope="module")
def captioner() -> Captioner:
    found = Captioner("negah-photo")
    if found.backend.sight.judge is None:
        pytest.skip("the bundled model has not been calibrated")
    return found


def below(captioner: Captioner, pictures: Iterator[Image.Image] | list[Path]) -> float:
    """The share that is doubted."""
    least = captioner.least_confidence()
    captions = [result.caption for result in captioner.caption_many(pictures)]
    confidence = [one.confidence for one in captions if one is not None]
    return float(np.mean([one is not None and one < least for one in confidence]))


def test_a_page_is_doubted_and_photographs_are_not(captioner: Captioner) -> None:
    page = Image.new("RGB", (320, 240), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(18)
    for line in range(9):
        draw.text((12, 8 + 25 * line), "Dear Sir or Madam, thank you", "black", font)
    blank = Image.new("RGB", (300, 300), "white")
    assert below(captioner, iter([page, blank])) == 1
    assert captioner.caption(blank).warnings
    # of others, such as a rocket, the captions are wrong, and are doubted too
    photos = [
        REPOSITORY / "examples" / "photos" / f"{name}.jpg" for name in ("cat", "dog", "street")
    ]
    assert below(captioner, photos) == 0


@pytest.mark.heavy
def test_of_500_pictures_that_are_no_photographs_nothing_is_believed(
    captioner: Captioner, data_root: Path
) -> None:
    others = (not_a_photo(_FIRST + number) for number in range(500))
    assert below(captioner, others) >= 0.95
    photos = sorted((data_root / "flickr8k" / "Images").glob("*.jpg"))[::20]
    photos += sorted((data_root / "coco" / "images").glob("*.jpg"))[::30]
    assert below(captioner, photos) <= 0.03
