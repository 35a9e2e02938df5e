"""One cell: a training, and the free-running captions of its dev and test photos, scored."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from negah.data import Dataset, Example, FeatureStore
from negah.export.run import Run
from negah.run_folder import RunFolder
from negah.studies.captioning import parameter_count
from negah.studies.captioning.options import METRIC_NAMES
from negah.studies.persian.options import PersianOptions, Row
from negah.studies.persian.training import data_of, setting_key, trained
from negah.studies.study import Paths, Progress
from negah.training.features import feature_key
from negah.training.inputs import Stored
from negah.training.validation import Validation, validation_options

#: Captions of a cell that the page shows.
_SHOWN = 6


def run(o: PersianOptions, paths: Paths, row: Row, seed: int, progress: Progress) -> dict[str, Any]:
    """Train and measure one captioner."""
    done = trained(row, o, paths, paths.work / f"runs-{setting_key(o)}", seed, progress)
    values = {
        "parameters": float(parameter_count(done.captioner)),
        "vocabulary": float(len(done.tokenizer)),
    }
    extra: dict[str, Any] = {}
    data, several = data_of(row.languages, paths), len(row.languages) > 1
    for language in row.languages:
        end = "" if language == "fa" else f"_{language}"
        found, captions, photos = _measured(
            done, data, language if several else "", o, paths, progress
        )
        values |= {f"{name}{end}": value for name, value in found.items()}
        extra[f"photos{end}"] = photos
        extra[f"captions{end}"] = dict(list(captions.items())[:_SHOWN])
    rows = [json.loads(line) for line in RunFolder(done.folder).log.open(encoding="utf-8")]
    values["steps"] = float(max(one["step"] for one in rows))
    dev = next(one for one in reversed(rows) if one["kind"] == "dev")
    for language in row.languages:
        where = "" if language == row.languages[0] else f"{language}/"
        end = "" if language == "fa" else f"_{language}"
        values |= {f"dev_{name}{end}": dev[where + metric] for name, metric in METRIC_NAMES.items()}
    loss = [[one["step"], one["loss"]] for one in rows if one["kind"] == "train"]
    return {"values": values, "curves": {"training loss": loss}, "extra": extra}


def _measured(
    done: Run,
    data: Dataset,
    language: str,
    o: PersianOptions,
    paths: Paths,
    progress: Progress,
) -> tuple[dict[str, float], Mapping[str, str], list[float]]:
    """Scores of the part test, its captions by name, and the CIDEr-D of each photo."""
    examples: Sequence[Example] = sorted(data.split("test"), key=lambda e: e.name)
    store = FeatureStore(paths.shared, feature_key(done.encoder, "plain"))
    decoding = validation_options(done.recipe.decoding, o.beam)
    validation = Validation(
        examples, Stored(store, examples), done.tokenizer, decoding, language=language
    )
    captions = validation.captions(
        done.encoder, done.captioner, lambda *told: progress("test captions", *told)
    )
    scores = validation.scorer.score(captions)
    words = [validation.vocabulary.language.tokens(caption) for caption in captions.values()]
    values = {name: scores[metric] for name, metric in METRIC_NAMES.items()}
    values["distinct"] = 100 * len(set(captions.values())) / len(captions)
    values["words"] = float(np.mean([len(one) for one in words]))
    each = [round(float(value), 1) for value in scores.per_image["CIDEr-D"]]
    return values, captions, each
