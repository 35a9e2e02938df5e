"""All metrics at once: scale, names, signatures, warnings, confidence intervals, comparisons."""

from __future__ import annotations

import json
import logging
from typing import Any

import numpy as np
import pytest

from negah import __version__
from negah.errors import DataError, UnknownNameError, UsageError
from negah.metrics import (
    METRICS,
    CaptionScorer,
    DocumentFrequencies,
    bleu,
    cider,
    cider_d,
    compare,
    default_metrics,
    diversity,
    rouge_l,
    score,
)
from negah.metrics.bleu import bleu_of
from negah.metrics.bootstrap import resample
from negah.text import words

#: Without METEOR, which may not be installed, and CHAIR; they have tests of their own.
OWN = tuple(metric for metric in METRICS if metric not in ("METEOR", "CHAIR-i", "CHAIR-s"))
REFERENCES = {
    "a.jpg": ["A dog runs on the grass .", "The dog's ball is on the green grass ."],
    "b.jpg": ["Two men sit on a bench .", "Men sitting on a wooden bench ."],
    "c.jpg": ["A girl in a red coat smiles .", "A smiling girl wears red ."],
}
HYPOTHESES = {
    "c.jpg": "A girl in a red coat .",
    "a.jpg": "A dog runs with a ball on the grass",
    "b.jpg": "Two dogs sit on a bench",
}
OTHERS = {
    "a.jpg": "A dog on the grass",
    "b.jpg": "A bench in a park",
    "c.jpg": "A girl",
}


def _tokens() -> tuple[list[list[str]], list[list[list[str]]]]:
    return (
        [words(HYPOTHESES[name]) for name in REFERENCES],
        [[words(caption) for caption in row] for row in REFERENCES.values()],
    )


def test_the_scale_is_a_hundred_and_the_words_are_those_of_the_metrics() -> None:
    scores = score(HYPOTHESES, REFERENCES, metrics=OWN)
    corpus = _tokens()
    metrics = (rouge_l, cider, cider_d)
    expected = [*bleu(*corpus).corpus, *(metric(*corpus).corpus for metric in metrics)]
    assert tuple(scores.values) == OWN
    assert list(scores.values.values()) == pytest.approx([100 * value for value in expected])
    assert scores["CIDEr-D"] == scores.values["CIDEr-D"]
    assert scores.per_image["ROUGE-L"].mean() == pytest.approx(scores["ROUGE-L"])
    assert scores.images == 3
    assert scores.names == tuple(REFERENCES)
    assert scores.warnings == ()
    assert scores.diversity == diversity(corpus[0])
    with pytest.raises(UnknownNameError, match="CIDEr-D"):
        scores["SPICE"]


def test_metrics_are_chosen_by_name() -> None:
    assert {*default_metrics()} | {"CIDEr", "METEOR", "CHAIR-i", "CHAIR-s"} == {*METRICS}
    assert "CIDEr" not in default_metrics()
    everything = score(HYPOTHESES, REFERENCES, metrics=OWN)
    for name in OWN:
        alone = score(HYPOTHESES, REFERENCES, metrics=[name])
        assert alone.values == {name: everything[name]}
        assert list(alone.per_image) == list(alone.intervals()) == [name]
    # in the order of the tables, whatever the order given
    some = score(HYPOTHESES, REFERENCES, metrics=["CIDEr-D", "BLEU-4"])
    assert list(some.values) == ["BLEU-4", "CIDEr-D"]
    with pytest.raises(
        UnknownNameError, match=r"unknown metric 'CIDEr-d'\. Did you mean 'CIDEr-D'"
    ):
        score(HYPOTHESES, REFERENCES, metrics=["CIDEr-d"])
    for wrong in ([], "BLEU-4"):
        with pytest.raises(UsageError, match="give a list of BLEU-1"):
            score(HYPOTHESES, REFERENCES, metrics=wrong)


