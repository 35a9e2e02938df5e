"""Agreement with pycocoevalcap to 1e-9 relative, on 1,000 real captions with 5 references."""

from __future__ import annotations

import random
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from negah.metrics import ReferenceLength, bleu, cider_d, rouge_l
from negah.text import words

pytestmark = pytest.mark.data

IMAGES = 1000


@pytest.fixture(scope="module")
def corpus(data_root: Path) -> tuple[list[str], list[list[str]]]:
    """Tokenised hypotheses of every quality, and the five references of their images.

    Captions of the image itself, of another image, cut, shuffled, doubled and empty.
    """
    captions: dict[str, list[str]] = defaultdict(list)
    path = data_root / "flickr8k" / "Flickr8k.token.txt"
    for line in path.read_text(encoding="utf-8").splitlines()[: 10 * IMAGES]:
        name, caption = line.split("\t", 1)
        captions[name.split("#")[0]].append(" ".join(words(caption)))
    rows = [row for row in captions.values() if len(row) == 5]
    references = rows[:IMAGES]
    generator = random.Random(0)
    hypotheses = []
    for index, row in enumerate(references):
        tokens = (row if index % 3 else rows[IMAGES + index // 3])[index % 5].split()
        if index % 4 == 0:
            generator.shuffle(tokens)
        if index % 5 == 0:
            tokens = tokens[: generator.randint(0, 6)]
        if index % 7 == 0:
            tokens = tokens * 2
        hypotheses.append(" ".join(tokens))
    return hypotheses, references


def _theirs(
    scorer: object, corpus: tuple[list[str], list[list[str]]]
) -> tuple[np.ndarray, np.ndarray]:
    hypotheses, references = corpus
    total, each = scorer.compute_score(  # type: ignore[attr-defined]
        dict(enumerate(references)), {key: [caption] for key, caption in enumerate(hypotheses)}
    )
    return np.array(total), np.array(each)


def _agree(ours: Any, theirs: Any) -> None:
    # the absolute part lets what pycocoevalcap rounds to 1e-17 be 0 here
    np.testing.assert_allclose(ours, theirs, rtol=1e-9, atol=1e-14)


def test_bleu(corpus: tuple[list[str], list[list[str]]]) -> None:
    oracle = pytest.importorskip("pycocoevalcap.bleu.bleu")
    total, each = _theirs(oracle.Bleu(4), corpus)
    ours = bleu(*corpus)
    _agree(ours.corpus, total)
    _agree(ours.per_caption, each.T)


@pytest.mark.parametrize("reference_length", ["closest", "shortest", "average"])
def test_bleu_with_each_reference_length(
    corpus: tuple[list[str], list[list[str]]], reference_length: ReferenceLength
) -> None:
    oracle = pytest.importorskip("pycocoevalcap.bleu.bleu_scorer")
    scorer = oracle.BleuScorer(n=4)
    for hypothesis, references in zip(*corpus, strict=True):
        scorer += (hypothesis, references)
    total, each = scorer.compute_score(option=reference_length, verbose=0)
    ours = bleu(*corpus, reference_length=reference_length)
    _agree(ours.corpus, total)
    _agree(ours.per_caption, np.array(each).T)


def test_rouge_l(corpus: tuple[list[str], list[list[str]]]) -> None:
    oracle = pytest.importorskip("pycocoevalcap.rouge.rouge")
    total, each = _theirs(oracle.Rouge(), corpus)
    ours = rouge_l(*corpus)
    _agree(ours.corpus, total)
    _agree(ours.per_caption, each)


def test_cider_d(corpus: tuple[list[str], list[list[str]]]) -> None:
    oracle = pytest.importorskip("pycocoevalcap.cider.cider")
    total, each = _theirs(oracle.Cider(), corpus)
    ours = cider_d(*corpus)
    _agree(ours.corpus, total)
    _agree(ours.per_caption, each)
