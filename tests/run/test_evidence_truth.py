"""What references and boxes say of the words of a caption."""

from __future__ import annotations

import pytest

from negah.evidence.truth import Truth, agreement, other_names


@pytest.mark.parametrize(
    ("caption", "reference", "supported"),
    [
        # function words and words that show nothing have no truth
        ("a dog in front of it", "a dog", [None, True, None, None, None, None]),
        ("red cars", "the red car", [True, True]),  # the same stem
        ("running", "a dog runs", [True]),
        ("an animal", "a cute puppy", [None, True]),  # a kind, and a kind of that
        ("fruit", "two bananas", [True]),
        ("sandal", "a shoe", [False]),  # what is more general says nothing of it
        ("sweatshirt", "a man in a shirt", [False]),
        ("gray", "a grey wall", [True]),
        ("kitten", "a cat", [True]),  # a category of COCO, as CHAIR counts
        ("woman", "a man", [True]),
        ("hot dog", "a hot dog", [True, True]),
        ("zebra", "a dog", [False]),
        ("standing", "a man sits", [False]),
    ],
)
def test_what_a_reference_supports(
    caption: str, reference: str, supported: list[bool | None]
) -> None:
    assert Truth.of([reference.split()]).of_words(caption.split()) == supported


def test_any_reference_supports_and_boxes_do() -> None:
    truth = Truth.of([["a", "room"], ["a", "red", "lamp"]], ["couch", "not a category"])
    words = ["a", "red", "sofa", "and", "a", "chair"]
    assert truth.of_words(words) == [None, True, True, None, None, False]
    assert Truth.of([]).of_words(["dog"]) == [False]


def test_kinds_are_no_circle_of_people_and_things() -> None:
    said = Truth.of([["a", "chair", "near", "a", "group", "of", "cows"]]).said
    assert {"anim", "cow", "chair"} <= said
    assert not {"person", "sit", "dog"} & said


def test_agreement_counts_what_others_say() -> None:
    counts = agreement([[["a", "dog"], ["a", "puppy"], ["red", "grass"]], [["dog"]]])
    # the puppy bears out the dog; of the category dog each name bears out the other
    assert counts == {"dog": (1, 1), "puppy": (1, 1), "red": (1, 0), "grass": (1, 0)}


def test_other_names() -> None:
    assert "sofa" in other_names("couch")
    assert other_names("xylophone") == {"xylophon"}