def test_signatures() -> None:
    scores = score(HYPOTHESES, REFERENCES, metrics=OWN)
    common = f"tok:ptb|nrefs:2|v:{__version__}"
    assert scores.signatures == {
        **{f"BLEU-{n}": f"BLEU-{n}|reflen:closest|smooth:none|{common}" for n in range(1, 5)},
        "ROUGE-L": f"ROUGE-L|beta:1.2|{common}",
        "CIDEr": f"CIDEr|n:4|stem:porter|df:refs|{common}",
        "CIDEr-D": f"CIDEr-D|n:4|sigma:6|df:refs|{common}",
    }
    other = score(
        ["a b", "c"],
        [["a b"], ["c d", "c", "e"]],
        metrics=["BLEU-4", "CIDEr-D"],
        frequencies=DocumentFrequencies.of([["a"], ["b"], ["c"], ["d"]]),
        tokenised=True,
        reference_length="average",
    )
    common = f"tok:none|nrefs:1-3|v:{__version__}"
    assert other.signatures == {
        "BLEU-4": f"BLEU-4|reflen:average|smooth:none|{common}",
        "CIDEr-D": f"CIDEr-D|n:4|sigma:6|df:given-4|{common}",
    }


def test_a_prepared_scorer_gives_the_same_every_time() -> None:
    scorer = CaptionScorer(REFERENCES, metrics=OWN)
    first = scorer.score(HYPOTHESES)
    scorer.score(dict.fromkeys(REFERENCES, "a dog"))
    assert scorer.score(HYPOTHESES).values == first.values
    assert first.values == score(HYPOTHESES, REFERENCES, metrics=OWN).values
    in_order = score(
        [HYPOTHESES[name] for name in REFERENCES], list(REFERENCES.values()), metrics=OWN
    )
    assert in_order.values == first.values
    assert in_order.names is None


def test_frequencies_can_be_taken_from_a_scorer() -> None:
    table = CaptionScorer(REFERENCES, metrics=OWN).frequencies
    assert table.count("on") == 2
    given = score(HYPOTHESES, REFERENCES, metrics=["CIDEr-D"], frequencies=table)
    assert given.values == score(HYPOTHESES, REFERENCES, metrics=["CIDEr-D"]).values
    with pytest.raises(DataError, match="CIDEr takes document frequencies of stems"):
        score(HYPOTHESES, REFERENCES, metrics=["CIDEr"], frequencies=table)


def test_already_tokenised_text_is_left_alone() -> None:
    references = [["A ."], ["B ."]]
    captions = ["a .", "b ."]
    as_given = score(captions, references, tokenised=True, metrics=OWN)
    assert as_given["BLEU-1"] == pytest.approx(50)
    assert score(captions, references, metrics=OWN)["BLEU-1"] == pytest.approx(100)


def test_novel_captions_are_told_by_their_words() -> None:
    training = ["a girl, in a RED coat", "a cat"]
    scores = score(HYPOTHESES, REFERENCES, metrics=["BLEU-1"], training=training)
    assert scores.diversity.novel == pytest.approx(2 / 3)
    with pytest.raises(DataError, match="training is one string"):
        score(HYPOTHESES, REFERENCES, metrics=["BLEU-1"], training="a cat")


def _warnings(hypotheses: Any, references: Any) -> tuple[str, ...]:
    return score(hypotheses, references, metrics=OWN).warnings


def test_warnings(caplog: pytest.LogCaptureFixture) -> None:
    two = ["a dog", "the dog"]
    with caplog.at_level(logging.WARNING, logger="negah.metrics"):
        alone = _warnings(["a dog"], [two])
    zero = "{} is 0 by its definition: {}, and its document frequencies come from these references"
    assert alone == (
        "a single image: confidence intervals are meaningless",
        *(zero.format(name, "a single image") for name in ("CIDEr", "CIDEr-D")),
    )
    assert alone[1] in caplog.text

    assert _warnings(["a dog", "a cat"], [two, two[::-1]]) == (
        "all images share the same references",
        *(
            zero.format(name, "all images have the same references")
            for name in ("CIDEr", "CIDEr-D")
        ),
    )

    (twins,) = _warnings(["a", "b", "c"], [["a x", "b"], ["b", "a x"], ["c", "d"]])
    assert twins.startswith("2 of 3 images have the same references as another image")

    one = _warnings(["a dog", "..."], [["a dog"], two])
    assert one[0].startswith("1 of 2 images have one reference where five are usual")
    assert one[-1] == "1 of 2 captions have no words and score 0"

    (copied,) = _warnings(["a", "b"], [["a dog", "A dog."], ["b", "b c"]])
    assert copied.startswith("1 of 2 images have the same sentence for every reference")

    (wordless,) = _warnings(["a", "b"], [["a dog", "..."], ["b", "b c"]])
    assert wordless == "1 of 4 references have no words"

    strange = _warnings(["x", "y"], [["a dog", "the"], ["b", "b c"]])
    for warning, name in zip(strange, ("CIDEr", "CIDEr-D"), strict=True):
        assert warning.startswith(f"{name} is 0 for every image: no caption shares")


