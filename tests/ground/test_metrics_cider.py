"""CIDEr and CIDEr-D against a plain reading of the paper; tables of frequencies; rewards."""

from __future__ import annotations

import json
import math
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import snowballstemmer
from hypothesis import given, settings
from hypothesis import strategies as st

from negah.errors import DataError
from negah.metrics import Cider, CiderD, DocumentFrequencies, cider, cider_d

Ngram = tuple[str, ...]
_PORTER = snowballstemmer.stemmer("porter")

captions = st.lists(
    st.sampled_from(["running", "runs", "dogs", "dog", "a"]), min_size=0, max_size=7
).map(" ".join)
corpora = st.lists(
    st.tuples(captions, st.lists(captions, min_size=1, max_size=3)), min_size=1, max_size=5
)


def _ngrams(caption: str, order: int, *, stems: bool) -> Counter[Ngram]:
    words = caption.split()
    if stems:
        words = _PORTER.stemWords(words)
    return Counter(tuple(words[i : i + order]) for i in range(len(words) - order + 1))


def by_the_paper(hypotheses: list[str], references: list[list[str]], *, d: bool) -> list[float]:
    """Section 3 of the CIDEr paper, and its CIDEr-D if ``d``, n-gram by n-gram."""
    found = []
    for hypothesis, row in zip(hypotheses, references, strict=True):
        total = 0.0
        for order in range(1, 5):
            frequencies: Counter[Ngram] = Counter()
            for others in references:
                frequencies.update(
                    set().union(*(_ngrams(other, order, stems=not d) for other in others))
                )

            def weighed(caption: str, order: int = order, df: Any = frequencies) -> Any:
                counts = _ngrams(caption, order, stems=not d)
                # term frequency: the count among all n-grams of the caption
                share = 1 if d else counts.total()
                return {
                    ngram: count / share * math.log(len(references) / max(1, df[ngram]))
                    for ngram, count in counts.items()
                }

            c = weighed(hypothesis)
            for reference in row:
                s = weighed(reference)
                dot = sum(
                    (min(c[ngram], s[ngram]) if d else c[ngram]) * s[ngram]
                    for ngram in c
                    if ngram in s
                )
                lengths = math.hypot(*c.values()) * math.hypot(*s.values())
                cosine = dot / lengths if lengths else 0.0
                if d:
                    bigrams = [max(0, len(x.split()) - 1) for x in (hypothesis, reference)]
                    cosine *= 10 * math.exp(-((bigrams[0] - bigrams[1]) ** 2) / (2 * 6**2))
                total += cosine / len(row) / 4
        found.append(total)
    return found


@settings(max_examples=40)
@given(corpora)
def test_both_are_what_the_paper_says(corpus: list[tuple[str, list[str]]]) -> None:
    hypotheses, references = [one for one, _ in corpus], [row for _, row in corpus]
    for metric, d in ((cider, False), (cider_d, True)):
        expected = by_the_paper(hypotheses, references, d=d)
        assert metric(hypotheses, references).per_caption == pytest.approx(expected, abs=1e-12)


def test_cider_is_not_cider_d() -> None:
    """Plain CIDEr stems, and neither clips nor minds the length."""
    references = [["a dog runs"], ["two cats"]]
    assert cider(["a dogs running", "x"], references).per_caption[0] == pytest.approx(3 / 4)
    assert cider(["a dog runs", "x"], references).per_caption[0] == pytest.approx(3 / 4)
    # the cosine of (2, 2, 2) and (1, 1, 1) is 1; of order 2, ("runs", "a") is one too many
    doubled = cider(["a dog runs a dog runs", "x"], references).per_caption[0]
    assert doubled == pytest.approx((1 + 4 / 3 / math.sqrt(2) / 2 * 3 / math.sqrt(4.5) + 0) / 4, 1)
    assert doubled > cider_d(["a dog runs a dog runs", "x"], references).per_caption[0] / 10


def test_rewards_are_the_scores_of_any_captions_of_any_images() -> None:
    references = [["a dog runs", "the dog"], ["two cats"], ["a boat", "boats at sea", "a boat"]]
    scorer = CiderD(references)
    drawn = ["a boat", "a dog runs", "two cats sit", "", "a dog"]
    images = [2, 0, 1, 0, 0]
    expected = [
        scorer.score([caption if i == image else "x" for i in range(3)]).per_caption[image]
        for caption, image in zip(drawn, images, strict=True)
    ]
    np.testing.assert_array_equal(scorer.rewards(drawn, images), expected)
    np.testing.assert_array_equal(scorer.rewards(drawn, np.array(images)), expected)
    lists = [caption.split() for caption in drawn]
    np.testing.assert_array_equal(scorer.rewards(lists, images), expected)
    assert scorer.rewards([], []).shape == (0,)


@pytest.mark.parametrize("images", [[0], [0, 2], [-1, 0], [0.0, 1.0], [[0], [1]]])
def test_rewards_need_an_image_for_each_caption(images: Any) -> None:
    with pytest.raises(DataError, match="ind"):
        CiderD([["a"], ["b"]]).rewards(["a", "b"], images)


def test_scoring_leaves_no_words_behind() -> None:
    """Millions of drawn captions must not make the scorer grow."""
    scorer = CiderD([["a b"], ["c"]])
    before = len(scorer.frequencies.vocabulary)
    scorer.rewards(["never seen"], [0])
    first = scorer.rewards(["a b x y"], [0])
    assert scorer.rewards(["a b p q"], [0]) == first
    assert len(scorer.frequencies.vocabulary) == before


TRAINING = [["a dog runs fast", "the dog runs"], ["a cat"], ["dogs run"], ["the sea"]]


