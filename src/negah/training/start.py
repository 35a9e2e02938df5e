"""The start of a training: preconditions, fresh weights, and weights of another model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from negah.errors import UsageError
from negah.models import Encoder, load_encoder
from negah.models.compiled import LENGTHS, CompiledLoop, wants_compiler
from negah.run_folder import RunFolder
from negah.text import Tokenizer
from negah.text.vectors import read_vectors
from negah.training.concepts import add_concepts
from negah.training.environment import Environment
from negah.training.initial import Initial, Weights
from negah.training.inputs import HeldOut
from negah.training.learner import LearnedConcepts, Learner
from negah.training.objectives import OBJECTIVES, Setting
from negah.training.recipe import Recipe, TrainingOptions
from negah.training.resume import is_unfinished
from negah.training.sentences import learn_sentences
from negah.training.shown import ShownWords, find_shown
from negah.training.sources import TrainingSource
from negah.training.teachers import Teacher, signature_of, taught_words
from negah.training.validation import Validations, validation_options
from negah.training.vectors import start_from_vectors


def check_start(recipe: Recipe, initial: Initial | None) -> Sequence[str]:
    """Refuse a recipe that lacks initial weights; warn of an unfinished initial run."""
    if recipe.model.reads_concepts and not recipe.encoder.concepts:
        raise UsageError(
            f"recipe {recipe.name}: the captioner needs the concepts of the encoder, but this one "
            f"has none. Start from a model with concepts: train it with 'negah train "
            f"cam-rnn-whole', "
            "and give --init runs/cam-rnn-whole; or set model.concepts=false"
        )
    objective = recipe.training.objective
    if not objective.needs_weights:
        return []
    if initial is None:
        raise UsageError(
            f"recipe {recipe.name}: training.objective {objective.kind} needs a trained model, "
            f"but no initial weights are given. Train one with cross-entropy "
            "first, such as 'negah train cam-rnn', and start from it: --init runs/cam-rnn"
        )
    if not initial.is_bundle and is_unfinished(RunFolder(Path(initial.name))):
        return [
            f"warning: the training of {initial.name} has not ended. {objective.kind} training "
            f"needs finished weights: with unfinished ones captions become worse. First resume it "
            f"with the command that started it."
        ]
    return []


def facts_of(recipe: Recipe, source: TrainingSource, teachers: Sequence[Teacher]) -> dict[str, Any]:
    """Further facts for ``run.json`` besides recipe, data and teachers."""
    signature = signature_of(recipe, teachers)
    return source.facts() | ({"objective": signature} if signature else {})


def new_words(
    recipe: Recipe,
    source: TrainingSource,
    weights: Weights | None,
    teachers: Sequence[Teacher],
    environment: Environment,
) -> Tokenizer:
    """The tokenizer of a new run: that of its teachers, otherwise built from its captions.

    Args:
        recipe: of the training.
        source: provides the captions.
        weights: of the initial model, whose vocabulary is kept with ``initial.keep_words``.
        teachers: of the objective.
        environment: its reporter gets a message if the tokenizer is that of the teachers.

    Raises:
        UsageError: the vocabulary to be kept is another one, or is tokenised differently.
    """
    kept = weights.tokenizer if weights is not None and recipe.initial.keep_words else None
    captions = source.vocabulary_captions()
    if not teachers:
        return recipe.text.build(captions, kept)
    tokenizer, message = taught_words(teachers, captions, kept)
    environment.reporter.message(message)
    return tokenizer


def build_learner(
    recipe: Recipe,
    encoder: Encoder,
    source: TrainingSource,
    tokenizer: Tokenizer,
    teachers: Sequence[Teacher] = (),
    device: torch.device | None = None,
) -> Learner:
    """Build the tail and a captioner with fresh weights, and the objective.

    Teachers are moved to ``device``; the learner itself is moved later, by Fabric.
    """
    options = recipe.training
    setting = Setting(
        source.captions,
        tokenizer,
        options.label_smoothing,
        options.scheduled_sampling,
        recipe.text.max_tokens,
        [teacher.captioner.to(device) for teacher in teachers],
    )
    objective = OBJECTIVES.build(options.objective, setting)
    truth = add_concepts(encoder, tokenizer, source.captions)
    learned = None
    if encoder.concepts is not None and not options.concept_weight:
        encoder.concepts.requires_grad_(requires_grad=False)
    elif truth is not None:
        alone = options.encoder_learns_from == "concepts"
        learned = LearnedConcepts(truth, options.concept_weight, alone)
    learner = Learner(recipe.model, encoder, len(tokenizer), objective, learned)
    if truth is not None and learner.captioner.concepts is not None:
        learner.captioner.concepts.find_words(tokenizer.tokens, truth.rates())
    if recipe.text.vectors_frozen:
        learner.captioner.embedding.weight.requires_grad = False
    if not options.encoder_learning_rate:
        learner.tail.requires_grad_(requires_grad=False)
    return learner


def compile_captioner(learner: Learner, options: TrainingOptions, environment: Environment) -> int:
    """Compile the captioner's loop, if the recipe asks for it on this device.

    Returns:
        the number of words to a multiple of which captions must be padded.
    """
    device, tell = environment.fabric.device, environment.reporter.message
    if not wants_compiler(options.compile, device):
        return 1
    if not learner.captioner.compile_loop(lambda loop: CompiledLoop(loop, device, tell)):
        tell(f"{learner.captioner.options.kind} has no loop over the words to compile")
        return 1
    return LENGTHS


def start_learner(
    learner: Learner,
    recipe: Recipe,
    source: TrainingSource,
    tokenizer: Tokenizer,
    weights: Weights | None,
    environment: Environment,
) -> Iterator[str]:
    """Load the initial weights of a new run; return sentences on them."""
    vectors, shown = None, None
    new_words = recipe.initial.new_words != "fresh"
    if recipe.text.vectors:
        yield start_from_vectors(learner.captioner, recipe, tokenizer, source.training)
    if weights is not None:
        if recipe.text.vectors and new_words:
            words = {*tokenizer.tokens, *weights.tokenizer.tokens}
            size = learner.captioner.embedding.embedding_dim
            vectors = read_vectors(recipe.text.vectors, words, size=size)
        if recipe.initial.new_words == "shown":
            shown = _shown_words(learner, recipe, source, tokenizer)
        yield learner.start_from(
            weights, tokenizer, new_words=new_words, vectors=vectors, shown=shown
        )
    if not recipe.training.concept_weight:
        _refuse_fresh_concepts(learner)
    if recipe.text.sentences:
        yield learn_sentences(learner, recipe, source, tokenizer, environment)


def _shown_words(
    learner: Learner, recipe: Recipe, source: TrainingSource, tokenizer: Tokenizer
) -> ShownWords:
    """The concepts that the photos of each word show, by the unchanged encoder."""
    concepts = load_encoder(recipe.encoder).concepts
    if concepts is None:
        raise UsageError(
            "initial.new_words=shown needs the concepts of the initial model, which has none: "
            "start from a model with concepts, such as negah-photo, or "
            "set initial.new_words=fresh"
        )
    return find_shown(concepts, learner.encoder, source, tokenizer)


def _refuse_fresh_concepts(learner: Learner) -> None:
    """Refuse untrained concepts that are not trained either."""
    fresh = [] if learner.concepts is None else learner.concepts.fresh_words
    if fresh:
        raise UsageError(
            f"training.concept_weight=0 keeps the encoder's concepts unchanged, but {len(fresh):,} "
            f"of them are not trained yet (such as {fresh[0]}). Start from a model with these "
            "concepts, such as a run of cam-rnn-whole (--init), or set "
            "training.concept_weight=0.1"
        )


def score_initial(
    initial: Initial,
    recipe: Recipe,
    held_out: Mapping[str, HeldOut],
    encoder: Encoder,
    environment: Environment,
) -> tuple[float, dict[str, float]] | None:
    """Caption the held-out part with the unchanged initial model: its own words and weights.

    The features are those of the run, whose encoder is not trained yet, and the search is that of
    every validation.

    Returns:
        as :meth:`Validations.score`; None, with a message, if it cannot be scored.
    """
    captioner, tokenizer = initial.restore()
    decoding = validation_options(recipe.decoding, recipe.training.validation_beam)
    report = environment.reporter
    try:
        validations = Validations.of(held_out, tokenizer, decoding, environment.processes)
    except UsageError as error:  # its vocabulary lacks a required or banned word
        report.message(f"{initial.name} cannot be scored by this recipe: {error}")
        return None
    captioner = captioner.to(environment.fabric.device)
    score, scores = validations.score(encoder, captioner, report.validating)
    report.message(
        f"before: {initial.name} unchanged has CIDEr-D {score:.2f} on the dev part "
        f"(beam {decoding.beam})"
    )
    return score, scores
