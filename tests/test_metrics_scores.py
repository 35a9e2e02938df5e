"""All metrics at once: scale, names, signatures, warnings, confidence intervals."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest

from negah import __version__
from negah.errors import DataError, UnknownNameError, UsageError
from negah.metrics import (
    METRICS,
    CaptionScorer,
    DocumentFrequencies,
    bleu,
    cider_d,
    rouge_l,
    score_captions,
)
from negah.metrics.bootstrap import draw, interval
from negah.text import words

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


def test_the_scale_is_a_hundred_and_the_words_are_those_of_the_metrics() -> None:
    scores = score_captions(HYPOTHESES, REFERENCES)
    hypotheses = [words(HYPOTHESES[name]) for name in REFERENCES]
    references = [[words(caption) for caption in row] for row in REFERENCES.values()]
    expected = [
        *bleu(hypotheses, references).corpus,
        rouge_l(hypotheses, references).corpus,
        cider_d(hypotheses, references).corpus,
    ]
    assert tuple(scores.values) == METRICS
    assert list(scores.values.values()) == pytest.approx([100 * value for value in expected])
    assert scores["CIDEr-D"] == scores.values["CIDEr-D"]
    assert scores.per_image["ROUGE-L"].mean() == pytest.approx(scores["ROUGE-L"])
    assert scores.images == 3
    assert scores.warnings == ()
    with pytest.raises(UnknownNameError, match="CIDEr-D"):
        scores["CIDEr"]


def test_signatures() -> None:
    scores = score_captions(HYPOTHESES, REFERENCES)
    common = f"tok:ptb|nrefs:2|v:{__version__}"
    assert scores.signatures["CIDEr-D"] == f"CIDEr-D|n:4|sigma:6|df:refs|{common}"
    assert scores.signatures["BLEU-4"] == f"BLEU-4|reflen:closest|smooth:none|{common}"
    assert scores.signatures["ROUGE-L"] == f"ROUGE-L|beta:1.2|{common}"
    other = score_captions(
        ["a b", "c"],
        [["a b"], ["c d", "c", "e"]],
        frequencies=DocumentFrequencies.of([["a"], ["b"], ["c"], ["d"]]),
        tokenised=True,
    )
    assert other.signatures["CIDEr-D"] == (
        f"CIDEr-D|n:4|sigma:6|df:given-4|tok:none|nrefs:1-3|v:{__version__}"
    )


def test_a_prepared_scorer_gives_the_same_every_time() -> None:
    scorer = CaptionScorer(REFERENCES)
    first = scorer.score(HYPOTHESES)
    scorer.score(dict.fromkeys(REFERENCES, "a dog"))
    assert scorer.score(HYPOTHESES).values == first.values
    assert first.values == score_captions(HYPOTHESES, REFERENCES).values
    in_order = score_captions([HYPOTHESES[name] for name in REFERENCES], list(REFERENCES.values()))
    assert in_order.values == first.values


def test_already_tokenised_text_is_left_alone() -> None:
    references = [["A ."], ["B ."]]
    assert score_captions(["a .", "b ."], references, tokenised=True)["BLEU-1"] == pytest.approx(50)
    assert score_captions(["a .", "b ."], references)["BLEU-1"] == pytest.approx(100)


def test_warnings(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, logger="negah.metrics"):
        alone = score_captions(["a dog"], [["a dog"]])
    assert "single image" in alone.warnings[0]
    assert "single image" in caplog.text
    same = score_captions(["a dog", "a dog"], [["a dog"], ["a dog"]])
    assert "informative" in same.warnings[0]
    assert "same caption" in same.warnings[1]
    assert same["CIDEr-D"] == 0
    empty = score_captions(["a dog", "..."], [["a dog"], ["a cat"]])
    assert empty.warnings == ("1 of 2 captions have no words and score 0",)


def test_names_and_numbers_must_match() -> None:
    with pytest.raises(DataError, match=r"1 images have references but no hypothesis \(c.jpg\)"):
        score_captions({"a.jpg": "x", "b.jpg": "y"}, REFERENCES)
    with pytest.raises(DataError, match=r"1 a hypothesis but no references \(d.jpg\)"):
        score_captions({**HYPOTHESES, "d.jpg": "x"}, REFERENCES)
    with pytest.raises(DataError, match="one of each"):
        score_captions(list(HYPOTHESES.values()), REFERENCES)
    with pytest.raises(DataError, match="one of each"):
        score_captions(HYPOTHESES, list(REFERENCES.values()))
    with pytest.raises(DataError, match="exactly one hypothesis"):
        score_captions(["a"], list(REFERENCES.values()))
    with pytest.raises(DataError, match="no references"):
        score_captions(["a"], [[]])
    with pytest.raises(DataError, match="no images"):
        score_captions({}, {})


def test_json() -> None:
    stored = score_captions(HYPOTHESES, REFERENCES).to_dict(resamples=50)
    assert json.loads(json.dumps(stored, allow_nan=False)) == stored
    assert stored["images"] == 3
    assert stored["interval"]["resamples"] == 50
    for metric in METRICS:
        row = stored["scores"][metric]
        assert row["low"] <= row["value"] <= row["high"]
        assert row["signature"].startswith(metric)


def test_intervals_are_those_of_resampled_sets() -> None:
    """Each resample scored anew, caption by caption, gives the same interval."""
    scores = score_captions(HYPOTHESES, REFERENCES)
    hypotheses = [words(HYPOTHESES[name]) for name in REFERENCES]
    references = [[words(caption) for caption in row] for row in REFERENCES.values()]
    resampled = []
    for counts in draw(3, 40, seed=7).astype(int):
        chosen = np.repeat(np.arange(3), counts)
        score = bleu([hypotheses[i] for i in chosen], [references[i] for i in chosen])
        resampled.append(100 * score.corpus[3])
    expected = np.quantile(resampled, [0.05, 0.95])
    found = scores.intervals(level=0.9, resamples=40, seed=7)
    assert found["BLEU-4"] == pytest.approx(expected)
    assert found == scores.intervals(level=0.9, resamples=40, seed=7)
    assert found != scores.intervals(level=0.9, resamples=40, seed=8)


def test_the_interval_of_a_mean_is_that_of_the_normal_law() -> None:
    """For 2,000 values the bootstrap of a mean agrees with 1.96 standard errors."""
    values = np.random.default_rng(0).normal(50, 10, size=(2000, 1))
    (found,) = interval(draw(2000, 1000, seed=0), values, lambda sums: sums / 2000)
    error = 1.96 * values.std() / 2000**0.5
    assert found.low == pytest.approx(values.mean() - error, abs=0.1 * error)
    assert found.high == pytest.approx(values.mean() + error, abs=0.1 * error)


def test_an_interval_out_of_range_is_refused() -> None:
    scores = score_captions(HYPOTHESES, REFERENCES)
    with pytest.raises(UsageError, match="level"):
        scores.intervals(level=95)
    with pytest.raises(UsageError, match="resample"):
        scores.intervals(resamples=0)
