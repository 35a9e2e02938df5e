"""One cell of the study: a captioner, and a network for every length of the two tasks."""

from __future__ import annotations

from dataclasses import asdict, replace
from functools import partial
from typing import Any

from negah.models import ShowTell
from negah.studies.captioning import (
    CaptionData,
    CaptionOptions,
    Part,
    make_show_tell,
    open_captions,
    parameter_count,
    score_captioner,
    teacher_forced,
    train_captioner,
)
from negah.studies.gru_gates.cost import cell_cost
from negah.studies.gru_gates.learn import SequenceTask, learn_task
from negah.studies.gru_gates.options import ADDING, CELLS, COPYING, GruGatesOptions, TaskOptions
from negah.studies.gru_gates.proof import prove
from negah.studies.study import Paths, Progress


def facts(o: GruGatesOptions, paths: Paths, progress: Progress) -> dict[str, Any]:
    """The proof of the forced schedules, and what a cell costs."""
    sizes = o.captioning.embedding_size, o.captioning.hidden_size
    cost = {variant: asdict(cell_cost(cell, *sizes)) for variant, cell in CELLS.items()}
    return {"cost": cost, "sizes": sizes, **prove(o.proofs, progress)}


def run_cell(
    o: GruGatesOptions, paths: Paths, variant: str, seed: int, progress: Progress
) -> dict[str, Any]:
    """Train and measure a captioner, and a network for every length of the tasks."""
    cell = CELLS[variant]
    captioner = _captioner(cell, o.captioning, paths, seed, progress)
    adding = _by_length("adding", cell, o.tasks.lengths, o.tasks, seed, progress)
    copying = _by_length("copying", cell, o.tasks.delays, o.tasks, seed, progress)
    cost = cell_cost(cell, o.captioning.embedding_size, o.captioning.hidden_size)
    values = {
        **captioner["values"],
        "adding": adding[-1][1],
        "copying": 100 * copying[-1][1],
        "cell_weights": cost.weights,
        "multiply_adds": cost.multiply_adds,
    }
    curves = {
        ADDING: adding,
        COPYING: [[delay, 100 * share] for delay, share in copying],
        **captioner["curves"],
    }
    return {**captioner, "values": values, "curves": curves}


def _captioner(
    cell: str, o: CaptionOptions, paths: Paths, seed: int, progress: Progress
) -> dict[str, Any]:
    data = open_captions(o, paths, progress)
    model = make_show_tell(o, data.channels, len(data.tokenizer), seed, cell=cell)
    curves = train_captioner(model, data, o, seed, progress=progress, label="captions")
    found = score_captioner(model, data, o, progress=progress)
    scores = found["values"]
    seen = _nats(model, data, _evenly(data.train, len(data.dev.names)), o)
    held_out = _nats(model, data, data.dev, o)
    values = {
        "cider_d": scores["cider_d"],
        "bleu_4": scores["bleu_4"],
        "nats": scores["nats"],
        "nats_seen": seen,
        "overfitting": held_out - seen,
        "parameters": parameter_count(model),
    }
    return {**found, "values": values, "curves": curves}


def _nats(model: ShowTell, data: CaptionData, part: Part, o: CaptionOptions) -> float:
    """A token of true captions, in evaluation mode."""
    nats, tokens, _ = teacher_forced(model, data, part, o)
    return nats / tokens


def _evenly(part: Part, number: int) -> Part:
    """As many photos as the held-out part has, evenly from the list."""
    rows = range(0, len(part.names), max(1, len(part.names) // number))[:number]
    return replace(
        part,
        names=[part.names[row] for row in rows],
        captions=[part.captions[row] for row in rows],
        features_NRC=part.features_NRC[list(rows)],
    )


def _by_length(
    task: SequenceTask,
    cell: str,
    lengths: tuple[int, ...],
    o: TaskOptions,
    seed: int,
    progress: Progress,
) -> list[list[float]]:
    """[length, what was measured] for each."""
    found: list[list[float]] = []
    for length in lengths:
        told = partial(progress, f"{task}, {length} steps")
        found.append([length, learn_task(task, cell, length, o, seed, told)])
    return found
