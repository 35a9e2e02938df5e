"""The training loop, top to bottom.

Teacher forcing with cross-entropy over the words that count (padding is never scored), AdamW
with warm-up and decay, free-running validation every epoch, the best epoch kept by dev
CIDEr-D as a copy on disk. A run can be stopped anywhere, by Ctrl-C or by a kill, and the same
call resumes it; on a CPU the resumed run ends in the same bits.

Axes: B photos or clips, K captions of each, T words, N words that count, V vocabulary.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor

from negah.data import Dataset, Example, check_no_leak
from negah.data.locks import exclusive
from negah.errors import CheckpointError, DataError, NegahError, UsageError
from negah.files import write_json
from negah.interrupt import Interrupt
from negah.media import MAX_PIXELS
from negah.models import load_encoder
from negah.text import Tokenizer, load_tokenizer
from negah.training.batches import Batches
from negah.training.checkpoint import (
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
    under_prefix,
    with_prefix,
)
from negah.training.features import prepare_features
from negah.training.inputs import check_kinds, read_ahead, usable
from negah.training.learner import Learner, RunningMean, build_optimizer, rate_at
from negah.training.provenance import same_data
from negah.training.readers import readers
from negah.training.recipe import Recipe, TrainingOptions
from negah.training.reports import LOG, Reporter, RunLog, Silent
from negah.training.storyboards import load_boards
from negah.training.validation import validation_options
from negah.training.vectors import check_vectors, start_from_vectors

CHECKPOINT = "checkpoint.safetensors"
BEST = "best.safetensors"
RUN = "run.json"
TOKENIZER = "tokenizer.json"
LOCK = "lock"
BUNDLE = "bundle"

_STOPPING = "stopping: what is under way is finished and saved first (Ctrl-C again: at once)"


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training ended.

    Attributes:
        finished: False when it was interrupted; the same call goes on.
        epochs: epochs that are complete.
        best_epoch: the epoch that was kept, counted from 1; 0 before the first validation.
        best_score: its CIDEr-D on the dev part, 0-100 scale; with a montage the mean of those
            of the photos and of the clips made of them, and of storyboards if there are any.
    """

    finished: bool
    epochs: int
    best_epoch: int
    best_score: float


@dataclass
class _Progress:
    """Where a run is: all that is not a tensor. Saved in every checkpoint."""

    epoch: int = 0  # epochs complete
    done: int = 0  # steps of the present epoch
    step: int = 0  # steps of all epochs
    loss_sum: float = 0.0
    words: int = 0
    best_score: float = -1.0
    best_epoch: int = 0


