"""A Show-and-Tell captioner whose embedding is fresh, or GloVe's, frozen or learning."""

from __future__ import annotations

from typing import Any

from negah.models import ShowTell, ShowTellOptions
from negah.models.seeding import seeded
from negah.studies.captioning import open_captions, score_captioner, train_captioner
from negah.studies.input_layer.options import FRESH, FROZEN, InputLayerOptions
from negah.studies.study import Paths, Progress
from negah.text.vectors import read_vectors, vector_table


def run_cell(
    options: InputLayerOptions, paths: Paths, variant: str, seed: int, progress: Progress
) -> dict[str, Any]:
    """Train and score a captioner."""
    o = options.captioning
    data = open_captions(o, paths, progress)
    with seeded(seed):
        model = ShowTell(
            ShowTellOptions(
                embedding_size=o.embedding_size, hidden_size=o.hidden_size, dropout=o.dropout
            ),
            data.channels,
            len(data.tokenizer),
        )
    if variant != FRESH:
        tokens = data.tokenizer.tokens
        vectors = read_vectors(options.vectors, tokens, size=o.embedding_size)
        model.embedding.fill(vector_table(vectors, tokens, seed=seed), frozen=variant == FROZEN)
    curves = train_captioner(model, data, o, seed, progress=progress, label="training")
    scores = score_captioner(model, data, o, progress=progress)
    values = {name: scores[name] for name in ("cider_d", "bleu_4", "nats")}
    values["input_parameters"] = model.embedding.weight.numel()
    return {"values": values, "curves": {"dev nats per token": curves["dev nats per token"]}}
