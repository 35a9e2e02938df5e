"""What a row's attention, gate and probabilities tell of photographs, against boxes and references.

Pointing is on boxed photographs of COCO, where the folder of the texts has them (``coco/``); what
tells supported words from invented ones, on the test part, whose references say which they are
(:mod:`negah.evidence.truth`).

Axes: N photos, R regions, C channels, T words of a caption.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch

from negah.arrays import FloatArray
from negah.calibration.logistic import auc
from negah.data import Example, SplitPolicy, load_dataset
from negah.data.box_files import Box, read_boxes
from negah.decoding import Hypothesis
from negah.evidence.occlusion import FEATURES
from negah.evidence.subject import Subject
from negah.evidence.truth import Truth
from negah.faithfulness.pointing import cells_on, named_things
from negah.models import CaptionModel
from negah.models.adapter import FeatureBackend, best_captions
from negah.studies.captioning import CaptionData, CaptionOptions, region_features
from negah.studies.evidence.asked import Request, read_to
from negah.studies.evidence.support import MEASURES, of_word
from negah.studies.study import Paths, Progress
from negah.text import words as words_of

#: Photos that are put in the place of the one in question, for the lift.
_OTHERS = 3
#: What each photo adds to a measure, and its weight.
_Photos = dict[str, list[list[float]]]


class Boxed(NamedTuple):
    """A photo with boxes: as it is stored, float16 (R, C), and what is where."""

    features_RC: Any
    boxes: Sequence[Box]


def boxed_photos(o: CaptionOptions, paths: Paths, progress: Progress) -> list[Boxed]:
    """The boxed photographs beside the texts; none where there is no such folder."""
    folder = None if paths.text is None else paths.text / "coco"
    if folder is None or not (folder / "boxes.jsonl").is_file():
        return []
    dataset = load_dataset(folder / "captions.csv", images=folder / "images", split=SplitPolicy())
    known = read_boxes(folder / "boxes.jsonl").of([e.name for e in dataset.examples])
    examples: list[Example] = [e for e in dataset.examples if e.name in known]
    features_NRC = region_features(o, examples, paths, progress)
    return [Boxed(own, known[e.name]) for own, e in zip(features_NRC, examples, strict=True)]


def measure_evidence(
    model: CaptionModel,
    data: CaptionData,
    o: CaptionOptions,
    boxed: Sequence[Boxed],
    progress: Progress,
) -> tuple[dict[str, float], _Photos]:
    """Pointing and the telling of supported words, in percent, and the lift of these, in nats.

    Returns:
        values by name, and what each photo adds for :func:`negah.studies.photos.over_photos`.
    """
    side = math.isqrt(data.test.features_NRC.shape[1])
    backend = FeatureBackend(model, data.tokenizer, o.decoding(), (side, side))
    values, photos = _told(model, backend, data, o, progress)
    if boxed:
        found = _pointed(model, backend, data, o, boxed, progress)
        photos |= found
        for name, own in found.items():
            hits, words = np.sum(own, axis=0)
            if words:
                values[name] = float(hits / words)
    return values, photos


def _captions(
    model: CaptionModel, backend: FeatureBackend, features_NRC: FloatArray
) -> list[Hypothesis]:
    batches = (
        (torch.from_numpy(features_NRC[first : first + 50])[:, None], None)
        for first in range(0, len(features_NRC), 50)
    )
    return best_captions(model, batches, backend.tokenizer, backend.decoding)


def _told(
    model: CaptionModel, backend: FeatureBackend, data: CaptionData, o: CaptionOptions,
    progress: Progress,
) -> tuple[dict[str, float], _Photos]:  # fmt: skip
    features_NRC = data.test.features_NRC.astype(np.float32)
    captions = _captions(model, backend, features_NRC)
    count = len(captions)
    random = np.random.default_rng(0)
    requests = []
    for number, one in enumerate(captions):
        away = random.choice(count - 1, min(_OTHERS, count - 1), replace=False)
        requests.append(Request([number, *((number + 1 + away) % count).tolist()], one.tokens))
    truths: list[float] = []
    columns: list[tuple[float, ...]] = []
    lifts: list[list[float]] = []
    for number, answer in enumerate(read_to(backend, features_NRC[:, None], requests)):
        tokens = captions[number].tokens
        words = [data.tokenizer.tokens[token] for token in tokens]
        truth_T = Truth.of(map(words_of, data.test.captions[number])).of_words(words)
        lifts.append([0.0, 0.0])
        for t, true in enumerate(truth_T):
            if true is not None:
                own = of_word(answer, t, tokens[t])
                truths.append(float(true))
                columns.append(own[: len(MEASURES)])
                lifts[-1][0] += own[1] * true
                lifts[-1][1] += true
        progress("asking how likely words are", number + 1, count)
    photos: _Photos = {"lift": np.round(lifts, 2).tolist()}
    if not truths:  # no caption has a content word
        return {}, photos
    truth_N, columns_ND = np.array(truths), np.array(columns, np.float64)
    values = {"supported": 100 * float(truth_N.mean())}
    for name, column_N in zip(MEASURES, columns_ND.T, strict=True):
        if not np.isnan(column_N).any() and 0 < truth_N.sum() < len(truth_N):
            values[f"auc_{name}"] = 100 * auc(truth_N, column_N)
    total, supported = np.sum(lifts, axis=0)
    if supported:
        values["lift"] = float(total / supported)
    return values, photos


def _pointed(
    model: CaptionModel, backend: FeatureBackend, data: CaptionData, o: CaptionOptions,
    boxed: Sequence[Boxed], progress: Progress,
) -> _Photos:  # fmt: skip
    """Of each boxed photo, by method: hits in percent and words that name a boxed thing."""
    stored_NRC = np.stack([one.features_RC for one in boxed])
    features_NRC = data.standard.applied(stored_NRC).astype(np.float32)
    grid = backend.sight.grid
    assert grid is not None
    found: _Photos = {}
    for number, one in enumerate(_captions(model, backend, features_NRC)):
        words = [data.tokenizer.tokens[token] for token in one.tokens]
        named = named_things(words, boxed[number].boxes)
        sums = {name: [0.0, 0.0] for name in ("occlusion", "chance")}
        if "regions" in one.evidence:
            sums["attention"] = [0.0, 0.0]
        if named:
            subject = Subject(backend, (), features_NRC[number][None], one.tokens, one.evidence)
            occlusion_TFHW = FEATURES.maps(subject)
        for thing in named:
            on_HW = cells_on(thing.boxes, grid)
            places = {"occlusion": occlusion_TFHW[thing.place, 0]}
            if "attention" in sums:
                places["attention"] = one.evidence["regions"][thing.place, 0]
            for name, own in places.items():
                sums[name][0] += 100 * float(on_HW.flat[int(own.argmax())])
            sums["chance"][0] += 100 * float(on_HW.mean())
            for own in sums.values():
                own[1] += 1
        for name, own in sums.items():
            found.setdefault(f"point_{name}", []).append([round(own[0], 1), own[1]])
        progress("looking where words come from", number + 1, len(boxed))
    return found
