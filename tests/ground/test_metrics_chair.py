"""CHAIR: the objects that captions name, and how many of them are not there."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negah import __version__
from negah.errors import DataError
from negah.metrics import Accumulator, CaptionScorer, Scores, Settings, default_metrics, score
from negah.metrics.bootstrap import resample
from negah.metrics.chair import categories, categories_of, mentions
from negah.text import words

CHAIR = ["CHAIR-i", "CHAIR-s"]
#: Of each phenomenon that a hundred captions of COCO and of a model showed, a sentence of our own.
SENTENCES = {
    # kinds, other names, plurals
    "Three puppies and a kitten nap on the sofa.": "dog cat couch",
    "A lady and two men carry knives past some geese.": "person person knife bird",
    "The children feed sheep, oxen and a pony.": "person sheep cow horse",
    "Skiers queue with their skis and poles.": "person skis",
    "A doughnut, two burgers and some cupcakes.": "donut sandwich cake",
    "Someone left a mug by the telly.": "person cup tv",
    "A red hydrant next to mice and bowls.": "fire-hydrant mouse bowl",
    # two-word names, the longest first
    "A hot dog beside a dog.": "hot-dog dog",
    "The teddy bear has lost an eye, the bear has not.": "teddy-bear bear",
    "A traffic light and a street light.": "traffic-light",
    "A double-decker bus waits at the bus stop.": "bus",
    "Fire trucks and a pickup truck near the parking meters.": "truck truck parking-meter",
    "He talks on his cell phone in a phone booth.": "cell-phone",
    "A stop sign, a stuffed animal and a tennis racquet.": "stop-sign teddy-bear tennis-racket",
    "Two glasses of wine, a glass of beer and a bag of luggage.": "wine-glass cup suitcase",
    # names that only look like one
    "The train tracks run past an empty train station.": "",
    "Toilet paper, a mouse pad and a banana split.": "",
    "A carrot cake on a cake stand.": "cake",
    "A ski lift above a bird feeder.": "",
    "A dog house beside a flower bed.": "",
    "The computer mouse lies on the desk.": "mouse dining-table",
    "The couple of cows is watched by a couple.": "cow person",
    "A crowd of people.": "person",
    "A coin purse in a paper bag.": "",
    "A semi smile, and a semi on the road.": "truck",
    # words that are also something else
    "An orange shirt, an orange and a pear, an orange and white cat.": "orange cat",
    "A man holding an orange.": "person orange",
    "A boy plays baseball; he hits the baseball with a bat.": ("person sports-ball baseball-bat"),
    "A player at bat waits for a remote chance.": "person",
    "A woman skis while people ski and boys skateboard.": "person person person",
    "The remote is on a glass table.": "remote dining-table",
    "He wants to tie a tie.": "tie",
    # who says which thing is meant
    "A baby elephant walks between adult elephants.": "elephant elephant",
    "A mother and baby zebra.": "zebra",
    "A mother and her baby.": "person person",
    "A baby girl with a baby bottle.": "person bottle",
    # the thing, even if its name is a verb as well
    "A baby bear follows a mother bear and her cubs.": "bear bear",
    "Two adult bears fight over a fish.": "bear",
    "A male duck swims by a few baby ducks.": "bird bird",
    "A mommy duck is followed by an adult crow.": "bird bird",
    "A passenger boat passes the family boat.": "boat boat",
    "The student bike is locked to a fence.": "bicycle|motorcycle",
    # but what one does is a verb: things are one alone, or several
    "A kid skis downhill, another young child skateboards.": "person person",
    "A student bikes home, and a child boards the bus.": "person person bus",
    # one of several
    "A bike, a van and some bags.": "bicycle|motorcycle bus|car|truck backpack|handbag|suitcase",
    # neither capitals nor hyphens nor possessives matter
    "The MAN's T-shirt and the dog's teddy-bear.": "person dog teddy-bear",
    "": "",
}


@pytest.mark.parametrize("sentence", SENTENCES)
def test_objects_are_found(sentence: str) -> None:
    found = mentions(words(sentence))
    assert [
        "|".join(sorted(one.replace(" ", "-") for one in mention.categories)) for mention in found
    ] == SENTENCES[sentence].split()
    tokens = words(sentence)
    for mention in found:
        assert tokens[mention.start].startswith(mention.words.split()[0])
    assert all(one.start < other.start for one, other in pairwise(found))


def test_every_category_is_found_by_its_name_and_its_plural() -> None:
    assert len(categories()) == len(set(categories())) == 80
    for name in categories():
        assert categories_of(name) == {name}
        assert categories_of(name.replace(" ", "_").upper()) == {name}
        found = [one.categories for one in mentions(words(f"there is the {name} here"))]
        # "remote" and "skis" and the like have to stand as nouns, which "here" does not tell
        assert found in ([{name}], [])
        assert [one.categories for one in mentions(words(f"the {name}"))] == [{name}]
    assert categories_of("tree") == frozenset()


def _score(captions: Any, references: Any, objects: Any = None, **options: Any) -> Scores:
    return score(captions, references, objects=objects, metrics=CHAIR, **options)


def test_what_neither_objects_nor_references_know_is_not_there() -> None:
    captions = {
        "1": "a dog and a cat on a bed",  # the cat is not there
        "2": "a man with a dog and a dog",  # the dogs are not
        "3": "a tree in the wind",  # names no object
        "4": "a bike",
    }
    references = {
        "1": ["A puppy.", "It sleeps on the bed."],
        "2": ["Someone.", "People."],
        "3": ["Leaves.", "A tree."],
        "4": ["On the road.", "Going."],
    }
    objects = {"1": ["person"], "2": [], "3": ["bird", "bird"], "4": ["motorcycle"], "5": ["cow"]}
    found = _score(captions, references, objects)
    # mentions: dog, cat, bed; man, dog, dog; none; bike
    assert found.values == pytest.approx({"CHAIR-i": 100 * 3 / 7, "CHAIR-s": 100 * 2 / 4})
    np.testing.assert_allclose(found.per_image["CHAIR-i"], [100 / 3, 200 / 3, np.nan, 0])
    np.testing.assert_allclose(found.per_image["CHAIR-s"], [100, 100, 0, 0])
    assert found.warnings == ()
    common = f"tok:ptb|nrefs:2|v:{__version__}"
    assert found.signatures == {name: f"{name}|words:2|truth:boxes+refs|{common}" for name in CHAIR}
    assert found.lower_is_better == {*CHAIR}
    assert found.to_dict()["scores"]["CHAIR-i"]["unit"] == "percent"
    assert found.to_dict()["scores"]["CHAIR-s"]["lower_is_better"] is True


def test_the_signature_says_what_was_known() -> None:
    captions, references = {"1": "a dog", "2": "a cow"}, {"1": ["x", "y"], "2": ["x", "a cow"]}
    alone = _score(captions, references)
    assert "|truth:refs|" in alone.signatures["CHAIR-i"]
    assert alone.warnings[-1].startswith("CHAIR: the images have no list of objects")
    some = _score(captions, references, {"1": ["dog", "unicorn"]})
    assert "|truth:boxes-1+refs|" in some.signatures["CHAIR-s"]
    assert some.warnings[-2].startswith("CHAIR: 1 of 2 images have no list of objects")
    assert some.warnings[-1].endswith("are ignored, such as 'unicorn'")
    assert (alone["CHAIR-i"], some["CHAIR-i"]) == (50, 0)
    nothing = _score(["a tree"], [["x"]], [["dog"]])
    assert nothing.values == {"CHAIR-i": 0, "CHAIR-s": 0}
    assert nothing.warnings[-1].startswith("CHAIR-i is 0 because no caption names an object")


def test_by_default_it_is_there_where_objects_are() -> None:
    assert [*default_metrics(), *CHAIR] == [*default_metrics(Settings(objects=[["dog"]]))]


@pytest.mark.parametrize(
    ("objects", "message"),
    [
        ({"1": ["dog"]}, "one of each"),
        ([["dog"], ["cat"]], "objects of 2 images for 1 images"),
        ("dog", "objects is 'dog'"),
        (["dog"], "a list of names, not 'dog'"),
        ([[["dog", 1, 2, 3, 4]]], "a text, not"),
    ],
)
def test_objects_that_do_not_fit_are_refused(objects: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        _score(["a dog"], [["a dog"]], objects)
    with pytest.raises(DataError, match="none of them is among the 1"):
        _score({"1": "x"}, {"1": ["x"]}, {"2": ["dog"]})


#: One word for each of some categories, and one for none.
NAMES = {"dog": "dog", "cats": "cat", "sofa": "couch", "hot dog": "hot dog", "tree": None}
sentences = st.lists(st.sampled_from(sorted(NAMES)), max_size=5)
corpora = st.lists(
    st.tuples(
        sentences,
        st.lists(sentences, min_size=1, max_size=2),
        st.lists(st.sampled_from(["dog", "cat", "couch", "hot dog"]), max_size=3),
    ),
    min_size=1,
    max_size=5,
)


def _text(parts: list[str]) -> str:
    return " and ".join(parts)


def _oracle(rows: list[tuple[list[str], list[list[str]], list[str]]]) -> tuple[float, float]:
    """The definition, counted word by word."""
    named = invented = captions = 0
    for caption, references, objects in rows:
        there = {*objects} | {NAMES[one] for row in references for one in row}
        things = [NAMES[one] for one in caption if NAMES[one]]
        absent = [one for one in things if one not in there]
        named += len(things)
        invented += len(absent)
        captions += bool(absent)
    return 100 * invented / named if named else 0.0, 100 * captions / len(rows)


@settings(max_examples=40)
@given(corpora)
def test_scores_and_intervals_are_those_of_the_definition(corpus: Any) -> None:
    captions = [_text(caption) for caption, _, _ in corpus]
    references = [[_text(row) for row in rows] for _, rows, _ in corpus]
    found = _score(captions, references, [objects for _, _, objects in corpus], tokenised=True)
    assert tuple(found.values.values()) == pytest.approx(_oracle(corpus))
    drawn = [
        _oracle([corpus[image] for image in np.repeat(np.arange(len(corpus)), counts)])
        for counts in resample(np.eye(len(corpus)), 20, seed=3).astype(int)
    ]
    expected = np.quantile(np.array(drawn), [0.025, 0.975], axis=0)
    intervals = found.intervals(resamples=20, seed=3)
    for name, ends in zip(CHAIR, expected.T, strict=True):
        assert intervals[name] == pytest.approx(ends)


@settings(max_examples=20)
@given(corpora, st.data())
def test_what_more_truth_and_more_words_do(corpus: Any, data: Any) -> None:
    captions = [_text(caption) for caption, _, _ in corpus]
    references = [[_text(row) for row in rows] for _, rows, _ in corpus]
    objects = [list(seen) for _, _, seen in corpus]
    before = _score(captions, references, objects)
    image = data.draw(st.integers(0, len(corpus) - 1))
    thing = data.draw(st.sampled_from(["dog", "cat", "couch", "hot dog"]))
    # knowing more of an image never makes a caption worse, whoever knows it
    seen = [[*one, thing] if n == image else one for n, one in enumerate(objects)]
    said = [[*one, thing] if n == image else one for n, one in enumerate(references)]
    for after in (_score(captions, references, seen), _score(captions, said, objects)):
        assert all(after[name] <= before[name] for name in CHAIR)
    # naming what is there makes CHAIR-i no worse, and CHAIR-s stays
    longer = [f"{one} and {thing}" if n == image else one for n, one in enumerate(captions)]
    there, named = _score(captions, references, seen), _score(longer, references, seen)
    assert named["CHAIR-i"] <= there["CHAIR-i"]
    assert named["CHAIR-s"] == there["CHAIR-s"]
    # words that name nothing change nothing
    assert _score([f"{one} slowly" for one in captions], references, objects).values == (
        before.values
    )


def test_systems_are_compared_and_parts_merged() -> None:
    names = [str(n) for n in range(40)]
    references = {name: ["a dog on the road", "a dog"] for name in names}
    good = dict.fromkeys(names, "a dog and a dog")
    bad = {name: "a dog and a cat" if int(name) % 4 else "a dog" for name in names}
    objects = {name: ["dog"] for name in names}
    scorer = CaptionScorer(references, metrics=CHAIR, objects=objects)
    found = scorer.score(good).compare(scorer.score(bad), resamples=200)
    for one in found.values():
        assert one.lower_is_better
        assert one.first_is_better
        assert one.difference < 0
        assert max(one.p_bootstrap, one.p_randomisation) < 0.05
    parts = [Accumulator(metrics=CHAIR, objects=objects) for _ in range(2)]
    for name in names:
        parts[int(name) % 2].add({name: bad[name]}, {name: references[name]})
    state = parts[1].state_dict()
    parts[0].merge(Accumulator.from_state_dict(state, objects=objects))
    assert parts[0].scores().values == scorer.score(bad).values
    with pytest.raises(DataError, match="not the state"):
        Accumulator.from_state_dict(state)
