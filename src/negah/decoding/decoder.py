"""The one entry to decoding, for every method and every model."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from negah.arrays import BoolArray
from negah.decoding.beam import BeamSearch
from negah.decoding.choosing import Chooser, Support
from negah.decoding.constraints import Constraints
from negah.decoding.options import DecodingOptions
from negah.decoding.protocol import State, Step, StepModel, Vocabulary
from negah.decoding.sampling import Sampling
from negah.decoding.search import Hypothesis, Search
from negah.errors import UsageError


def decode(
    model: StepModel,
    features: Any,
    options: DecodingOptions,
    *,
    vocabulary: Vocabulary,
    photo_ids: Sequence[int] | None = None,
    frames: BoolArray | None = None,
    support: Support | None = None,
) -> list[list[Hypothesis]]:
    """Caption a batch of photos or clips.

    One model step per word serves all hypotheses of all photos. A caption may have
    ``max_length`` words and then its end token; one that does not end there is returned as it
    stands, ``finished`` False, and ranks behind every finished one.

    Args:
        model: what predicts the words.
        features: handed to ``model.start``; ``len(features)`` is the number of photos.
        options: how to decode.
        vocabulary: of the model: its special tokens, and the words in which banned and required
            ones are looked up.
        photo_ids: non-negative numbers that, with the seed, decide the draws of each photo under
            method "sample"; the positions in the batch by default. Give each photo its own to make
            its captions the same in whatever batch it comes.
        frames: handed to ``model.start`` beside the features: True where a frame is real and False
            where it pads a shorter clip, bool (B, F); None for all real.
        support: what the encoder says of words; read where ``options.support`` is not 0.

    Returns:
        For each photo its captions, best first: ``n_best`` of them, fewer where the search found
        fewer; at least one.

    Raises:
        UsageError: a banned or required word is not in the vocabulary; required words with a model
            that gives candidates only; the options leave a photo no possible caption; or they ask
            for a choice that there is no support for.
        NegahError: the model's log-probabilities are not numbers.
    """
    constraints = Constraints.from_options(options, vocabulary)
    photos = len(features)
    if photo_ids is not None and len(photo_ids) != photos:
        raise UsageError(f"{len(photo_ids)} photo_ids for {photos} photos: give one for each")
    if photos == 0:
        return []
    chooser = _chooser(options, support, vocabulary)
    if chooser is not None:
        # all that the beam finds are candidates
        kept, options = options.n_best, options.model_copy(update={"n_best": options.beam})
    search: Search
    if options.method == "sample":
        search = Sampling(range(photos) if photo_ids is None else photo_ids, options, constraints)
    else:
        search = BeamSearch(photos, options, constraints)
    found = _run(search, model.start(features, frames), model)
    if chooser is None:
        return found
    return [chooser.choose(photo, some)[:kept] for photo, some in enumerate(found)]


def _chooser(
    options: DecodingOptions, support: Support | None, vocabulary: Vocabulary
) -> Chooser | None:
    if not options.support:
        return None
    if support is None:
        raise UsageError(
            f"support {options.support} needs a model whose encoder tells concepts, and this one "
            "tells none: set support to 0, or train a model with encoder.concepts=1000"
        )
    return Chooser(options, support, vocabulary)


def _run(search: Search, state: State, model: StepModel) -> list[list[Hypothesis]]:
    while True:
        rows = search.last_BK.shape[1]
        step = _sorted_by_token(model.step(state, search.last_BK))
        parents_BK = search.advance(step)
        if parents_BK is None:
            return search.results()
        state = step.state
        width = parents_BK.shape[1]
        if width != rows or (parents_BK != np.arange(width)).any():
            state = model.reorder(state, parents_BK)


def _sorted_by_token(step: Step) -> Step:
    """The same step with its candidates in the order of their ids, so that ties go to the lower."""
    if step.candidates is None:
        return step
    order = np.argsort(step.candidates, axis=2)
    return replace(
        step,
        logprobs=np.take_along_axis(step.logprobs, order, axis=2),
        candidates=np.take_along_axis(step.candidates, order, axis=2),
    )
