"""Pretraining of the generator as a language model, on sentences without pictures.

In place of a picture it reads the mean of all training photos, so that the visual parts get
familiar input; these are not trained here. The parts that choose words are trained: embedding,
cell, phrases, merging, output.

Axes: K sentences, T words, R regions, C channels.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from negah.data.sentences import read_texts
from negah.errors import DataError
from negah.models import CaptionModel, flatten_words
from negah.pipeline import batched
from negah.text import PAD, UNK, Tokenizer
from negah.training.batches import Batch
from negah.training.environment import Environment
from negah.training.inputs import regions_of
from negah.training.learner import Learner
from negah.training.padding import pad_captions
from negah.training.recipe import Recipe
from negah.training.schedule import Schedule
from negah.training.sources import TrainingSource

#: Visual parts of a captioner.
_LOOKING = ("project", "regions", "frames", "first", "concepts", "concept_gate", "visual_gates")
_SENTENCES = 96
_PHOTOS_OF_MEAN = 512
_HELD_OUT = 500


def known_sentences(
    file: Path, tokenizer: Tokenizer, *, longest: int, without: Sequence[str]
) -> list[list[int]]:
    """The distinct sentences of a file that consist only of words of the vocabulary, as ids.

    This removes most of the noise of, for instance, machine-translated text.

    Args:
        file: one sentence a line (:func:`negah.data.sentences.read_texts`).
        tokenizer: of the run.
        longest: sentences of more tokens are left out.
        without: held-out captions.

    Raises:
        DataError: the file cannot be read, or none is left.
    """
    seen = {tuple(tokenizer.encode(caption)) for caption in without}
    found = []
    for text in read_texts(file):
        ids = tuple(tokenizer.encode(text))
        if 3 <= len(ids) <= longest and UNK not in ids and ids not in seen:
            seen.add(ids)
            found.append(list(ids))
    if not found:
        raise DataError(
            f"text.sentences: no sentence of {file} consists only of the {len(tokenizer):,} words "
            f"of the captions; give a text in the same language, or a lower text.min_count"
        )
    return found


def learn_sentences(
    learner: Learner,
    recipe: Recipe,
    source: TrainingSource,
    tokenizer: Tokenizer,
    environment: Environment,
) -> str:
    """Train the captioner on ``text.sentences``; return a sentence on the result.

    Args:
        learner: at the start of the training.
        recipe: with the file and the number of epochs.
        source: provides the mean picture, and the held-out captions, which are left out.
        tokenizer: of the run.
        environment: its reporter receives the steps.

    Raises:
        DataError: see :func:`known_sentences`.
    """
    text, options = recipe.text, recipe.training
    held_out = [c for part in source.held_out.values() for e in part.examples for c in e.captions]
    sentences = known_sentences(
        Path(text.sentences), tokenizer, longest=text.max_tokens, without=held_out
    )
    chance = np.random.default_rng(options.seed)
    order = chance.permutation(len(sentences))
    kept = min(_HELD_OUT, len(sentences) // 10)
    judged, learned = order[:kept], order[kept:]
    mean_11RC = _mean_picture(learner, source)
    captioner = learner.captioner
    steps = text.sentence_epochs * -(-len(learned) // _SENTENCES)
    rates = Schedule(min(options.warmup_steps, steps // 5), "cosine", options.final_rate)
    before = _nats(captioner, mean_11RC, [sentences[at] for at in judged])
    with _words_alone(captioner) as parameters:
        optimizer = torch.optim.AdamW(
            parameters, lr=options.learning_rate, betas=(0.9, 0.98),
            weight_decay=options.weight_decay,
        )  # fmt: skip
        captioner.train()
        step = 0
        for _ in range(text.sentence_epochs):
            for batch in _batches(chance.permutation(learned), sentences):
                loss = _loss(captioner, mean_11RC, batch, options.label_smoothing)
                for group in optimizer.param_groups:
                    group["lr"] = options.learning_rate * rates.rate(step, steps)
                optimizer.zero_grad(set_to_none=True)
                loss.backward()  # type: ignore[no-untyped-call]
                if options.gradient_clip:
                    nn.utils.clip_grad_norm_(parameters, options.gradient_clip)
                optimizer.step()
                step += 1
                environment.reporter.features("sentences", step, steps)
    after = _nats(captioner, mean_11RC, [sentences[at] for at in judged])
    measured = f": {before:.2f} nats a word before, {after:.2f} after, on {kept} others"
    return (
        f"{len(learned):,} sentences of {Path(text.sentences).name} read {text.sentence_epochs} "
        f"times{measured if kept else ''}"
    )


def _batches(order: Iterable[int], sentences: Sequence[list[int]]) -> Iterator[list[list[int]]]:
    """Batches of sentences of similar length, each sorted from long to short."""
    for part in batched(order, 50 * _SENTENCES):
        some = sorted((sentences[at] for at in part), key=len, reverse=True)
        yield from (some[at : at + _SENTENCES] for at in range(0, len(some), _SENTENCES))


def _loss(
    captioner: CaptionModel, mean_11RC: Tensor, batch: list[list[int]], smoothing: float
) -> Tensor:
    inputs_1KT, targets_1KT = map(torch.from_numpy, pad_captions([batch]))
    inputs_1KT, targets_1KT = inputs_1KT.to(mean_11RC.device), targets_1KT.to(mean_11RC.device)
    counts_1KT = targets_1KT != PAD
    logits_NV = captioner(mean_11RC, inputs_1KT, counts_1KT)
    return nn.functional.cross_entropy(
        logits_NV, flatten_words(targets_1KT, counts_1KT), label_smoothing=smoothing
    )


@torch.no_grad()
def _nats(captioner: CaptionModel, mean_11RC: Tensor, sentences: list[list[int]]) -> float:
    """The mean nats per word, including the end token."""
    captioner.eval()
    total, words = 0.0, 0
    for batch in _batches(range(len(sentences)), sentences):
        count = sum(map(len, batch)) + len(batch)
        total += float(_loss(captioner, mean_11RC, batch, 0.0)) * count
        words += count
    return total / max(words, 1)


@contextmanager
def _words_alone(captioner: CaptionModel) -> Iterator[list[nn.Parameter]]:
    """Context manager in which the visual parts are frozen; yields the trained parameters."""
    held = [
        parameter
        for name, parameter in captioner.named_parameters()
        if name.partition(".")[0] in _LOOKING and parameter.requires_grad
    ]
    for parameter in held:
        parameter.requires_grad = False
    try:
        yield [one for one in captioner.parameters() if one.requires_grad]
    finally:
        for parameter in held:
            parameter.requires_grad = True


@torch.no_grad()
def _mean_picture(learner: Learner, source: TrainingSource) -> Tensor:
    """The mean region grid of training photos, float32 (1, 1, R, C)."""
    device = next(learner.captioner.parameters()).device
    none = np.zeros((0, 0, 0), dtype=np.int64)
    total, count = torch.zeros(0), 0
    for first in range(0, min(len(source.captions), _PHOTOS_OF_MEAN), 64):
        photos = np.arange(first, min(first + 64, len(source.captions)))
        stored = source.read(Batch(photos, np.zeros(len(photos), dtype=np.bool_), none, none), 0)
        regions_BFRC = regions_of(learner.encoder, stored.trunk, stored.real_BF)
        part = regions_BFRC[:, 0].sum(0)
        total, count = (part if not count else total + part), count + len(photos)
    return (total / count)[None, None].to(device)
