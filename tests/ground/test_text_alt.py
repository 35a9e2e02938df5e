"""Alternative texts: one plain sentence, whole and short."""

from __future__ import annotations

import pytest

from negah.text import alt_text


@pytest.mark.parametrize(
    ("caption", "text"),
    [
        ("a dog runs on the beach", "A dog runs on the beach."),
        ("A dog runs on the beach .", "A dog runs on the beach."),
        ("a picture of a dog", "A dog."),
        ("An image of a man's hat", "A man's hat."),
        ("This is a black and white photo of a train.", "A train."),
        ("The image shows a cat. It sleeps.", "A cat. It sleeps."),
        ("a man takes a picture of a dog", "A man takes a picture of a dog."),
        ("the dog 's tail , which is n't long", "The dog's tail, which isn't long."),
        ('a sign that says " stop "', 'A sign that says "stop".'),
        ("is it a bird?", "Is it a bird?"),
        ("two\n lines\t of  text", "Two lines of text."),
        ("version 2.5 of a clock", "Version 2.5 of a clock."),
        ("", None),
        (" ... ", None),
    ],
)
def test_alt(caption: str, text: str | None) -> None:
    assert alt_text(caption) == text


LONG = "a man in a red shirt is riding a bike down a street, with a house behind it"


@pytest.mark.parametrize(
    ("most", "text"),
    [
        (125, "A man in a red shirt is riding a bike down a street, with a house behind it."),
        (60, "A man in a red shirt is riding a bike down a street."),
        (20, None),
    ],
)  # fmt: skip
def test_what_is_told_besides_goes_first(most: int, text: str | None) -> None:
    assert alt_text(LONG, max_chars=most) == text


def test_of_several_sentences_those_are_kept_that_fit() -> None:
    text = "A dog sits. It has a red collar. Behind it is a very long wall made of old stones."
    assert alt_text(text, max_chars=40) == "A dog sits. It has a red collar."


@pytest.mark.parametrize("most", range(20, 126, 7))
def test_never_too_long(most: int) -> None:
    text = alt_text(LONG, max_chars=most)
    assert text is None or (len(text) <= most and text.endswith("."))


def test_a_limit_that_holds_nothing() -> None:
    with pytest.raises(ValueError, match="no sentence fits below 20"):
        alt_text("a dog", max_chars=19)
