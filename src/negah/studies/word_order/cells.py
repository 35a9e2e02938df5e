"""What ``word-order`` computes: the language models once, and each captioner of a cell."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from negah.data import load_dataset
from negah.run_folder import RunFolder
from negah.studies.captioning import (
    CaptionData,
    Part,
    make_show_tell,
    open_captions,
    parameter_count,
    photo_nats,
    prepare_captions,
    score_photos,
    train_captioner,
    write_captions,
)
from negah.studies.study import Paths, Progress
from negah.studies.word_order.figures import PRETRAINED, SHARES
from negah.studies.word_order.language import (
    Corpus,
    learn_language,
    load_language,
    perplexity,
    start_from,
)
from negah.studies.word_order.text import Texts, open_texts, shuffled
from negah.text import Tokenizer, WordTokenizer, coverage, load_tokenizer

if TYPE_CHECKING:
    from negah.studies.word_order.study import WordOrderOptions

#: Captions of a cell that the page shows.
_SHOWN = 6


def prepare(o: WordOrderOptions, paths: Paths, progress: Progress) -> None:
    """Features, the judge, and the language model of each seed."""
    prepare_captions(o.captions, paths, progress)
    data, texts = open_captions(o.captions, paths, progress), _texts(o, paths)
    learn_language(
        judge_folder(o, paths), Corpus(texts.judging, _judge_tokenizer(o, texts)), o.language,
        channels=data.channels, seed=0, progress=progress, label="judge",
    )  # fmt: skip
    for seed in o.seeds:
        learn_language(
            language_folder(o, paths, seed), Corpus(texts.learned, data.tokenizer), o.language,
            channels=data.channels, seed=seed, progress=progress,
            label=f"language model of seed {seed}",
        )  # fmt: skip


def run_cell(
    o: WordOrderOptions, paths: Paths, variant: str, seed: int, progress: Progress
) -> dict[str, Any]:
    """Train and measure one captioner on a share of the photos."""
    share = variant.removesuffix(PRETRAINED)
    epochs = o.epochs[share]
    budget = o.captions.model_copy(update={"epochs": epochs})
    whole = open_captions(budget, paths, progress)
    data = some_photos(whole, SHARES[share], seed)
    model = make_show_tell(budget, data.channels, len(data.tokenizer), seed)
    if variant != share:
        start_from(model, language_folder(o, paths, seed))
    curves = train_captioner(model, data, budget, seed, progress=progress, label="training")
    captions = write_captions(model, data, data.test, budget, progress)
    nats_N2 = photo_nats(model, data, data.test, budget)
    nats, tokens = nats_N2.sum(0).tolist()
    scores, cider_d = score_photos(captions, data.test.names, data.test.captions)
    return {
        "values": {
            **scores,
            "perplexity": math.exp(nats / tokens),
            "judged": TextJudge(o, paths, data.channels).perplexity(captions),
            "different_words": float(
                len({word for caption in captions for word in caption.split()})
            ),
            "photos": float(len(data.train.names)),
            "steps": float(
                epochs * (len(data.train.names) // min(budget.batch, len(data.train.names)))
            ),
            "parameters": float(parameter_count(model)),
        },
        "curves": {
            "training loss": curves["training loss"],
            "dev nats per token": curves["dev nats per token"],
        },
        "extra": {
            "captions": dict(zip(data.test.names[:_SHOWN], captions[:_SHOWN], strict=True)),
            "photos": {"cider_d": cider_d},
        },
    }


def facts(o: WordOrderOptions, paths: Paths, progress: Progress) -> dict[str, Any]:
    """The scale of the judge's perplexity, and what the language models learned from."""
    data, texts = open_captions(o.captions, paths, progress), _texts(o, paths)
    judge = TextJudge(o, paths, data.channels)
    people = [captions[0] for captions in data.test.captions]
    models = [
        learn_language(
            language_folder(o, paths, seed), Corpus(texts.learned, data.tokenizer), o.language,
            channels=data.channels, seed=seed, progress=progress, label="language model",
        )
        for seed in o.seeds
    ]  # fmt: skip
    references = [caption for captions in data.test.captions for caption in captions]
    return {
        "judged": {
            "people": judge.perplexity(people),
            "shuffled": judge.perplexity(shuffled(people)),
        },
        "text": {
            "sentences_read": texts.read,
            "sentences_kept": texts.kept,
            "sentences_learned": len(texts.learned),
            "sentences_judging": len(texts.judging),
            "coverage": 100 * coverage(data.tokenizer, texts.learned),
        },
        "vocabulary": len(data.tokenizer),
        "judge": {
            "vocabulary": len(judge.tokenizer),
            "coverage": 100 * coverage(judge.tokenizer, references),
        },
        "language_model": {
            "perplexity": _mean(models, "perplexity"),
            "seconds": _mean(models, "seconds"),
        },
    }


class TextJudge:
    """A language model that learned from other text than the captioners, and saw no picture.

    Args:
        o: of the study.
        paths: where it is kept.
        channels: C.
    """

    def __init__(self, o: WordOrderOptions, paths: Paths, channels: int) -> None:
        folder = judge_folder(o, paths)
        self.tokenizer: Tokenizer = load_tokenizer(RunFolder(folder).tokenizer)
        self._options = o.language
        self._model = load_language(folder, o.language, channels, len(self.tokenizer))

    def perplexity(self, captions: Sequence[str]) -> float:
        """Of captions, per token with ``<EOS>``; low for what reads like the captions of people."""
        return perplexity(self._model, captions, self.tokenizer, self._options)


def some_photos(data: CaptionData, share: float, seed: int) -> CaptionData:
    """A share of the training photos, by chance; a smaller share is part of a larger one."""
    names = data.train.names
    order = np.random.default_rng(seed).permutation(len(names))
    rows = np.sort(order[: max(1, round(share * len(names)))])
    train = Part(
        [names[row] for row in rows],
        [data.train.captions[row] for row in rows],
        data.train.features_NRC[rows],
    )
    return replace(data, train=train)


def language_folder(o: WordOrderOptions, paths: Paths, seed: int) -> Path:
    """Where the language model of a seed is kept, for all shares."""
    return paths.work / f"language-{o.language_key()}" / f"seed-{seed}"


def judge_folder(o: WordOrderOptions, paths: Paths) -> Path:
    """Where the judge is kept."""
    return paths.work / f"language-{o.language_key()}" / "judge"


def _texts(o: WordOrderOptions, paths: Paths) -> Texts:
    return open_texts(
        paths.text, load_dataset(paths.data),
        made=o.made_text, learned=o.sentences, judging=o.judging_sentences,
    )  # fmt: skip


def _judge_tokenizer(o: WordOrderOptions, texts: Texts) -> Tokenizer:
    return WordTokenizer.build(texts.judging, min_count=o.captions.min_count)


def _mean(found: Sequence[dict[str, Any]], name: str) -> float:
    return sum(float(each[name]) for each in found) / len(found)
