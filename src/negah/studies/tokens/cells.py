"""The cells of ``tokens``: train a captioner on its tokens, let it write, count and time.

Axes: B photos, K captions, T tokens, N tokens that count, V vocabulary.
"""

from __future__ import annotations

import time
from functools import partial
from typing import Any

import torch
from torch import Tensor

from negah.models import CaptionModel
from negah.studies.captioning import (
    CaptionData,
    Variation,
    cross_entropy,
    make_show_tell,
    make_tokenizer,
    multiply_adds,
    open_captions,
    parameter_count,
    photo_nats,
    prepare_captions,
    score_photos,
    train_captioner,
    write_tokens,
)
from negah.studies.study import Paths, Progress
from negah.studies.tokens.spelling import Speller, length, misspelt, unknown_captions
from negah.studies.tokens.study import TokensOptions
from negah.text import PAD, UNK
from negah.training.padding import pad_captions

_KINDS = {"words": "word", "characters": "char", "subwords": "subword"}
#: Captions of a cell that the page shows, and misspelt words.
_SHOWN = 12


class StepTimer:
    """The time that steps take, without what is measured between them."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._since = 0.0
        self.seconds = 0.0
        self.captions = 0

    def loss(
        self, model: Any, features: Tensor, inputs: Tensor, counts: Tensor, targets: Tensor
    ) -> Tensor:
        """The cross-entropy, with which a step starts."""
        self._since = time.perf_counter()
        self.captions += int(counts.any(2).sum())
        return cross_entropy(model, features, inputs, counts, targets)

    def progress(self, label: str, done: int, total: int) -> None:
        """With which a step ends."""
        self.seconds += time.perf_counter() - self._since
        self._progress(label, done, total)


def prepare(options: TokensOptions, paths: Paths, progress: Progress) -> None:
    """Store the features."""
    prepare_captions(options.captions, paths, progress)


def run_cell(
    options: TokensOptions, paths: Paths, variant: str, seed: int, progress: Progress
) -> dict[str, Any]:
    """Train and measure the captioner of one tokenizer."""
    o = options.captions.model_copy(update={"max_tokens": options.longest[variant]})

    build = partial(
        make_tokenizer, _KINDS[variant], min_count=o.min_count, subwords=options.vocabulary_size
    )
    data = open_captions(o, paths, progress, tokenizer=build)
    model = make_show_tell(o, data.channels, len(data.tokenizer), seed)
    clock = StepTimer(progress)
    curves = train_captioner(
        model,
        data,
        o,
        seed,
        progress=clock.progress,
        label="training",
        variation=Variation(loss=clock.loss),
    )
    training = _flat(data.train.captions)

    started = time.perf_counter()
    found = write_tokens(model, data.tokenizer, data.test, o, progress)
    written = time.perf_counter() - started
    captions = [data.tokenizer.decode(ids) for ids in found]

    speller, references = Speller(training), _flat(data.test.captions)
    nats_N2 = photo_nats(model, data, data.test, o)
    nats, tokens = nats_N2.sum(0).tolist()
    unknown = speller.unknown_nats(data.tokenizer, references)
    characters = length(references)
    spelled = [
        [own + speller.unknown_nats(data.tokenizer, texts), length(texts)]
        for own, texts in zip(nats_N2[:, 0].tolist(), data.test.captions, strict=True)
    ]
    scores, cider_d = score_photos(captions, data.test.names, data.test.captions)
    wrong, examples = misspelt(captions, training)
    values = {
        **scores,
        "nats_per_character": (nats + unknown) / characters,
        "unknown_free": nats / characters,
        "nats": nats / tokens,
        "misspelt": wrong,
        "references_unknown": unknown_captions(data.tokenizer, references),
        "wanted_unknown": _wanted_unknown(model, data, found),
        "different_words": float(len({word for caption in captions for word in caption.split()})),
        "parameters": float(parameter_count(model)),
        "multiply_adds": multiply_adds(model, data, o) / 1e6,
        "vocabulary": float(len(data.tokenizer)),
        "tokens": tokens / len(references),
        "trained_per_second": clock.captions / clock.seconds,
        "written_per_second": len(captions) / written,
    }
    return {
        "values": values,
        "curves": {
            "training loss per token": curves["training loss"],
            "dev nats per character": _by_character(curves["dev nats per token"], data, speller),
        },
        "extra": {
            "captions": dict(zip(data.test.names[:_SHOWN], captions[:_SHOWN], strict=True)),
            "references": {
                name: texts[0]
                for name, texts in list(zip(data.test.names, data.test.captions, strict=True))[
                    :_SHOWN
                ]
            },
            "misspelt": examples[:_SHOWN],
            "photos": {"cider_d": cider_d, "nats_per_character": spelled},
        },
    }


def _by_character(
    curve: list[list[float]], data: CaptionData, speller: Speller
) -> list[list[float]]:
    """A curve in nats a token in nats a character, unknown ones spelled."""
    captions = _flat(data.dev.captions)
    tokens = sum(len(data.tokenizer.encode(caption)) + 1 for caption in captions)
    unknown, characters = speller.unknown_nats(data.tokenizer, captions), length(captions)
    return [[epoch, (nats * tokens + unknown) / characters] for epoch, nats in curve]


@torch.inference_mode()
def _wanted_unknown(model: CaptionModel, data: CaptionData, found: list[tuple[int, ...]]) -> float:
    """The percentage of written captions in which ``<UNK>`` was the likeliest token somewhere.

    The search never writes it, so this is where it had to take something else.
    """
    wanted = 0
    for first in range(0, len(found), 100):
        rows = range(first, min(first + 100, len(found)))
        inputs, targets = pad_captions([[list(found[row])] for row in rows])
        counts = torch.from_numpy(targets) != PAD
        logits_NV = model(data.test.features(rows), torch.from_numpy(inputs), counts)
        likeliest_TBK = torch.full(counts.movedim(2, 0).shape, PAD)
        likeliest_TBK[counts.movedim(2, 0)] = logits_NV.argmax(1)
        wanted += int((likeliest_TBK == UNK).any(0).sum())
    return 100 * wanted / len(found)


def _flat(captions: list[list[str]]) -> list[str]:
    return [caption for each in captions for caption in each]