def train(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    *,
    features: Path,
    fabric: Fabric | None = None,
    initial: Path | None = None,
    reporter: Reporter | None = None,
    provenance: dict[str, Any] | None = None,
    max_pixels: int = MAX_PIXELS,
) -> Outcome:
    """Train a recipe on a data set, or go on with the run that ``folder`` holds.

    Args:
        recipe: what to train and how.
        dataset: photographs or clips with captions; the parts ``train`` and ``dev`` are used.
        folder: of the run: ``run.json``, ``tokenizer.json``, ``log.jsonl``, ``tensorboard/``,
            ``checkpoint.safetensors``, ``best.safetensors`` and a lock file.
        features: folder of the feature stores, shared between runs.
        fabric: device, precision and processes; one CPU process by default.
        initial: ``best.safetensors`` of another run to start the weights from; words that it
            does not know start fresh, or from ``text.vectors``.
        reporter: hears what happens.
        provenance: what ``run.json`` should remember of the data.
        max_pixels: a picture that would be decoded to more cannot be read.

    Raises:
        UsageError: ``text.vectors`` that are not there or do not fit the table.
        DataError: no captions to learn from, no dev part, a photo in two parts, photos where
            the recipe is for clips, or another process that trains into ``folder``.
        CheckpointError: ``folder`` holds a run of another recipe or other data, or
                ``initial`` does not fit the recipe.
    """
    o = recipe.training
    report = reporter if reporter is not None else Silent()
    validation_options(recipe.decoding, o.validation_beam)  # refused before work starts
    identity: dict[str, Any] = {
        "recipe": recipe.model_dump(mode="json"),
        "data": provenance or {},
    }
    storyboards = recipe.clips.storyboards
    boards = None if storyboards is None else load_boards(storyboards, recipe.encoder)
    _refuse_another_run(folder, identity)
    if not (folder / CHECKPOINT).exists():
        check_vectors(recipe)
    fabric = fabric if fabric is not None else Fabric(accelerator="cpu", devices=1)
    fabric.launch()
    torch.manual_seed(o.seed)

    # -- data: frozen features once, tokens, batches -------------------------------------
    examples = [e for e in dataset.examples if e.split in ("train", "dev")]
    check_no_leak(dataset)
    check_kinds(examples, recipe.clips)
    encoder = load_encoder(recipe.encoder)
    shown = [] if boards is None else boards.beside(dataset.examples)
    with fabric.rank_zero_first():
        views = prepare_features(
            encoder, [*examples, *shown], features, flips=o.flips, device=fabric.device,
            clips=recipe.clips, max_pixels=max_pixels, progress=report.features,
        )  # fmt: skip
    training, held_out = usable([*examples, *shown], views, report)
    identity["training_photos"] = len(training)
    told: list[tuple[str, ...]] = []
    if boards is not None:
        boards = boards.readable(views)
        identity["storyboards"] = boards.facts()
        told = boards.told(len(training), recipe.clips)
        report.message(
            f"{len(told):,} of {len(training) + len(told):,} clips of an epoch are storyboards"
        )
    tokenizer = _open_run(folder, recipe, training, told, identity, fabric)
    captions = [*(e.captions for e in training), *told]
    ids = [[_cut(tokenizer.encode(c), recipe) for c in group] for group in captions]
    batches = Batches(ids, photos=o.photos, per_photo=o.captions, flips=o.flips, seed=o.seed)
    read, validation = readers(
        recipe, training, held_out, views, features, tokenizer, encoder.grid, boards
    )

    # -- model ----------------------------------------------------------------------------
    learner = Learner(recipe.model, encoder, len(tokenizer))
    checkpoint = folder / CHECKPOINT
    learner.captioner.embedding.weight.requires_grad = not recipe.text.vectors_frozen
    if recipe.text.vectors and not checkpoint.exists():
        report.message(start_from_vectors(learner.captioner, recipe, tokenizer, training))
    if initial is not None and not checkpoint.exists():
        report.message(learner.start_from(initial, tokenizer))
    optimizer = build_optimizer(learner, o)
    module, wrapped = fabric.setup(learner, optimizer)
    mean = RunningMean(learner, o.average)
    total = o.epochs * (len(batches) // fabric.world_size)
    progress = _Progress()
    if checkpoint.exists():
        progress = _restore(checkpoint, learner, optimizer, mean)
        report.message(f"resuming after step {progress.step} (epoch {progress.epoch + 1})")

    def save() -> None:
        if fabric.is_global_zero:
            _save(checkpoint, learner, optimizer, mean, progress)

    # -- epochs ---------------------------------------------------------------------------
    with (
        RunLog(folder if fabric.is_global_zero else None) as log,
        exclusive(folder / LOCK, f"training into {folder}")
        if fabric.is_global_zero
        else nullcontext(),
        Interrupt(lambda: report.message(_STOPPING)) as interrupt,
        ThreadPoolExecutor(1) as reader,
    ):
        saved_at = time.monotonic()
        while progress.epoch < o.epochs and not _patience_is_over(progress, o):
            epoch = batches.epoch(progress.epoch)[fabric.global_rank :: fabric.world_size]
            epoch = epoch[: len(batches) // fabric.world_size]
            report.epoch(progress.epoch + 1, o.epochs, progress.done, len(epoch))
            module.train()
            following = read_ahead(reader, read, epoch, progress.done, progress.epoch)
            for done in range(progress.done, len(epoch)):
                frames = following.result().to(fabric.device)
                following = read_ahead(reader, read, epoch, done + 1, progress.epoch)
                rate = rate_at(progress.step, total, o)
                for group in optimizer.param_groups:
                    group["lr"] = group["peak"] * rate
                inputs_BKT = torch.from_numpy(epoch[done].inputs_BKT).to(fabric.device)
                targets_BKT = torch.from_numpy(epoch[done].targets_BKT).to(fabric.device)
                share = o.scheduled_sampling * progress.step / total
                loss, nll_sum, words = module(
                    frames.trunk, inputs_BKT, targets_BKT, o.label_smoothing, share, frames.real_BF
                )
                if not math.isfinite(loss.item()):
                    raise DataError(
                        f"the loss is {loss.item()} at step {progress.step}; lower "
                        "training.learning_rate, or check the captions"
                    )
                wrapped.zero_grad(set_to_none=True)
                fabric.backward(loss)
                if o.gradient_clip:
                    fabric.clip_gradients(module, wrapped, max_norm=o.gradient_clip)
                wrapped.step()
                mean.update(progress.step)
                progress.step += 1
                progress.done += 1
                progress.loss_sum += nll_sum.item()
                progress.words += words
                so_far = progress.loss_sum / progress.words
                report.step(progress.done, len(epoch), so_far, rate * o.learning_rate)
                if progress.step % 20 == 0:
                    log.write("train", progress.step, loss=loss.item(), nll=so_far, rate=rate)
                if _anyone(interrupt.asked, fabric):
                    save()
                    return _outcome(progress, finished=False)
                if time.monotonic() - saved_at > 60 * o.checkpoint_minutes:
                    save()
                    saved_at = time.monotonic()

            progress.epoch += 1
            progress.done, nll = 0, progress.loss_sum / max(1, progress.words)
            progress.loss_sum, progress.words = 0.0, 0
            if fabric.is_global_zero:
                with mean.applied():
                    learner.eval()
                    score, scores = validation.score(encoder, learner.captioner, report.validating)
                    if score > progress.best_score:
                        progress.best_score, progress.best_epoch = score, progress.epoch
                        facts = {"epoch": progress.epoch, "scores": scores}
                        save_checkpoint(folder / BEST, learner.state_dict(), facts)
                row = {"nll": nll, **scores}
                log.write("dev", progress.step, epoch=progress.epoch, **row)
                report.validated({"epoch": progress.epoch, **row, "best": progress.best_epoch})
            best = fabric.broadcast((progress.best_score, progress.best_epoch))
            progress.best_score, progress.best_epoch = best
            save()
            saved_at = time.monotonic()
            if _anyone(interrupt.asked, fabric):
                return _outcome(progress, finished=progress.epoch == o.epochs)
    return _outcome(progress, finished=True)


def _open_run(
    folder: Path,
    recipe: Recipe,
    training: Sequence[Example],
    told: Sequence[Sequence[str]],
    identity: dict[str, Any],
    fabric: Fabric,
) -> Tokenizer:
    """The tokenizer of the run in ``folder``; a new run is set up, another one refused."""
    if fabric.is_global_zero and not (folder / RUN).exists():
        folder.mkdir(parents=True, exist_ok=True)
        captions = [caption for example in training for caption in example.captions]
        # each storyboard comes several times in an epoch, and is counted once
        captions += [caption for group in dict.fromkeys(map(tuple, told)) for caption in group]
        recipe.text.build(captions).save(folder / TOKENIZER)
        write_json(folder / RUN, identity)
    fabric.barrier()
    _refuse_another_run(folder, identity)
    return load_tokenizer(folder / TOKENIZER)


def _refuse_another_run(folder: Path, identity: Mapping[str, Any]) -> None:
    """Before an hour of features is computed for nothing, and again with the number of photos."""
    if not (folder / RUN).exists():
        _refuse_to_write_over(folder)
        return
    try:
        found = dict(json.loads((folder / RUN).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        raise CheckpointError(
            f"{folder / RUN} is not of a training run of Negah; choose another folder"
        ) from None
    with suppress(UsageError, KeyError, TypeError):
        # resolved again: a run of before a section was there has its defaults
        recipe = Recipe.parse(found["recipe"], where=RUN)
        found["recipe"] = recipe.model_dump(mode="json")
    if same_data(found.get("data"), identity["data"]):
        found["data"] = identity["data"]
    different = [key for key in identity if found.get(key) != identity[key]]
    if different:
        raise CheckpointError(
            f"{folder} holds a run with another {' and '.join(different)}. Go on with the command "
            "that started it, or give a new folder with --output."
        )


def _refuse_to_write_over(folder: Path) -> None:
    """A new run takes no names that are taken; a tokenizer may be of a run that was killed."""
    taken = sorted(path.name for path in folder.glob("*.safetensors"))
    taken += [name for name in (LOG, LOCK, BUNDLE) if (folder / name).exists()]
    if (folder / TOKENIZER).exists():
        try:
            load_tokenizer(folder / TOKENIZER)
        except NegahError:
            taken.append(TOKENIZER)
    if taken:
        raise CheckpointError(
            f"{folder} is no training run (no {RUN}) and holds {', '.join(taken)}, which a run "
            "would write over; choose another folder"
        )


def _cut(ids: list[int], recipe: Recipe) -> list[int]:
    return ids[: recipe.text.max_tokens]


def _anyone(asked: bool, fabric: Fabric) -> bool:
    """Whether any process was asked to stop: all have to stop at the same step."""
    if fabric.world_size == 1:
        return asked
    votes = fabric.all_reduce(torch.tensor(float(asked)), reduce_op="sum")
    return isinstance(votes, Tensor) and votes.item() > 0


def _patience_is_over(progress: _Progress, o: TrainingOptions) -> bool:
    waited = progress.epoch - progress.best_epoch
    return bool(o.patience) and progress.best_epoch > 0 and waited >= o.patience


def _save(
    path: Path,
    learner: Learner,
    optimizer: torch.optim.Optimizer,
    mean: RunningMean,
    progress: _Progress,
) -> None:
    tensors = {
        **with_prefix("learner", learner.state_dict()),
        **with_prefix("mean", mean.state_dict()),
        **with_prefix("optimizer", optimizer_tensors(optimizer)),
        "random": torch.get_rng_state(),
    }
    save_checkpoint(path, tensors, vars(progress))


def _restore(
    path: Path, learner: Learner, optimizer: torch.optim.Optimizer, mean: RunningMean
) -> _Progress:
    tensors, facts = load_checkpoint(path)
    try:
        learner.load_state_dict(under_prefix("learner", tensors))
        mean.load_state_dict(under_prefix("mean", tensors))
        restore_optimizer(optimizer, under_prefix("optimizer", tensors))
        torch.set_rng_state(tensors["random"])
        return _Progress(**facts)
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise CheckpointError(
            f"{path} does not fit the run beside it ({type(error).__name__}: {error}). "
            "Delete it to train from the start."
        ) from None


def _outcome(progress: _Progress, *, finished: bool) -> Outcome:
    return Outcome(finished, progress.epoch, progress.best_epoch, progress.best_score)


__all__ = ["BEST", "CHECKPOINT", "RUN", "TOKENIZER", "Outcome", "train"]
