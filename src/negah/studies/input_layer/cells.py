"""The cells of ``input-layer``: forecasters, and captioners with three embeddings."""

from __future__ import annotations

from typing import Any

from negah.studies.captioning import (
    make_show_tell,
    open_captions,
    prepare_captions,
    score_captioner,
    train_captioner,
)
from negah.studies.input_layer import forecast
from negah.studies.input_layer.options import CAPTIONERS, FRESH, FROZEN, InputLayerOptions
from negah.studies.input_layer.proof import measure_costs, prove_equal
from negah.studies.input_layer.weather import NOISE
from negah.studies.study import Paths, Progress
from negah.text.vectors import read_vectors, vector_table


def prepare(options: InputLayerOptions, paths: Paths, progress: Progress) -> None:
    """Store the features of the captioners, where there are any."""
    if options.vectors:
        prepare_captions(options.captioning, paths, progress)


def facts(options: InputLayerOptions, paths: Paths, progress: Progress) -> dict[str, Any]:
    """The proof of equality, the cost of both layers, and forecasts without a network."""
    found = [forecast.baselines(options.weather, seed) for seed in options.seeds]
    return {
        "proof": prove_equal(vocabulary=options.proved, size=16, steps=options.proof_steps, seed=0),
        "costs": measure_costs(
            options.vocabularies, size=options.embedding_size, words=options.words,
            repeats=options.repeats, progress=progress,
        ),
        "baselines": {
            name: {m: [one[name][m] for one in found] for m in ("mse", "mse_unseen")}
            for name in ("persistence", "climatology", "linear regression")
        },
        "best_possible": NOISE**2,
    }  # fmt: skip


def run_cell(
    options: InputLayerOptions, paths: Paths, variant: str, seed: int, progress: Progress
) -> dict[str, Any]:
    """Train and score a forecaster or a captioner."""
    if variant not in CAPTIONERS:
        return forecast.run_cell(options.weather, variant, seed, progress)
    o = options.captioning
    data = open_captions(o, paths, progress)
    model = make_show_tell(o, data.channels, len(data.tokenizer), seed)
    if variant != FRESH:
        tokens = data.tokenizer.tokens
        vectors = read_vectors(options.vectors, tokens, size=o.embedding_size)
        model.embedding.fill(vector_table(vectors, tokens, seed=seed), frozen=variant == FROZEN)
    curves = train_captioner(model, data, o, seed, progress=progress, label="training")
    found = score_captioner(model, data, o, progress=progress)
    values = {name: found["values"][name] for name in ("cider_d", "bleu_4", "nats")}
    values["input_parameters"] = model.embedding.weight.numel()
    curves.pop("training loss")
    return {**found, "values": values, "curves": curves}
