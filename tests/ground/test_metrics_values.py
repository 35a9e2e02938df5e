"""BLEU, ROUGE-L and CIDEr-D on cases worked out by hand or printed in the papers."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negah.errors import DataError, UnknownNameError
from negah.metrics import CiderD, DocumentFrequencies, ReferenceLength, bleu, cider_d, rouge_l
from negah.metrics.captions import Captions, WordIds
from negah.metrics.lcs import common_subsequences, longest_common_subsequence

CAT = ["the cat is on the mat", "there is a cat on the mat"]
# Papineni et al. 2002, example 1.
CANDIDATES = [
    "it is a guide to action which ensures that the military always obeys the commands of the"
    " party",
    "it is to insure the troops forever hearing the activity guidebook that party direct",
]
GUIDE = [
    "it is a guide to action that ensures that the military will forever heed party commands",
    "it is the guiding principle which guarantees the military forces always being under the"
    " command of the party",
    "it is the practical guide for the army always to heed the directions of the party",
]

BLEU_CASES: list[tuple[str, list[str], tuple[float, ...]]] = [
    # Papineni et al. 2002, example 2: counts are clipped at 2 of 7.
    ("the the the the the the the", CAT, (2 / 7,)),
    # Example 1: 17 of 18 unigrams and 10 of 17 bigrams; 8 of 14 and 1 of 13, which is one shorter
    # than the shortest reference (16 words), hence the penalty.
    (CANDIDATES[0], GUIDE, (17 / 18, math.sqrt(17 / 18 * 10 / 17))),
    (
        CANDIDATES[1],
        GUIDE,
        (8 / 14 * math.exp(1 - 16 / 14), math.sqrt(8 / 14 / 13) * math.exp(-1 / 7)),
    ),
    # All n-grams match, and the brevity penalty is exp(1 - 6 / 2).
    ("the cat", CAT[:1], (math.exp(-2), math.exp(-2))),
    # References of 4 and 6 are equally near to 5; the shorter counts, so there is no penalty.
    ("a b c d e", ["a b c d e f", "a b c d"], (1.0, 1.0, 1.0, 1.0)),
    ("a b c d e", ["a b c d e f"], (math.exp(-0.2),) * 4),
    ("", ["a b"], (0.0, 0.0, 0.0, 0.0)),
    ("a b", [""], (0.0, 0.0)),
]


@pytest.mark.parametrize(("hypothesis", "references", "expected"), BLEU_CASES)
def test_bleu(hypothesis: str, references: list[str], expected: tuple[float, ...]) -> None:
    score = bleu([hypothesis], [references])
    assert score.corpus[: len(expected)] == pytest.approx(expected, abs=1e-9)
    assert score.per_caption[0] == pytest.approx(score.corpus)


# Lengths 4, 6 and 9 beside a hypothesis of 5 words that all match.
@pytest.mark.parametrize(
    ("reference_length", "length"), [("closest", 4), ("shortest", 4), ("average", 19 / 3)]
)
def test_bleu_by_each_reference_length(reference_length: ReferenceLength, length: float) -> None:
    references = [["a b c d", "a b c d e f", "a b c d e f g h i"]]
    score = bleu(["a b c d e"], references, reference_length=reference_length)
    assert score.statistics[0, 1] == pytest.approx(length)
    assert score.corpus == pytest.approx([min(1.0, math.exp(1 - length / 5))] * 4)


def test_a_reference_length_that_is_none() -> None:
    with pytest.raises(UnknownNameError, match="closest"):
        bleu(["a"], [["a"]], reference_length="nearest")  # type: ignore[arg-type]


def test_bleu_of_a_corpus_is_no_mean() -> None:
    score = bleu(["a b", "c c c c"], [["a b"], ["c d e f"]], max_order=1)
    assert score.per_caption[:, 0] == pytest.approx([1, 1 / 4])
    assert score.corpus == pytest.approx([3 / 6])
    assert score.statistics.tolist() == [[2, 2, 2, 2], [4, 4, 1, 4]]


ROUGE_CASES: list[tuple[str, list[str], float, float]] = [
    # Lin 2004, section 3: the reference is S1, beta is 1.
    ("police kill the gunman", ["police killed the gunman"], 1.0, 3 / 4),
    ("the gunman kill police", ["police killed the gunman"], 1.0, 2 / 4),
    ("the gunman police killed", ["police killed the gunman"], 1.0, 2 / 4),
    # Precision 1 from the first reference, recall 1 from the second.
    ("a b", ["a b c d", "b"], 1.2, 1.0),
    # Precision 1, recall 1/2: (1 + b^2) / 2 / (1/2 + b^2).
    ("a b", ["a x b y"], 1.2, 2.44 / 2 / (0.5 + 1.44)),
    ("a", ["b"], 1.2, 0.0),
    ("", ["b"], 1.2, 0.0),
    ("a", [""], 1.2, 0.0),
]


@pytest.mark.parametrize(("hypothesis", "references", "beta", "expected"), ROUGE_CASES)
def test_rouge_l(hypothesis: str, references: list[str], beta: float, expected: float) -> None:
    assert rouge_l([hypothesis], [references], beta).corpus == pytest.approx(expected)


def _table(first: Sequence[str], second: Sequence[str]) -> int:
    """The length of the longest common subsequence by the textbook's table."""
    table = np.zeros((len(first) + 1, len(second) + 1), dtype=int)
    for i, a in enumerate(first, 1):
        for j, b in enumerate(second, 1):
            table[i, j] = (
                table[i - 1, j - 1] + 1 if a == b else max(table[i - 1, j], table[i, j - 1])
            )
    return int(table[-1, -1])


