"""The training loop, top to bottom.

What a step minimises is the recipe's objective, by default teacher forcing with cross-entropy over
the words that count (padding is never scored); AdamW with warm-up and decay, free-running
validation every epoch, the best epoch kept by dev CIDEr-D as a copy on disk. A run can be stopped
anywhere, also by a kill, and the same call resumes it; on a CPU the resumed run ends in the same
bits.

Axes: B photos or clips, K captions of each, T words.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from negah.data import Dataset
from negah.errors import TrainingError, UsageError
from negah.models import Encoder, load_encoder
from negah.models.seeding import reseed, seeded
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
from negah.training.padding import TrunkOutput
from negah.training.recipe import Recipe
from negah.training.reports import RunLog, Silent
from negah.training.resume import (
    RunProgress,
    refuse_other_processes,
    restore_training,
    save_training,
)
from negah.training.sources import TrainingSource, open_source
from negah.training.start import (
    build_learner,
    check_start,
    compile_captioner,
    facts_of,
    new_words,
    score_initial,
    start_learner,
)
from negah.training.storyboards import load_boards
from negah.training.teachers import Teacher, check_teachers, identity_of
from negah.training.validation import Validations, validation_options
from negah.training.vectors import check_vectors

#: Number of steps between rows of the log.
LOGGED_STEPS = 20


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a training ended.

    Attributes:
        finished: False if it was interrupted; the same call resumes it.
        epochs: number of complete epochs.
        best_epoch: the epoch that was kept, counted from 1; 0 before the first validation.
        best_score: its CIDEr-D on the dev part, 0-100 scale; with a montage the mean of those
            of the photos and of the clips made of them, and of storyboards if there are any.
        initial_score: the same of the initial model; None if that was not scored.
    """

    finished: bool
    epochs: int
    best_epoch: int
    best_score: float
    initial_score: float | None = None


@dataclass
class _Session:
    """The objects that the steps of a training use."""

    recipe: Recipe
    run: RunFolder
    environment: Environment
    encoder: Encoder
    source: TrainingSource
    batches: Batches
    validations: Validations
    learner: Learner
    module: Any  # the learner, wrapped for device and processes
    optimizer: Any  # the same
    mean: RunningMean
    progress: RunProgress
    saved_at: float
    signature: str  # of the objective
    unread: list[Loss] = field(default_factory=list)  # of the last steps, still on the device

    @property
    def is_due(self) -> bool:
        """Whether it is time for a checkpoint."""
        minutes = self.recipe.training.checkpoint_minutes
        return time.monotonic() - self.saved_at > 60 * minutes

    def save(self) -> None:
        save_training(
            self.run.checkpoint, self.learner, self.optimizer.optimizer, self.mean, self.progress,
            self.environment.processes,
        )  # fmt: skip
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
    teachers: Sequence[Teacher] = (),
    provenance: Mapping[str, Any] | None = None,
) -> Outcome:
    """Train a recipe on a data set, or resume the run in ``folder``.

    PyTorch is seeded with the recipe's seed within this call; the caller's generators are restored
    on return.

    Several processes share the photos of each batch, the features and the validation: with the same
    dropout the result would equal that of a single process, up to rounding.

    Args:
        recipe: of the training.
        dataset: photographs or clips with captions; the parts ``train`` and ``dev`` are used.
        folder: of the run; see :class:`~negah.run_folder.RunFolder`.
        environment: device, folders and reporter.
        initial: a model with initial weights; its unknown words are initialised according to
            ``initial.new_words`` of the recipe. Not used by a resumed run.
        teachers: the teachers of the recipe's objective, from
            :func:`negah.export.teachers.open_teachers`; also needed to resume.
        provenance: the record of the data for ``run.json``.

    Raises:
        UsageError: ``text.vectors`` that are not there or do not fit the table, an objective
            that goes on from trained weights, without any, teachers that do not fit the recipe,
            fewer photos in a batch than processes, or a run of another number of processes.
        DataError: no captions to learn from, no dev part, a photo in two parts, photos where
            the recipe is for clips, or references that the objective cannot learn from.
        LockedError: another process trains into ``folder``.
        TrainingError: the loss is no longer a number, the objective logs a value under a name
            of the training's own, or another process of the training has ended.
        CheckpointError: ``folder`` contains a run of another recipe, other data or other teachers,
                or ``initial`` does not fit the recipe.
    """
    run, fabric = RunFolder(folder), environment.fabric
    validation_options(recipe.decoding, recipe.training.validation_beam)  # refused before work
    storyboards = recipe.clips.storyboards
    boards = None if storyboards is None else load_boards(storyboards, recipe.encoder)
    identity = {"recipe": recipe.model_dump(mode="json"), "data": dict(provenance or {})}
    identity |= {"precision": environment.precision} | identity_of(teachers)
    refuse_another_run(run, identity)
    if not run.checkpoint.exists():
        check_vectors(recipe)
        for warning in check_start(recipe, initial):
            environment.reporter.message(warning)
    fabric.launch()
    if not fabric.is_global_zero:
        environment = replace(environment, reporter=Silent())
    with ExitStack() as stack:
        stack.enter_context(environment.processes.together())
        fabric.barrier()  # every process has checked the folder before it contains the lock
        if fabric.is_global_zero:
            stack.enter_context(hold(run))
        stack.enter_context(seeded(recipe.training.seed, fabric.device))
        encoder = load_encoder(recipe.encoder)
        check_teachers(recipe, encoder, teachers)
        source = open_source(recipe, dataset, encoder, boards, environment)
        for warning in recipe.training.objective.check(source.captions):
            environment.reporter.message(warning)
        is_new = not run.checkpoint.exists()
        weights = initial.read() if is_new and initial is not None else None
        facts = identity | facts_of(recipe, source, teachers)
        words = partial(new_words, recipe, source, weights, teachers, environment)
        tokenizer = open_run(run, facts, fabric, words)
        learner = build_learner(recipe, encoder, source, tokenizer, teachers, fabric.device)
        if is_new:
            for message in start_learner(learner, recipe, source, tokenizer, weights, environment):
                environment.reporter.message(message)
        session = _set_up(learner, recipe, run, environment, source, tokenizer, facts)
        with RunLog(run if fabric.is_global_zero else None) as log:
            if is_new and initial is not None and recipe.initial.compare:
                _score_initial(session, log, initial)
            return _run_epochs(session, log)


