"""The training loop, top to bottom.

What a step minimises is the recipe's objective, by default teacher forcing with cross-entropy over
the words that count (padding is never scored); AdamW with warm-up and decay, free-running
validation every epoch, the best epoch kept by dev CIDEr-D as a copy on disk. A run can be stopped
anywhere, also by a kill, and the same call resumes it; on a CPU the resumed run ends in the same
bits.

Axes: B photos or clips, K captions of each, T words.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from negah.data import Dataset
from negah.decoding import DecodingOptions
from negah.errors import TrainingError, UsageError
from negah.models import Encoder, load_encoder
from negah.models.seeding import seeded
from negah.pipeline import map_ahead
from negah.run_folder import RunFolder
from negah.text import Tokenizer
from negah.training.batches import Batch, Batches
from negah.training.checkpoint import save_checkpoint
from negah.training.environment import Environment, StopRequest
from negah.training.identity import hold, open_run, refuse_another_run
from negah.training.initial import Initial
from negah.training.learner import Learner, RunningMean, build_optimizer
from negah.training.objectives import LOGGED, Loss
from negah.training.padding import Frames
from negah.training.recipe import Recipe
from negah.training.reports import RunLog
from negah.training.resume import Progress, restore_training, save_training
from negah.training.sources import Source, open_source
from negah.training.start import build_learner, check_start, facts_of, start_learner
from negah.training.storyboards import load_boards
from negah.training.validation import Validation, Validations, validation_options
from negah.training.vectors import check_vectors


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training ended.

    Attributes:
        finished: False when it was interrupted; the same call goes on.
        epochs: epochs that are complete.
        best_epoch: the epoch that was kept, counted from 1; 0 before the first validation.
        best_score: its CIDEr-D on the dev part, 0-100 scale; with a montage the mean of those
            of the photos and of the clips made of them, and of storyboards if there are any.
        initial_score: the same of the model that it started from; None where that was not scored.
    """

    finished: bool
    epochs: int
    best_epoch: int
    best_score: float
    initial_score: float | None = None


@dataclass
class _Session:
    """A training that is set up: everything that its steps use."""

    recipe: Recipe
    run: RunFolder
    environment: Environment
    encoder: Encoder
    source: Source
    batches: Batches
    validations: Validations
    learner: Learner
    module: Any  # the learner, wrapped for device and processes
    optimizer: Any  # the same
    mean: RunningMean
    progress: Progress
    saved_at: float

    @property
    def steps_per_epoch(self) -> int:
        return len(self.batches) // self.environment.fabric.world_size

    def save(self) -> None:
        if self.environment.fabric.is_global_zero:
            optimizer = self.optimizer.optimizer
            save_training(self.run.checkpoint, self.learner, optimizer, self.mean, self.progress)
        self.saved_at = time.monotonic()

    def outcome(self, *, finished: bool) -> Outcome:
        done = self.progress
        return Outcome(finished, done.epoch, done.best_epoch, done.best_score, done.initial_score)


def train(
    recipe: Recipe,
    dataset: Dataset,
    folder: Path,
    environment: Environment,
    *,
    initial: Initial | None = None,
    provenance: Mapping[str, Any] | None = None,
) -> Outcome:
    """Train a recipe on a data set, or go on with the run that ``folder`` holds.

    PyTorch draws from the recipe's seed within this call; the caller's generators are restored on
    return.

    Args:
        recipe: what to train and how.
        dataset: photographs or clips with captions; the parts ``train`` and ``dev`` are used.
        folder: of the run; see :class:`~negah.run_folder.RunFolder`.
        environment: where it runs, and who hears of it.
        initial: a model to start the weights from; words that it does not know start as
            ``initial.new_words`` of the recipe says. Nothing of it is read by a run that goes on.
        provenance: what ``run.json`` should remember of the data.

    Raises:
        UsageError: ``text.vectors`` that are not there or do not fit the table, or an objective
            that goes on from trained weights, without any.
        DataError: no captions to learn from, no dev part, a photo in two parts, photos where
            the recipe is for clips, or references that the objective cannot learn from.
        LockedError: another process trains into ``folder``.
        TrainingError: the loss is no longer a number, or the objective logs a value under a name
            of the training's own.
        CheckpointError: ``folder`` holds a run of another recipe or other data, or
                ``initial`` does not fit the recipe.
    """
    run, fabric = RunFolder(folder), environment.fabric
    validation_options(recipe.decoding, recipe.training.validation_beam)  # refused before work
    storyboards = recipe.clips.storyboards
    boards = None if storyboards is None else load_boards(storyboards, recipe.encoder)
    identity = {"recipe": recipe.model_dump(mode="json"), "data": dict(provenance or {})}
    refuse_another_run(run, identity)
    if not run.checkpoint.exists():
        check_vectors(recipe)
        for warning in check_start(recipe, initial):
            environment.reporter.message(warning)
    fabric.launch()
    fabric.barrier()  # every process has looked at the folder before the lock is in it
    with ExitStack() as stack:
        if fabric.is_global_zero:
            stack.enter_context(hold(run))
        stack.enter_context(seeded(recipe.training.seed, fabric.device))
        encoder = load_encoder(recipe.encoder)
        source = open_source(recipe, dataset, encoder, boards, environment)
        for warning in recipe.training.objective.check(source.captions):
            environment.reporter.message(warning)
        is_new = not run.checkpoint.exists()
        weights = initial.read() if is_new and initial is not None else None
        tokenizer = open_run(
            run, recipe, source, identity | facts_of(recipe, source), fabric,
            None if weights is None else weights.tokenizer,
        )  # fmt: skip
        learner = build_learner(recipe, encoder, source, tokenizer)
        if is_new:
            for message in start_learner(learner, recipe, source, tokenizer, weights, environment):
                environment.reporter.message(message)
        session = _set_up(learner, recipe, run, environment, source, tokenizer)
        with RunLog(run if fabric.is_global_zero else None) as log:
            if is_new and initial is not None and recipe.initial.compare:
                _score_initial(session, log, initial)
            return _run_epochs(session, log)