def _row(longest: int) -> st.SearchStrategy[list[list[str]]]:
    return st.lists(st.lists(st.sampled_from("abcd"), max_size=longest), min_size=1, max_size=6)


@settings(max_examples=50)
@given(_row(12), _row(12))
def test_longest_common_subsequences(first: list[list[str]], second: list[list[str]]) -> None:
    vocabulary = WordIds()
    numbered = [Captions.of(row, vocabulary) for row in (first, second)]
    firsts, seconds = np.indices((len(first), len(second))).reshape(2, -1)
    found = common_subsequences(numbered[0], firsts, numbered[1], seconds)
    assert found.tolist() == [_table(a, b) for a in first for b in second]
    assert [longest_common_subsequence(a, b) for a in first for b in second] == found.tolist()


@pytest.mark.parametrize("length", [63, 64, 65, 130])
def test_long_captions_have_common_subsequences_too(length: int) -> None:
    """Machine words end at 64 tokens."""
    generator = random.Random(length)
    first, second = ([generator.choice("abc") for _ in range(size)] for size in (length, 90))
    vocabulary = WordIds()
    numbered = [Captions.of([row], vocabulary) for row in (first, second)]
    zero = np.zeros(1, dtype=np.int64)
    (found,) = common_subsequences(numbered[0], zero, numbered[1], zero)
    assert found == _table(first, second)
    same = common_subsequences(numbered[0], zero, numbered[0], zero)
    assert same.tolist() == [length]


# One reference for each of two images that share no word, so every idf is log 2.
CIDER_CASES: list[tuple[str, str, float]] = [
    ("a b c d e", "a b c d e", 10.0),
    # One word too many: cosines of the four orders, and one bigram of length difference.
    (
        "a b c d e f",
        "a b c d e",
        10 / 4 * (5 / 30**0.5 + 4 / 20**0.5 + 3 / 12**0.5 + 2 / 6**0.5) * math.exp(-1 / 72),
    ),
    # The two "a" of the hypothesis are clipped to one: 1 / (2 * sqrt 2).
    ("a a", "a b", 10 / 4 / 8**0.5),
    # One order exists in both; no bigrams, so no difference in length.
    ("a", "a", 10 / 4),
    ("x", "a", 0.0),
    ("", "a b", 0.0),
]


@pytest.mark.parametrize(("hypothesis", "reference", "expected"), CIDER_CASES)
def test_cider_d(hypothesis: str, reference: str, expected: float) -> None:
    score = cider_d([hypothesis, "v w"], [[reference], ["v w x y z"]])
    assert score.per_caption[0] == pytest.approx(expected)


def test_cider_d_of_one_image_or_of_shared_references_is_zero() -> None:
    assert cider_d(["a b"], [["a b"]]).corpus == 0
    assert cider_d(["a b", "a b"], [["a b"], ["a b"]]).corpus == 0


def test_cider_d_with_frequencies_from_elsewhere() -> None:
    frequencies = DocumentFrequencies.of([["a b", "a c"], ["a d"], ["e"]])
    assert frequencies.images == 3
    assert frequencies.count(["a"]) == 2
    assert frequencies.idf("a") == pytest.approx(math.log(3 / 2))
    assert frequencies.idf("never") == pytest.approx(math.log(3))
    # |(idf_a, idf_b)| and the product of the two captions, which share "a" alone.
    a, b = math.log(3 / 2), math.log(3)
    score = cider_d(["a b"], [["a c"]], frequencies=frequencies)
    assert score.corpus == pytest.approx(10 / 4 * a**2 / (a**2 + b**2))


@pytest.mark.parametrize("metric", [bleu, rouge_l, cider_d])
@pytest.mark.parametrize(
    ("hypotheses", "references", "message"),
    [
        ([], [], "no images"),
        (["a"], [["a"], ["b"]], "1 hypotheses for the references of 2"),
        (["a"], [[]], "image 0 has no references"),
        (["a"], ["a"], "one string"),
        ("a", [["a"]], "one string"),
    ],
)
def test_misuse_is_refused(metric: Any, hypotheses: Any, references: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        metric(hypotheses, references)


def test_a_prepared_scorer_checks_too() -> None:
    with pytest.raises(DataError, match="exactly one hypothesis"):
        CiderD([["a"], ["b"]]).score(["a"])
