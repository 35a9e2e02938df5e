"""What a finished model's attention, gate and probabilities tell of photographs.

Pointing needs boxes; whether a word is supported is told by references and, where there are any,
boxes (:mod:`negah.evidence.truth`). Intervals are of 95%, by resampling photographs.

Axes: T words of a caption, N words of all captions, H and W rows and columns of a map.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from negah.arrays import BoolArray, DoubleArray, IntArray
from negah.calibration import Collected, CollectOptions, Collector, fit
from negah.calibration.logistic import auc, bootstrap_interval
from negah.data import Dataset, Example, SplitPolicy, load_dataset
from negah.data.box_files import Box, read_boxes
from negah.errors import DataError, MediaError, UsageError
from negah.evidence.methods import EVIDENCE, default_method
from negah.evidence.truth import Truth
from negah.faithfulness import mean, pointing
from negah.faithfulness.measure import POINTING
from negah.hashing import content_sha256
from negah.metrics.chair import categories_of
from negah.progress import counting
from negah.runtime import Captioner
from negah.runtime.explaining import CaptionedSubject, caption_subject, choose_method
from negah.studies.study import Captioned, Progress
from negah.text import words as words_of

#: The part that is measured, and the part that the model learned from.
_PART, _LEARNED = "test", "train"
#: What is measured of a word by itself, in the order of the table.
MEASURES = ("gate", "logprob", "lift", "concept")
#: Groups of words, and what the calibration calls them.
_GROUPS = {"things": "names of things, all", "content words": "content words, all"}

#: A number, the ends of its interval, and of how many words it is.
_WithInterval = list[float]


def depends_on(captioned: Captioned, most: int) -> dict[str, Any]:
    """What the numbers depend on: weights, calibration, method, captions and boxes.

    Args:
        captioned: the model and the photographs.
        most: photographs at most.
    """
    backend = Captioner(captioned.model, threads=1).one_backend(clips=False)
    judge = backend.sight.judge
    return {
        "weights": backend.identity.sha256,
        "decoding": backend.decoding.model_dump(mode="json"),
        "calibration": None if judge is None else judge.sha256,
        "method": choose_method(None, backend).signature,
        "captions": [[one.name, *one.captions] for one in measured_part(captioned, most)[1]],
        "boxes": None if captioned.objects is None else content_sha256(captioned.objects),
    }


def measured_part(captioned: Captioned, most: int | None) -> tuple[Dataset, list[Example]]:
    """The data set, and the photographs of it that are measured; all for None.

    Raises:
        UsageError: there are none.
    """
    dataset = load_dataset(captioned.data, images=captioned.images, split=SplitPolicy())
    photos = [one for one in dataset.split(_PART) if not one.is_clip][:most]
    if not photos:
        raise UsageError(f"no photo of {captioned.data} is in the part {_PART!r}")
    return dataset, photos


def boxes_of(captioned: Captioned, examples: Sequence[Example]) -> Mapping[str, Sequence[Box]]:
    """Where things are, by name of the photograph; empty without a file of boxes."""
    if captioned.objects is None:
        return {}
    return read_boxes(captioned.objects).of([one.name for one in examples])


def measure_photos(captioned: Captioned, most: int, progress: Progress) -> dict[str, Any]:
    """Pointing, and how well words that are supported are ranked above invented ones.

    Args:
        captioned: the model and the photographs.
        most: photographs at most.
        progress: told how many are done.

    Returns:
        JSON-ready: ``pointing`` by method, for all things and small ones, with chance; ``auc`` by
        group of words and measure; each as a list [value, low, high, words].
    """
    captioner = Captioner(captioned.model, threads=1)
    backend = captioner.one_backend(clips=False)
    dataset, examples = measured_part(captioned, most)
    boxes = boxes_of(captioned, examples)
    objects = {name: [box.name for box in own] for name, own in boxes.items()}
    rows, seen = _read_all(captioner, examples, boxes, progress)
    collector = Collector(
        backend, [("all", one) for one in examples], dataset.split(_LEARNED),
        CollectOptions(others=0),
    )  # fmt: skip
    collected = collector.collect(
        objects, counting(progress, "asking how likely words are", len(examples))
    )
    return {
        "model": backend.identity.name,
        "weights_sha256": backend.identity.sha256,
        "dataset": dataset.name,
        "part": _PART,
        "photos": len(rows),
        "boxed": len(boxes),
        "pointing": _pointed(rows),
        "auc": _ranked(collected, seen),
    }


def _read_all(
    captioner: Captioner,
    examples: Sequence[Example],
    boxes: Mapping[str, Sequence[Box]],
    progress: Progress,
) -> tuple[list[list[dict[str, Any]]], list[list[tuple[bool, bool, float]]]]:
    """Of each photograph: what maps of its boxed things hit, and how far its words are seen.

    ``seen`` has for each content word whether it names a thing, its truth, and the number that the
    model tells; nothing for a model that is not calibrated.
    """
    rows: list[list[dict[str, Any]]] = []
    seen: list[list[tuple[bool, bool, float]]] = []
    backend = captioner.one_backend(clips=False)
    methods = {"occlusion": choose_method(None, backend, clips=True)}
    if default_method(backend) == "closer":
        methods["closer"] = EVIDENCE.get("closer")
    if backend.sight.grid is not None:
        methods["attention"] = EVIDENCE.get("attention")
    for number, example in enumerate(examples, 1):
        try:
            reading = caption_subject(captioner, example.path)
        except MediaError:
            continue
        own = boxes.get(example.name)
        seen.append(_seen(reading, example, own))
        rows.append([])
        if own and reading.caption.words:
            maps = {name: method.maps(reading.subject) for name, method in methods.items()}
            rows[-1] = list(pointing(reading, maps, own).values())
        progress("reading photographs", number, len(examples))
    return rows, seen


def _seen(
    reading: CaptionedSubject, example: Example, boxes: Sequence[Box] | None
) -> list[tuple[bool, bool, float]]:
    words = [word.text for word in reading.caption.words]
    objects = None if boxes is None else [box.name for box in boxes]
    truth = Truth.of(map(words_of, example.captions), objects).of_words(words)
    return [
        (bool(categories_of(word.text)), true, word.seen)
        for word, true in zip(reading.caption.words, truth, strict=True)
        if true is not None and word.seen is not None
    ]


def _pointed(rows: Sequence[Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """The share of words whose strongest cell is on the thing, by method."""
    found: dict[str, Any] = {}
    measure = next(iter(POINTING))
    for size, small in (("all", False), ("small", True)):
        for name in ("occlusion", "closer", "attention", "chance"):

            def hit(row: Mapping[str, Any], name: str = name, small: bool = small) -> float | None:
                own = row[measure]
                if small and not own["small"]:
                    return None
                value = own["chance"] if name == "chance" else own["hits"].get(name)
                return None if value is None else float(value)

            estimate = mean(rows, hit)
            if estimate is not None:
                found.setdefault(size, {})[name] = list(estimate)
    return found


def _ranked(
    collected: Collected, seen: Sequence[Sequence[tuple[bool, bool, float]]]
) -> dict[str, Any]:
    """How often a supported word is above one that is not, by group of words and measure."""
    measured = collected.measured
    photo_N = collected.group_K[measured.caption_N]
    things_N = measured.words["thing"] > 0
    together: dict[str, _WithInterval] = {}
    try:
        for row in fit(collected, "").rows:
            together[row.group] = [*row.auc, row.number]
    except DataError:
        pass  # all words are supported, or none is: there is nothing to tell apart
    told = [(photo, *one) for photo, own in enumerate(seen) for one in own]
    found: dict[str, Any] = {}
    for group, label in _GROUPS.items():
        chosen_N = things_N if group == "things" else np.ones_like(things_N)
        own: dict[str, Any] = {}
        for name in MEASURES:
            if name in measured.words:
                values_N = measured.words[name]
                use_N = chosen_N & np.isfinite(values_N)
                own[name] = _area(collected.truth_N[use_N], values_N[use_N], photo_N[use_N])
        if label in together and not math.isnan(together[label][0]):
            own["together"] = together[label]
        if told:
            use = [one for one in told if one[1] or group != "things"]
            own["seen"] = _area(
                np.array([true for *_, true, _ in use], np.bool_),
                np.array([value for *_, value in use], np.float64),
                np.array([photo for photo, *_ in use], np.int64),
            )
        truth_N = collected.truth_N[chosen_N]
        found[group] = {
            "words": len(truth_N),
            "supported": float(truth_N.mean()) if len(truth_N) else None,
            "auc": {name: value for name, value in own.items() if value is not None},
        }
    return found


def _area(truth_N: BoolArray, values_N: DoubleArray, photo_N: IntArray) -> _WithInterval | None:
    """The area under the ROC curve; None where all words are true, or all false."""
    true_N = truth_N.astype(np.float64)
    if not 0 < true_N.sum() < len(true_N):
        return None

    def area(some_N: IntArray) -> float:
        return auc(true_N[some_N], values_N[some_N])

    low, high = bootstrap_interval(area, photo_N)
    return [area(np.arange(len(true_N))), low, high, len(true_N)]