def test_the_same_caption_again_and_again() -> None:
    references = [[f"a {i}", f"the {i}"] for i in range(20)]
    captions = ["a man"] * 9 + [f"a {i}" for i in range(9, 20)]
    (found,) = _warnings(captions, references)
    assert found == "the same caption for 45% of the images: 'a man'"
    references[0].append("man")
    (found,) = _warnings(["A man.", *["a man"] * 19], references)
    assert found == "the same caption for every image: 'a man'"
    # two of twenty are no sign
    assert _warnings([*["a 0"] * 2, *[f"a {i}" for i in range(2, 20)]], references) == ()


def test_names_and_numbers_must_match() -> None:
    rows = list(REFERENCES.values())
    cases: list[tuple[Any, Any, str]] = [
        (
            {"a.jpg": "x", "b.jpg": "y"},
            REFERENCES,
            r"1 images have references but no hypothesis \(c.jpg\)",
        ),
        (
            {**HYPOTHESES, "d.jpg": "x"},
            REFERENCES,
            r"1 a hypothesis but no references \(d.jpg\)",
        ),
        (list(HYPOTHESES.values()), REFERENCES, "one of each"),
        (HYPOTHESES, rows, "one of each"),
        (["a"], rows, "exactly one hypothesis"),
        (["a"], [[]], "no references"),
        ({}, {}, "no images"),
        ("a", [["a"]], "one string"),
        (["a"], ["a"], "one string"),
        ([None], [["a"]], r"a caption is a text, not None \(NoneType\)"),
        (["a"], [[1]], r"a caption is a text, not 1 \(int\)"),
        ([["a"]], [["a"]], r"a caption is a text, not \['a'\]"),
    ]
    for hypotheses, references, message in cases:
        with pytest.raises(DataError, match=message):
            score(hypotheses, references, metrics=OWN)
    with pytest.raises(UnknownNameError, match="closest"):
        score(["a"], [["a"]], reference_length="longest")  # type: ignore[arg-type]


def test_json() -> None:
    stored = score(HYPOTHESES, REFERENCES, metrics=OWN).to_dict(resamples=50)
    assert json.loads(json.dumps(stored, allow_nan=False)) == stored
    assert stored["images"] == 3
    assert stored["interval"]["resamples"] == 50
    assert stored["diversity"]["identical"] == 1 / 3
    for metric in OWN:
        row = stored["scores"][metric]
        assert row["low"] <= row["value"] <= row["high"]
        assert row["signature"].startswith(metric)


def test_intervals_are_those_of_resampled_sets() -> None:
    """Each resample scored anew, caption by caption, gives the same interval."""
    scores = score(HYPOTHESES, REFERENCES, metrics=OWN)
    hypotheses, references = _tokens()
    resampled = []
    for counts in resample(np.eye(3), 40, seed=7).astype(int):
        chosen = np.repeat(np.arange(3), counts)
        found = bleu([hypotheses[i] for i in chosen], [references[i] for i in chosen])
        resampled.append(100 * found.corpus[3])
    expected = np.quantile(resampled, [0.05, 0.95])
    intervals = scores.intervals(level=0.9, resamples=40, seed=7)
    assert intervals["BLEU-4"] == pytest.approx(expected)
    assert intervals == scores.intervals(level=0.9, resamples=40, seed=7)
    assert intervals != scores.intervals(level=0.9, resamples=40, seed=8)


