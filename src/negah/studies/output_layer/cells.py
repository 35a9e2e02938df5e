"""A Show-and-Tell captioner whose last layer is exchanged, and one training of it.

Axes: B photos, K captions of each, F frames, R regions, C channels, T words, N words that count,
D hidden size, V vocabulary.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor, nn

from negah.models import CaptionModel, ShowTell, StepOutput, Tensors
from negah.models.seeding import seeded
from negah.studies.captioning import (
    CaptionData,
    CaptionOptions,
    Variation,
    make_show_tell,
    open_captions,
    parameter_count,
    score_captioner,
    train_captioner,
)
from negah.studies.output_layer.cost import measure_costs
from negah.studies.output_layer.counting import count_operations
from negah.studies.output_layer.heads import NegativeSampling, OutputLayer, make_output_layer
from negah.studies.output_layer.study import OutputLayerOptions
from negah.studies.study import Paths, Progress
from negah.text import EOS


class WithOutputLayer(CaptionModel):
    """A Show-and-Tell captioner that predicts with one of the output layers.

    Its logits are log-probabilities, which a softmax leaves as they are.

    Args:
        captioner: its own linear layer is taken out.
        layer: what predicts instead.
    """

    def __init__(self, captioner: ShowTell, layer: OutputLayer) -> None:
        super().__init__()
        captioner.register_module("output", nn.Identity())
        self.captioner = captioner
        self.layer = layer
        self.channels = captioner.channels
        self.vocabulary_size = layer.vocabulary_size

    def start(
        self, features_BFRC: Tensor, real_BF: Tensor | None = None
    ) -> tuple[Tensors, Tensors]:
        """(See the base class.)"""
        return self.captioner.start(features_BFRC, real_BF)

    def step(self, memory: Tensors, state: Tensors, tokens_BK: Tensor) -> StepOutput:
        """(See the base class.)"""
        output = self.captioner.step(memory, state, tokens_BK)
        logprobs_NV = self.layer.log_probabilities(output.logits.flatten(0, 1))
        return StepOutput(logprobs_NV.reshape(*tokens_BK.shape, -1), output.state, {})

    def forward(
        self,
        features_BFRC: Tensor,
        inputs_BKT: Tensor,
        counts_BKT: Tensor,
        real_BF: Tensor | None = None,
    ) -> Tensor:
        """(See the base class.)"""
        hidden_ND = self.captioner(features_BFRC, inputs_BKT, counts_BKT, real_BF)
        return self.layer.log_probabilities(hidden_ND)


def loss(
    model: WithOutputLayer,
    features_BFRC: Tensor,
    inputs_BKT: Tensor,
    counts_BKT: Tensor,
    targets_N: Tensor,
) -> Tensor:
    """What the output layer learns by."""
    return model.layer.loss(model.captioner(features_BFRC, inputs_BKT, counts_BKT), targets_N)


def count_words(data: CaptionData, o: CaptionOptions) -> Tensor:
    """How often training predicts each token, ``<EOS>`` included, int64 (V,)."""
    captions = [caption for captions in data.train.captions for caption in captions]
    counts = Counter(index for ids in data.ids(captions, o.max_tokens) for index in ids)
    counts[EOS] = len(captions)
    return torch.tensor([counts[index] for index in range(len(data.tokenizer))])


def facts(o: OutputLayerOptions, paths: Paths, progress: Progress) -> dict[str, Any]:
    """Operations by number of classes, and time and memory by vocabulary."""
    counts = [
        {
            "classes": classes,
            **{name: asdict(tally) for name, tally in count_operations(classes).items()},
        }
        for classes in o.counted
    ]
    costs = measure_costs(
        o.vocabularies, hidden=o.hidden_size, words=o.words, hypotheses=o.hypotheses,
        repeats=o.repeats, progress=progress,
    )  # fmt: skip
    return {"counts": counts, "costs": costs}


def run_cell(
    options: OutputLayerOptions, paths: Paths, variant: str, seed: int, progress: Progress
) -> dict[str, Any]:
    """Train and score a captioner with one output layer."""
    o = options.captioning
    data = open_captions(o, paths, progress)
    with seeded(seed):
        captioner = make_show_tell(o, data.channels, len(data.tokenizer))
        layer = make_output_layer(variant, o.hidden_size, count_words(data, o))
    model = WithOutputLayer(captioner, layer)
    curves = train_captioner(
        model, data, o, seed, progress=progress, label="training", variation=Variation(loss=loss)
    )
    del curves["training loss"]  # of different losses
    found = score_captioner(model, data, o, progress=progress)
    scores = found["values"]
    values = {
        **{name: scores[name] for name in ("cider_d", "bleu_4", "nats", "distinct", "words")},
        "parameters": parameter_count(layer),
    }
    if isinstance(layer, NegativeSampling):
        values |= _of_raw_scores(model, layer, data, o, progress)
    extra = {"vocabulary": len(data.tokenizer), **found["extra"]}
    return {"values": values, "curves": curves, "extra": extra}


def _of_raw_scores(
    model: WithOutputLayer,
    layer: NegativeSampling,
    data: CaptionData,
    o: CaptionOptions,
    progress: Progress,
) -> dict[str, float]:
    """What captions become if the noise is not put back, and how far scores are normalised."""
    mean, deviation = _normaliser(model, layer, data)
    layer.restore_noise = False
    label = "captions of raw scores"
    scores = score_captioner(model, data, o, progress=progress, label=label)["values"]
    layer.restore_noise = True
    return {
        "cider_d_raw": scores["cider_d"],
        "nats_raw": scores["nats"],
        "distinct_raw": scores["distinct"],
        "log_normaliser": mean,
        "log_normaliser_deviation": deviation,
    }


@torch.inference_mode()
def _normaliser(
    model: WithOutputLayer, layer: NegativeSampling, data: CaptionData
) -> tuple[float, float]:
    """Mean and standard deviation of log Z over the first words of the dev photos' captions."""
    rows = list(range(min(100, len(data.dev.names))))
    memory, state = model.start(data.dev.features(rows))
    found = []
    ids = data.ids([data.dev.captions[row][0] for row in rows], 5)
    for place in range(min(map(len, ids))):
        tokens_B1 = torch.tensor([[words[place]] for words in ids])
        output = model.captioner.step(memory, state, tokens_B1)
        state = output.state
        found.append(layer.log_normaliser(output.logits.flatten(0, 1)))
    every = torch.cat(found)
    return float(every.mean()), float(every.std())
