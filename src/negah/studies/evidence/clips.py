"""Real clips with captions of people and no boxes: what words lose, and which are true.

Deletion and insertion need no boxes (:mod:`negah.faithfulness.curves`): cells of all frames are
taken away, or put back, in the order of a map. Which words are supported is told by the captions.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from negah.data import Example, SplitPolicy, load_dataset
from negah.errors import MediaError
from negah.evidence.methods import EVIDENCE
from negah.evidence.truth import Truth
from negah.faithfulness import measure, summarise
from negah.faithfulness.measure import words_of
from negah.runtime import Captioner
from negah.runtime.explaining import caption_subject, choose_method
from negah.studies.study import Progress
from negah.text import words as cut

#: The folder of the clips beside that of the texts, and the file in it that is read.
_FOLDER, _FILE = "msvd", "youtube_video_to_id_mapping.txt"


def clips_beside(texts: Path | None) -> list[Example]:
    """The clips that are there, by name; none without the folder of texts.

    Args:
        texts: holds ``msvd/``.
    """
    if texts is None or not (texts / _FOLDER / _FILE).is_file():
        return []
    dataset = load_dataset(texts / _FOLDER / _FILE, split=SplitPolicy())
    every = (one for part in ("train", "dev", "test") for one in dataset.split(part))
    return sorted((one for one in every if one.is_clip), key=lambda one: one.name)


def depends_on(examples: Sequence[Example]) -> dict[str, Any]:
    """What numbers of clips depend on: the model for clips, and these clips with their captions."""
    backend = Captioner(None, threads=1).one_backend(clips=True)
    return {
        "weights": backend.identity.sha256,
        "captions": [[one.name, *one.captions] for one in examples],
    }


def measure_clips(examples: Sequence[Example], progress: Progress) -> dict[str, Any]:
    """Deletion and insertion by method, and how well numbers rank supported words.

    Args:
        examples: clips; the model is the one for clips that is bundled.
        progress: told how many are done.

    Returns:
        JSON-ready; ``deletion``, ``insertion`` and ``auc`` by name, each a list [value, low, high,
        words]; empty without clips.
    """
    if not examples:
        return {}
    captioner = Captioner(None, threads=1)
    backend = captioner.one_backend(clips=True)
    methods = {"occlusion": choose_method(None, backend, clips=True)}
    if backend.sight.grid is not None:
        methods["attention"] = EVIDENCE.get("attention")
    rows = []
    for number, example in enumerate(examples, 1):
        try:
            reading = caption_subject(captioner, example.path)
        except MediaError:
            continue
        truth = Truth.of(map(cut, example.captions))
        said = [word.text for word in words_of(reading.caption)]
        rows.append(measure(reading, methods, supported=truth.of_words(said)))
        progress("explaining clips", number, len(examples))
    report = summarise(
        rows, model=backend.identity.name, weights_sha256=backend.identity.sha256, dataset=_FOLDER,
        split="all", signatures={name: method.signature for name, method in methods.items()},
    )  # fmt: skip
    found = {
        name: {key: list(one) for key, one in estimates.items()}
        for name, estimates in (
            ("deletion", report.deletion), ("insertion", report.insertion), ("auc", report.auc),
        )
    }  # fmt: skip
    facts = {"model": report.model, "weights_sha256": report.weights_sha256}
    return {**facts, "clips": report.photos, "words": report.words, **found}