def _set_up(
    learner: Learner,
    recipe: Recipe,
    run: RunFolder,
    environment: Environment,
    source: TrainingSource,
    tokenizer: Tokenizer,
    facts: Mapping[str, Any],
) -> _Session:
    """Set up batches, validations and optimiser, from the checkpoint if there is one."""
    options = recipe.training
    longest = recipe.text.max_tokens
    ids = [[tokenizer.encode(text)[:longest] for text in group] for group in source.captions]
    lengths = compile_captioner(learner, options, environment)
    batches = Batches(
        ids, photos=options.photos, per_photo=options.captions, flips=options.flips,
        seed=options.seed, lengths=lengths,
    )  # fmt: skip
    processes = environment.processes
    if batches.photos < processes.count:
        raise UsageError(
            f"{processes.count} processes share {batches.photos} photos of a batch, which leaves "
            f"some processes without photos: set training.photos to a multiple of the processes"
        )
    if warning := options.rates.warning(options.epochs * len(batches)):
        environment.reporter.message(warning)
    decoding = validation_options(recipe.decoding, options.validation_beam)
    validations = Validations.of(source.held_out, tokenizer, decoding, processes)
    optimizer = build_optimizer(learner, options)
    if processes.count > 1:
        learner.weigh = processes.weight
    module, wrapped = environment.fabric.setup(learner, optimizer)
    mean, progress = RunningMean(learner, options.average), RunProgress()
    if processes.rank:  # weights are those of the first process, dropout is its own
        seed = np.random.SeedSequence([options.seed, processes.rank]).generate_state(1)
        reseed(int(seed[0]), processes.device)
    if run.checkpoint.exists():
        progress = restore_training(run.checkpoint, learner, optimizer, mean, processes)
        refuse_other_processes(progress, options, processes.count)
        environment.reporter.message(
            f"resuming after step {progress.step} (epoch {progress.epoch + 1})"
        )
    return _Session(
        recipe, run, environment, learner.encoder, source, batches, validations,
        learner, module, wrapped, mean, progress, time.monotonic(), facts.get("objective", ""),
    )  # fmt: skip


def _score_initial(session: _Session, log: RunLog, initial: Initial) -> None:
    """Score the unchanged initial model on the held-out part, and log it."""
    found = score_initial(
        initial, session.recipe, session.source.held_out, session.encoder, session.environment
    )
    if found is not None:
        session.progress.initial_score, scores = found
        log.write("initial", 0, scores)


def _run_epochs(session: _Session, log: RunLog) -> Outcome:
    """Run epochs, each validated and saved, until all are done or a stop is requested."""
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
            if any(environment.any_of(request.asked)):
                return session.outcome(finished=progress.is_over(session.recipe.training))
    return session.outcome(finished=True)


