"""Training one captioner on made clips, and asking what its attention and its gate are worth.

Axes: N clips, F frames, R regions, C channels, T words.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from negah.backends import Backend
from negah.data.synth import SynthClip, judge, read_caption
from negah.data.synth.grammar import Judgement, Statement
from negah.decoding import DecodingOptions, Hypothesis
from negah.files import atomic_path
from negah.models import CamRnn
from negah.models.adapter import FeatureBackend
from negah.progress import counting
from negah.studies.evidence.asked import CaptionReading, Request, read_to
from negah.studies.evidence.boards import measure_boards
from negah.studies.evidence.clips import clips_beside, measure_clips
from negah.studies.evidence.looks import looks
from negah.studies.evidence.photos import measure_photos
from negah.studies.evidence.study import VARIANTS, EvidenceOptions
from negah.studies.evidence.support import (
    Asked,
    exchanges,
    judged_words,
    need,
    of_word,
    ranked,
)
from negah.studies.study import Paths, Progress
from negah.studies.synthetic.learn import build, train
from negah.studies.synthetic.measure import accuracy, say
from negah.studies.synthetic.world import World, make_world

#: A caption that could be understood, with the number of its clip.
_Said = tuple[int, Hypothesis, Statement, Judgement]


def prepare(options: EvidenceOptions, paths: Paths, progress: Progress) -> None:
    """Make clips and features, once for all cells."""
    make_world(options, paths.work, progress)


def facts(options: EvidenceOptions, paths: Paths, progress: Progress) -> dict[str, Any]:
    """What finished models do with photographs, and with clips of them."""
    if paths.captioned is None:
        return {}
    return {
        "photos": measure_photos(paths.captioned, options.photos, progress),
        "boards": measure_boards(paths.captioned, options.boards, progress),
        "clips": measure_clips(clips_beside(paths.text), progress),
    }


def run_cell(
    options: EvidenceOptions, paths: Paths, variant: str, seed: int, progress: Progress
) -> dict[str, Any]:
    """Train a captioner and measure it."""
    world = make_world(options, paths.work, progress)
    captioner, losses = trained(options, paths, world, (variant, seed), progress)
    curve = [[number, loss] for number, loss in enumerate(losses, 1)]
    return {
        "values": measure(captioner, world, options, progress),
        "curves": {"training loss, nats a word": curve},
    }


def trained(
    options: EvidenceOptions,
    paths: Paths,
    world: World,
    cell: tuple[str, int],
    progress: Progress,
) -> tuple[CamRnn, list[float]]:
    """A captioner, trained now or by an earlier run, and its loss by epoch.

    Weights are kept, so that what is measured can change without training again.
    """
    variant, seed = cell
    name = f"{list(VARIANTS).index(variant)}-{seed}.npz"
    path = paths.work / f"trained-{options.training_key()}" / name
    if path.is_file():
        captioner = build(VARIANTS, variant, world, options.training)
        with np.load(path, allow_pickle=False) as kept:
            losses = kept["losses"].tolist()
            weights = {name: torch.from_numpy(kept[name]) for name in captioner.state_dict()}
        captioner.load_state_dict(weights)
        return captioner.eval(), losses
    captioner, losses = train(
        lambda: build(VARIANTS, variant, world, options.training), seed, world, options.training,
        lambda done, steps, _: progress("training", done, steps),
    )  # fmt: skip
    arrays: dict[str, Any] = {key: one.numpy() for key, one in captioner.state_dict().items()}
    with atomic_path(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays, losses=np.array(losses))
    return captioner, losses


def measure(
    captioner: CamRnn, world: World, options: EvidenceOptions, progress: Progress
) -> dict[str, float]:
    """Every number of the study for one trained captioner, in percent but for correlations."""
    grid = options.synth.grid
    backend = FeatureBackend(
        captioner, world.tokenizer, DecodingOptions(method="greedy"), (grid, grid)
    )
    hypotheses = say(captioner, world)
    read = [read_caption(world.tokenizer.decode(one.tokens)) for one in hypotheses]
    judged = [
        None if one is None else judge(one, clip.scene)
        for one, clip in zip(read, world.test, strict=True)
    ]
    shares = accuracy(judged, world.test)
    values = {name: 100 * shares[name] for name in ("exact", "attributes")}
    said: list[_Said] = [
        (number, one, statement, judgement)
        for number, (one, statement, judgement) in enumerate(
            zip(hypotheses, read, judged, strict=True)
        )
        if statement is not None and judgement is not None
    ]
    explained = said[: options.explained]
    features_NFRC = world.test_features_NFRC.astype(np.float32)
    values |= looks(
        backend,
        [(one, statement, judgement, world.test[n]) for n, one, statement, judgement in explained],
        features_NFRC[[number for number, *_ in explained]],
        grid,
        counting(progress, "occlusion", len(explained)),
    )
    return values | _support(backend, world, said, options, progress)


def _support(
    backend: Backend,
    world: World,
    said: list[_Said],
    options: EvidenceOptions,
    progress: Progress,
) -> dict[str, float]:
    """Of false words of all three kinds, and of words that need the picture."""
    features_NFRC = world.test_features_NFRC.astype(np.float32)
    random = np.random.default_rng(options.data_seed)
    clips, count = world.test, len(world.test)

    def ask(number: int, tokens: Sequence[int]) -> Request:
        away = random.choice(count - 1, min(options.others, count - 1), replace=False)
        return Request([number, *((number + 1 + away) % count).tolist()], tokens)

    def encode(statement: Statement) -> list[int]:
        return list(world.tokenizer.encode(statement.text))

    told, foreign = [], []
    for number, clip in enumerate(clips):
        told.append(ask(number, encode(clip.captions[0])))
        # a caption that is as likely as any, of a clip that this one is not
        other_clip = (number + 1 + int(random.integers(count - 1))) % count
        foreign.append(clips[other_clip].captions[0])
        told.append(ask(number, encode(foreign[-1])))
    written = [ask(number, one.tokens) for number, one, *_ in said]
    requests = [*told, *written]
    answers = []
    for answer in read_to(backend, features_NFRC, requests):
        answers.append(answer)
        progress("reading captions", len(answers), len(requests))
    wrong: list[Asked] = []
    other: list[Asked] = []
    visual: list[tuple[float, ...]] = []
    function: list[tuple[float, ...]] = []
    for number, clip in enumerate(clips):
        answer, tokens = answers[2 * number], told[2 * number].tokens
        wrong += _exchanged(answer, clip, tokens, world, options.data_seed)
        for t, word in enumerate(clip.captions[0].words):
            if word.role != "relation":
                into = function if word.role == "function" else visual
                into.append(of_word(answer, t, tokens[t]))
        other += judged_words(
            answers[2 * number + 1], foreign[number], told[2 * number + 1].tokens, clip
        )
    own: list[Asked] = []
    for (number, one, statement, judgement), answer in zip(said, answers[len(told) :], strict=True):
        own += judged_words(answer, statement, one.tokens, clips[number], judgement)
    return {
        **need(visual, function),
        **ranked(wrong, "wrong"),
        **ranked(other, "other"),
        **ranked(own, "own"),
    }


def _exchanged(
    answer: CaptionReading, clip: SynthClip, tokens: Sequence[int], world: World, seed: int
) -> list[Asked]:
    """A true word and a false one in the same place, for each thing of a clip."""
    found = []
    for one in exchanges(clip, seed):
        (wrong,) = world.tokenizer.encode(one.word)
        for token, true in ((tokens[one.place], True), (wrong, False)):
            found.append(Asked(clip.scene.number, true, of_word(answer, one.place, token)))
    return found
