"""However a photo is damaged, opening it ends in a picture or in one MediaError.

Warnings are errors in this suite, so that one that leaks fails here, too.
"""

from __future__ import annotations

import random

import pytest

from negah.errors import MediaError
from negah.media import read_image
from tiny_photos import every_kind

FILES = every_kind()


def damaged(content: bytes, dice: random.Random) -> bytes:
    """With some bits flipped, bytes lost, blocks of zeros, or without an end."""
    found = bytearray(content)
    # Headers and metadata stand in front: half of the damage is there.
    for _ in range(dice.choice((0, 1, 1, 2, 6))):
        place = dice.randrange(min(400, len(found)) if dice.random() < 0.5 else len(found))
        found[place] ^= 1 << dice.randrange(8)
    if dice.random() < 0.2:
        place = dice.randrange(len(found))
        found[place : place + dice.randrange(1, 40)] = bytes(dice.choice((0, 7)))
    if dice.random() < 0.4:
        del found[dice.randrange(len(found)) :]
        found += bytes(dice.choice((0, 0, 100)))
    return bytes(found)


@pytest.mark.parametrize(
    "tries", [150, pytest.param(3000, marks=pytest.mark.heavy)], ids=lambda tries: str(tries)
)
def test_damage_ends_in_a_picture_or_in_one_error(tries):
    names = list(FILES)
    refusals: list[str] = []
    for number in range(tries):
        dice = random.Random(number)
        name = names[number % len(names)]
        content = damaged(FILES[name], dice)
        target = (8, 8) if number % 3 else None
        try:
            opened = read_image(content, max_pixels=1_000_000, target_size=target)
        except MediaError as error:
            refusals.append(str(error))
        except BaseException as error:
            raise AssertionError(f"try {number}, {name}: {error!r}") from error
        else:
            assert opened.image.mode == "RGB", (number, name)
            assert min(opened.image.size) > 0, (number, name)
            assert all(said.startswith("read only in part: ") for said in opened.warnings)
    assert 0 < len(refusals) < tries
    assert not [message for message in refusals if "\n" in message]