def test_an_interval_out_of_range_is_refused() -> None:
    scores = score(HYPOTHESES, REFERENCES, metrics=OWN)
    with pytest.raises(UsageError, match="level"):
        scores.intervals(level=95)
    with pytest.raises(UsageError, match="resample"):
        scores.intervals(resamples=0)


def test_two_systems_are_compared_by_every_metric() -> None:
    one, other = (score(given, REFERENCES, metrics=OWN) for given in (HYPOTHESES, OTHERS))
    found = one.compare(other, resamples=100, seed=3)
    assert tuple(found) == OWN
    for metric, comparison in found.items():
        assert (comparison.a, comparison.b) == (one[metric], pytest.approx(other[metric]))
    hypotheses, references = _tokens()
    rows = [words(OTHERS[name]) for name in REFERENCES]
    expected = compare(
        bleu(hypotheses, references).statistics,
        bleu(rows, references).statistics,
        lambda sums: 100 * bleu_of(sums)[..., 1],
        resamples=100,
        seed=3,
    )
    assert found["BLEU-2"] == expected


def test_images_are_compared_by_name() -> None:
    one = score(HYPOTHESES, REFERENCES, metrics=OWN)
    turned = score(OTHERS, dict(reversed(REFERENCES.items())), metrics=OWN)
    straight = score(OTHERS, REFERENCES, metrics=OWN)
    found, expected = (one.compare(other, resamples=50) for other in (turned, straight))
    for metric in OWN:
        assert found[metric].p_randomisation == expected[metric].p_randomisation
        assert found[metric].low == pytest.approx(expected[metric].low)


@pytest.mark.parametrize(
    ("changed", "same"),
    [
        ([["a dog", "two men"], ["a cat"]], True),
        ([["two men", "a dog"], ["a cat"]], True),
        ([["a dog", "two men"], ["a cat", "a cat"]], False),
        ([["a dog two", "men"], ["a cat"]], False),
        ([["dog a", "two men"], ["a cat"]], False),
        ([["a dog", "two men", ""], ["a cat"]], False),
        ([["a cat"], ["a dog", "two men"]], False),
        ([["a dog", "two cats"], ["a cat"]], False),
    ],
)
def test_references_are_told_apart(changed: list[list[str]], same: bool) -> None:
    captions = ["a dog", "a cat"]
    one, other = (
        score(captions, given, metrics=["ROUGE-L"], tokenised=True)
        for given in ([["a dog", "two men"], ["a cat"]], changed)
    )
    if same:
        assert one.compare(other)["ROUGE-L"].same
    else:
        # another number of references shows in the signature already
        with pytest.raises(DataError, match=r"same references|nrefs:"):
            one.compare(other)


def test_what_cannot_be_compared_is_refused() -> None:
    one = score(HYPOTHESES, REFERENCES, metrics=["BLEU-4", "CIDEr-D"])
    rows = list(REFERENCES.values())
    captions = [HYPOTHESES[name] for name in REFERENCES]
    renamed = {f"x{name}": row for name, row in REFERENCES.items()}
    others = {
        "same images": score(captions, rows, metrics=["BLEU-4"]),
        "not among the other's": score(
            {f"x{name}": caption for name, caption in HYPOTHESES.items()},
            renamed,
            metrics=["BLEU-4"],
        ),
        "nothing to compare": score(HYPOTHESES, REFERENCES, metrics=["ROUGE-L"]),
        "1 of 3 images have different ones in the second, such as image b.jpg": score(
            HYPOTHESES,
            {**REFERENCES, "b.jpg": ["Men.", REFERENCES["b.jpg"][0]]},
            metrics=["BLEU-4"],
        ),
        "computed with different settings": score(
            HYPOTHESES, REFERENCES, metrics=["BLEU-4"], tokenised=True
        ),
    }
    for message, other in others.items():
        with pytest.raises(DataError, match=message):
            one.compare(other)