@pytest.mark.parametrize("stems", [False, True])
def test_a_table_is_saved_and_loaded(tmp_path: Path, stems: bool) -> None:
    table = DocumentFrequencies.of(TRAINING, stems=stems)
    table.save(tmp_path / "df.json")
    loaded = DocumentFrequencies.load(tmp_path / "df.json")
    assert (loaded.images, loaded.stems, loaded.max_order) == (4, stems, 4)
    for ngram in ("a", "dog", "a dog", "dog runs", "a dog runs fast", "x", "runs a", "", "x y"):
        assert loaded.count(ngram) == table.count(ngram)
    assert loaded.count("a") == 2
    assert loaded.count("dog") == (2 if stems else 1)
    assert loaded.count("a dog runs fast now") == 0
    metric = cider if stems else cider_d
    rows = [["a dog sits", "dogs on grass"], ["a blue sea"]]
    scores = [metric(["a dog", "the sea"], rows, frequencies=one) for one in (table, loaded)]
    np.testing.assert_array_equal(scores[0].per_caption, scores[1].per_caption)
    assert scores[0].per_caption.all()


def test_words_of_any_kind_survive_a_file(tmp_path: Path) -> None:
    words = ["", "two words", "\ud800", "nul\0", "\u2028", '"', "é"]
    DocumentFrequencies.of([[words], [words[::-1]]]).save(tmp_path / "df.json")
    loaded = DocumentFrequencies.load(tmp_path / "df.json")
    assert loaded.count(words[:2]) == 1
    assert [loaded.count([word]) for word in words] == [2] * len(words)


def test_frequencies_of_another_kind_are_refused() -> None:
    words, stems = (DocumentFrequencies.of(TRAINING, stems=stems) for stems in (False, True))
    for scorer, wrong in ((CiderD, stems), (Cider, words)):
        with pytest.raises(DataError, match="frequencies of"):
            scorer(TRAINING, frequencies=wrong)
    short = DocumentFrequencies.of(TRAINING, max_order=2)
    with pytest.raises(DataError, match="max_order=4"):
        CiderD(TRAINING, frequencies=short)
    assert CiderD(TRAINING, frequencies=short, max_order=2).frequencies is short


def _stored(tmp_path: Path) -> dict[str, Any]:
    DocumentFrequencies.of([["a b", "b"], ["b a"]]).save(tmp_path / "good.json")
    stored: dict[str, Any] = json.loads((tmp_path / "good.json").read_text())
    return stored


HOSTILE: list[tuple[list[str | int], Any]] = [
    (["format"], "pickle"),
    (["version"], 2),
    (["images"], 0),
    (["images"], True),
    (["images"], 1.5),
    (["images"], 10**30),
    (["stems"], 1),
    (["words"], "ab"),
    (["words"], ["a", "a"]),
    (["words"], ["a", 1]),
    (["words"], ["a"]),
    (["words"], ["a", ["b"]]),
    (["orders"], []),
    (["orders"], {}),
    (["orders", 0], []),
    (["orders", 0], {"images": [1, 1], "last": [0, 1]}),
    (["orders", 0, "images"], [1, 3]),
    (["orders", 0, "images"], [1, -1]),
    (["orders", 0, "images"], [1, True]),
    (["orders", 0, "images"], [1, 1.0]),
    (["orders", 0, "images"], [1, 10**30]),
    (["orders", 0, "images"], "ab"),
    (["orders", 1, "images"], [0, 1]),
    (["orders", 1, "images"], [1]),
    (["orders", 1, "before"], [0, 2]),
    (["orders", 1, "before"], [1, 0]),
    (["orders", 1, "before"], [0, 0]),
    (["orders", 1, "before"], [-1, 0]),
    (["orders", 1, "last"], [1, 2]),
    (["orders", 1, "last"], [10**18, 10**18]),
    (["orders", 1, "last"], None),
    (["extra"], 1),
]


@pytest.mark.parametrize(("place", "value"), HOSTILE)
def test_a_tampered_table_is_refused(tmp_path: Path, place: list[Any], value: Any) -> None:
    stored = _stored(tmp_path)
    inner = stored
    for key in place[:-1]:
        inner = inner[key]
    if place == ["orders", 1, "before"] and value == [0, 0]:
        stored["orders"][1]["last"] = [1, 1]
    inner[place[-1]] = value
    (tmp_path / "bad.json").write_text(json.dumps(stored))
    with pytest.raises(DataError, match="no document frequencies"):
        DocumentFrequencies.load(tmp_path / "bad.json")


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"null", b"\xff\xfe\x00", b"[" * 100_000, b"9" * 10_000]
)
def test_a_file_that_is_no_table_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "bad.json").write_bytes(content)
    with pytest.raises(DataError, match=r"bad\.json holds no document frequencies"):
        DocumentFrequencies.load(tmp_path / "bad.json")


def test_a_missing_table(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        DocumentFrequencies.load(tmp_path / "none.json")
    with pytest.raises(DataError, match="cannot be read"):
        DocumentFrequencies.load(tmp_path)


@settings(max_examples=100)
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=3),
        lambda x: (
            st.lists(x, max_size=3)
            | st.dictionaries(
                st.sampled_from(["format", "version", "images", "stems", "words", "orders"]), x
            )
        ),
        max_leaves=8,
    )
)
def test_any_json_is_a_table_or_refused(tmp_path_factory: Any, value: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "any.json"
    if isinstance(value, dict):
        value = {"format": "negah-document-frequencies", "version": 1, **value}
    path.write_text(json.dumps(value))
    with pytest.raises(DataError):
        DocumentFrequencies.load(path)