def _set_up(
    learner: Learner,
    recipe: Recipe,
    run: RunFolder,
    environment: Environment,
    source: Source,
    tokenizer: Tokenizer,
) -> _Session:
    """Batches, validations and optimiser; from its checkpoint where the run has one."""
    options = recipe.training
    longest = recipe.text.max_tokens
    ids = [[tokenizer.encode(text)[:longest] for text in group] for group in source.captions]
    batches = Batches(
        ids, photos=options.photos, per_photo=options.captions, flips=options.flips,
        seed=options.seed,
    )  # fmt: skip
    decoding = validation_options(recipe.decoding, options.validation_beam)
    validations = _validations(source, tokenizer, decoding)
    optimizer = build_optimizer(learner, options)
    module, wrapped = environment.fabric.setup(learner, optimizer)
    mean, progress = RunningMean(learner, options.average), Progress()
    if run.checkpoint.exists():
        progress = restore_training(run.checkpoint, learner, optimizer, mean)
        environment.reporter.message(
            f"resuming after step {progress.step} (epoch {progress.epoch + 1})"
        )
    return _Session(
        recipe, run, environment, learner.encoder, source, batches, validations,
        learner, module, wrapped, mean, progress, time.monotonic(),
    )  # fmt: skip


def _validations(source: Source, tokenizer: Tokenizer, decoding: DecodingOptions) -> Validations:
    return Validations(
        {
            name: Validation(part.examples, part.read, tokenizer, decoding)
            for name, part in source.held_out.items()
        }
    )


def _score_initial(session: _Session, log: RunLog, initial: Initial) -> None:
    """Caption the held-out part with the initial model as it stands: its own words and weights.

    The features are those of the run, whose encoder has not learned yet, and the search is that
    of every validation.
    """
    environment, recipe = session.environment, session.recipe
    if not environment.fabric.is_global_zero:
        return
    captioner, tokenizer = initial.restore()
    decoding = validation_options(recipe.decoding, recipe.training.validation_beam)
    try:
        validations = _validations(session.source, tokenizer, decoding)
    except UsageError as error:  # it lacks a word that captions must, or must not, contain
        environment.reporter.message(f"{initial.name} cannot be scored by this recipe: {error}")
        return
    score, scores = validations.score(
        session.encoder,
        captioner.to(environment.fabric.device),
        environment.reporter.validating,
    )
    session.progress.initial_score = score
    log.write("initial", 0, scores)
    environment.reporter.message(
        f"before: {initial.name} as it stands has CIDEr-D {score:.2f} on the dev part "
        f"(beam {decoding.beam})"
    )


def _run_epochs(session: _Session, log: RunLog) -> Outcome:
    """Epoch after epoch, each validated and saved, until all are made or someone asks to stop."""
    progress, environment = session.progress, session.environment
    with environment.interrupt as request:
        while not progress.is_over(session.recipe.training):
            if not _learn_epoch(session, log, request):
                session.save()
                return session.outcome(finished=False)
            nll = progress.mean_loss
            progress.begin_epoch()
            _validate(session, log, nll)
            session.save()
            if environment.anyone_asked(request):
                return session.outcome(finished=progress.is_over(session.recipe.training))
    return session.outcome(finished=True)