def _learn_epoch(session: _Session, log: RunLog, request: StopRequest) -> bool:
    """The remaining steps of an epoch; False if a stop was requested."""
    options, progress = session.recipe.training, session.progress
    report = session.environment.reporter
    environment, steps, number = session.environment, len(session.batches), progress.epoch
    processes = environment.processes
    epoch = session.batches.epoch(number)[progress.done :]
    left = [batch.share(processes.rank, processes.count) for batch in epoch]
    # reading a loss waits for the GPU
    pause = 1 if environment.fabric.device.type == "cpu" else LOGGED_STEPS
    report.epoch(number + 1, options.epochs, progress.done, steps)
    session.module.train()
    read = map_ahead(lambda one: session.source.read(one, number), left, threads=1, ahead=1)
    with closing(read) as features:
        for batch, stored in zip(left, features, strict=True):
            loss = _loss(session, batch, stored)
            rate = options.rates.rate(progress.step, options.epochs * steps)
            _learn(session, loss, rate)
            loss.value = loss.value.detach()  # do not keep graphs until losses are read
            progress.step += 1
            progress.done += 1
            session.unread.append(loss)
            is_read = progress.step % pause == 0 or progress.done == steps
            if is_read:
                progress.add_losses(session.unread, processes)
            report.step(progress.done, steps, progress.mean_loss, rate * options.learning_rate)
            if progress.step % LOGGED_STEPS == 0:
                told = {"loss": loss.value, **loss.log}
                means = processes.means({name: value.item() for name, value in told.items()})
                row = {"loss": means["loss"], "nll": progress.mean_loss, "rate": rate, **means}
                log.write("train", progress.step, row)
            if not is_read:
                continue
            is_asked, is_due = environment.any_of(request.asked, session.is_due)
            if is_asked:
                return False
            if is_due:
                session.save()
    return True


def _loss(session: _Session, batch: Batch, stored: TrunkOutput) -> Loss:
    """The objective's loss of one batch."""
    options, fabric = session.recipe.training, session.environment.fabric
    stored = stored.to(fabric.device)
    inputs_BKT, targets_BKT = (
        torch.from_numpy(tokens).to(fabric.device)
        for tokens in (batch.inputs_BKT, batch.targets_BKT)
    )
    step = session.progress.step
    place = (step, options.epochs * len(session.batches), options.seed, fabric.global_rank)
    photos = torch.from_numpy(batch.photos)
    loss: Loss = session.module(
        stored.trunk, stored.real_BF, inputs_BKT, targets_BKT, photos, place
    )
    taken = [name for name in LOGGED if name in loss.log]
    if taken:
        raise TrainingError(
            f"the objective {options.objective.kind!r} logs a value called {taken[0]!r}, a name of "
            f"the training's own ({', '.join(LOGGED)}): use another name"
        )
    return loss


def _learn(session: _Session, loss: Loss, rate: float) -> None:
    """One step of the optimiser, at a share of the peak learning rates."""
    options, fabric = session.recipe.training, session.environment.fabric
    wrapped = session.optimizer
    for group in wrapped.param_groups:
        group["lr"] = group["peak"] * rate
    wrapped.zero_grad(set_to_none=True)
    fabric.backward(loss.value)
    if options.gradient_clip:
        # checking gradients here would wait for the GPU; the loss shows it when it is read
        most = options.gradient_clip
        fabric.clip_gradients(session.module, wrapped, max_norm=most, error_if_nonfinite=False)
    wrapped.step()
    session.mean.update(session.progress.step)


def _validate(session: _Session, log: RunLog, nll: float) -> None:
    """Caption the held-out part with the mean weights, and keep them if they are the best."""
    progress, learner, report = session.progress, session.learner, session.environment.reporter
    with session.mean.applied():
        learner.eval()
        score, scores = session.validations.score(
            session.encoder, learner.captioner, report.validating
        )
        if progress.is_best(score, nll):
            progress.best_score, progress.best_epoch = score, progress.epoch
            progress.best_nll = nll
            facts = {"epoch": progress.epoch, "scores": scores}
            if session.environment.fabric.is_global_zero:
                save_checkpoint(session.run.best, learner.state_dict(), facts)
    row: dict[str, Any] = {"epoch": progress.epoch, "nll": nll, **scores}
    if session.signature:
        row["objective"] = session.signature
    log.write("dev", progress.step, row)
    report.validated({**row, "best": progress.best_epoch})


__all__ = ["Outcome", "train"]
