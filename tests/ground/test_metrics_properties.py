"""What holds of every metric, whatever the captions."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from negah.metrics import METRICS, bleu, cider, cider_d, diversity, rouge_l, score

#: Without METEOR, which has tests of its own and may not be installed.
OWN = [metric for metric in METRICS if metric != "METEOR"]

captions = st.lists(st.sampled_from("abcde"), min_size=1, max_size=8).map(" ".join)
corpora = st.lists(
    st.tuples(captions, st.lists(captions, min_size=1, max_size=4)), min_size=1, max_size=6
)
# every letter, mark and control character, lone surrogates included, beside plain words
texts = st.text(max_size=20) | st.text(
    st.characters(categories=["Cs", "Cc", "Cf", "Zs", "So", "Mn", "Po", "Nd"]), max_size=10
)


@settings(max_examples=30)
@given(corpora, st.randoms(use_true_random=False))
def test_order_of_images_and_references_does_not_matter(corpus: Any, random: Any) -> None:
    shuffled = [(hypothesis, random.sample(row, len(row))) for hypothesis, row in corpus]
    random.shuffle(shuffled)
    for metric in (bleu, rouge_l, cider, cider_d):
        scores = [metric(*zip(*rows, strict=True)).corpus for rows in (corpus, shuffled)]
        assert scores[0] == pytest.approx(scores[1], abs=1e-12)
    views = [diversity([caption for caption, _ in rows]) for rows in (corpus, shuffled)]
    same = ("distinct_1", "distinct_2", "vocabulary", "identical", "unique", "repetitive")
    assert [getattr(views[0], name) for name in same] == [getattr(views[1], name) for name in same]


@settings(max_examples=30)
@given(corpora)
def test_scores_stay_in_range_and_tokens_may_come_in_lists(corpus: Any) -> None:
    hypotheses, references = zip(*corpus, strict=True)
    for metric, top in ((bleu, 1), (rouge_l, 1), (cider, 1), (cider_d, 10)):
        found = metric(hypotheses, references)
        assert np.all(found.per_caption >= 0)
        assert np.all(found.per_caption <= top + 1e-9)
        lists = metric(
            [caption.split() for caption in hypotheses],
            [[caption.split() for caption in row] for row in references],
        )
        np.testing.assert_array_equal(lists.per_caption, found.per_caption)


@given(st.lists(captions, min_size=1, max_size=5))
def test_a_caption_equal_to_a_reference_scores_the_maximum(row: list[str]) -> None:
    long = [f"{caption} x y z" for caption in row]
    others = [["q r s t"]]
    assert bleu(long, [[*long]] * len(long)).corpus == pytest.approx([1] * 4)
    assert rouge_l(long, [[*long]] * len(long)).corpus == pytest.approx(1)
    # CIDEr and CIDEr-D are means over references: the maximum is reached with that one alone.
    for metric, top in ((cider, 1), (cider_d, 10)):
        assert metric([long[0], "q"], [long[:1], *others]).per_caption[0] == pytest.approx(top)


@settings(max_examples=100)
@given(st.lists(st.tuples(texts, st.lists(texts, min_size=1, max_size=3)), min_size=1, max_size=4))
def test_no_text_raises(corpus: list[tuple[str, list[str]]]) -> None:
    hypotheses, references = [one for one, _ in corpus], [row for _, row in corpus]
    for tokenised in (False, True):
        scores = score(hypotheses, references, metrics=OWN, tokenised=tokenised)
        for metric in OWN:
            assert np.isfinite(scores[metric])
            per_image = scores.per_image[metric]
            # a caption that names no object has no CHAIR-i
            assert np.isfinite(per_image).all() or metric == "CHAIR-i"


def test_a_long_caption_is_no_trouble() -> None:
    long = "a b c " * 2000
    scores = score([long, "a"], [[long], ["b"]], metrics=OWN)
    assert scores.per_image["ROUGE-L"][0] == pytest.approx(100)