def _learn_epoch(session: _Session, log: RunLog, request: StopRequest) -> bool:
    """The steps that are left of an epoch; False where someone has asked to stop."""
    options, progress = session.recipe.training, session.progress
    report = session.environment.reporter
    fabric, steps = session.environment.fabric, session.steps_per_epoch
    epoch = session.batches.epoch(progress.epoch)[fabric.global_rank :: fabric.world_size][:steps]
    report.epoch(progress.epoch + 1, options.epochs, progress.done, steps)
    session.module.train()
    left, number = epoch[progress.done :], progress.epoch
    read = map_ahead(lambda one: session.source.read(one, number), left, threads=1, ahead=1)
    with closing(read) as features:
        for batch, frames in zip(left, features, strict=True):
            loss = _loss(session, batch, frames)
            rate = options.rates.rate(progress.step, options.epochs * steps)
            _learn(session, loss, rate)
            progress.step += 1
            progress.done += 1
            progress.loss_sum += loss.total.item()
            progress.words += loss.count
            report.step(progress.done, steps, progress.mean_loss, rate * options.learning_rate)
            if progress.step % 20 == 0:
                row = {"loss": loss.value.item(), "nll": progress.mean_loss, "rate": rate}
                row |= {name: value.item() for name, value in loss.log.items()}
                log.write("train", progress.step, row)
            if session.environment.anyone_asked(request):
                return False
            if time.monotonic() - session.saved_at > 60 * options.checkpoint_minutes:
                session.save()
    return True


def _loss(session: _Session, batch: Batch, frames: Frames) -> Loss:
    """What the objective says of one batch."""
    options, fabric = session.recipe.training, session.environment.fabric
    frames = frames.to(fabric.device)
    inputs_BKT, targets_BKT = (
        torch.from_numpy(tokens).to(fabric.device)
        for tokens in (batch.inputs_BKT, batch.targets_BKT)
    )
    step = session.progress.step
    place = (step, options.epochs * session.steps_per_epoch, options.seed, fabric.global_rank)
    photos = torch.from_numpy(batch.photos)
    loss: Loss = session.module(
        frames.trunk, frames.real_BF, inputs_BKT, targets_BKT, photos, place
    )
    if not math.isfinite(loss.value.item()):
        raise TrainingError(
            f"the loss is {loss.value.item()} at step {step}; lower training.learning_rate, or "
            "check the captions"
        )
    taken = [name for name in LOGGED if name in loss.log]
    if taken:
        raise TrainingError(
            f"the objective {options.objective.kind!r} logs a value called {taken[0]!r}, a name of "
            f"the training's own ({', '.join(LOGGED)}): it has to give it another name"
        )
    return loss


def _learn(session: _Session, loss: Loss, rate: float) -> None:
    """One step of the optimiser, at a share of the highest rates."""
    options, fabric = session.recipe.training, session.environment.fabric
    wrapped = session.optimizer
    for group in wrapped.param_groups:
        group["lr"] = group["peak"] * rate
    wrapped.zero_grad(set_to_none=True)
    fabric.backward(loss.value)
    if options.gradient_clip:
        fabric.clip_gradients(session.module, wrapped, max_norm=options.gradient_clip)
    wrapped.step()
    session.mean.update(session.progress.step)


def _validate(session: _Session, log: RunLog, nll: float) -> None:
    """Caption the held-out part with the mean weights, and keep them if they are the best."""
    progress, learner, report = session.progress, session.learner, session.environment.reporter
    fabric = session.environment.fabric
    if fabric.is_global_zero:
        with session.mean.applied():
            learner.eval()
            score, scores = session.validations.score(
                session.encoder, learner.captioner, report.validating
            )
            if score > progress.best_score:
                progress.best_score, progress.best_epoch = score, progress.epoch
                facts = {"epoch": progress.epoch, "scores": scores}
                save_checkpoint(session.run.best, learner.state_dict(), facts)
        row: dict[str, Any] = {"epoch": progress.epoch, "nll": nll, **scores}
        if signature := session.recipe.training.objective.signature:
            row["objective"] = signature
        log.write("dev", progress.step, row)
        report.validated({**row, "best": progress.best_epoch})
    best = fabric.broadcast((progress.best_score, progress.best_epoch))
    progress.best_score, progress.best_epoch = best


__all__ = ["Outcome", "train"]
