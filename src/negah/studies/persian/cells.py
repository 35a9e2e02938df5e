"""One cell: a training, and the free-running captions of its dev and test photos, scored."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from negah.metrics import CaptionScorer
from negah.models import ShowTell
from negah.models.adapter import best_captions
from negah.studies.captioning import CaptionData, Part, parameter_count
from negah.studies.captioning.options import METRIC_NAMES
from negah.studies.persian.data import caption_data, open_photos, prepare_photos
from negah.studies.persian.options import PersianOptions, Row
from negah.studies.persian.training import Training, learn_english
from negah.studies.study import Paths, Progress
from negah.text import InLanguage
from negah.training.validation import said_in

#: Captions of a cell that the page shows.
_SHOWN = 3
_AT_ONCE = 50


def prepare(o: PersianOptions, paths: Paths, progress: Progress) -> None:
    """Features of all photos, and the English run that rows start from."""
    prepare_photos(o, paths, progress)
    learn_english(o, paths, english_folder(o, paths), progress)


def run(o: PersianOptions, paths: Paths, row: Row, seed: int, progress: Progress) -> dict[str, Any]:
    """Train and measure one captioner."""
    photos = open_photos(o, paths, row.languages)
    data = caption_data(o, row, photos)
    english = english_folder(o, paths)
    training = Training(row, o, paths, photos, data, english, seed, progress)
    model, curves = training.run()
    values = {
        **training.facts,
        "parameters": float(parameter_count(model)),
        "vocabulary": float(len(data.tokenizer)),
    }
    extra: dict[str, Any] = {}
    for language in row.languages:
        end = "" if language == "fa" else f"_{language}"
        several = len(row.languages) > 1
        writer = _Writer(model, data, training, language if several else "")
        for name in ("dev", "test"):
            part: Part = getattr(data, name)
            captions = writer.captions(part, progress)
            found, each = writer.scores(part, captions)
            prefix = "" if name == "test" else "dev_"
            values |= {f"{prefix}{measure}{end}": value for measure, value in found.items()}
            extra.setdefault(f"{prefix}photos", {})[f"cider_d{end}"] = each
            if name == "test":
                extra[f"captions{end}"] = dict(zip(part.names[:_SHOWN], captions, strict=False))
    return {"values": values, "curves": curves, "extra": extra}


def english_folder(o: PersianOptions, paths: Paths) -> Path:
    """Where the English run of a setting is."""
    values = json.dumps(o.captions.model_dump(mode="json"))
    return paths.work / f"english-{hashlib.sha256(values.encode()).hexdigest()[:12]}"


@dataclass(frozen=True, slots=True)
class _Writer:
    """Writes captions in one language.

    Attributes:
        model: in evaluation mode.
        data: of the row.
        training: with its budget.
        language: the code of one of several; "" where there is one.
    """

    model: ShowTell
    data: CaptionData
    training: Training
    language: str

    def captions(self, part: Part, progress: Progress) -> list[str]:
        """Free-running captions of all photos."""
        tokenizer = self.data.tokenizer
        vocabulary = InLanguage(tokenizer, self.language) if self.language else tokenizer
        count = len(part.names)
        rows = [list(range(at, min(at + _AT_ONCE, count))) for at in range(0, count, _AT_ONCE)]
        found = best_captions(
            self.model, ((part.features(some), None) for some in rows), vocabulary,
            self.training.options.decoding(),
            progress=lambda done: progress("captions", done, count),
        )  # fmt: skip
        return [vocabulary.decode(best.tokens) for best in found]

    def scores(self, part: Part, captions: Sequence[str]) -> tuple[dict[str, float], list[float]]:
        """The metrics, how varied captions are, and the CIDEr-D of each photo to one place."""
        language = self.data.tokenizer.language
        references = [said_in(language, said, self.language) for said in part.captions]
        code = self.language or language.code
        scorer = CaptionScorer(
            dict(zip(part.names, references, strict=True)),
            metrics=tuple(METRIC_NAMES.values()), language=code,
        )  # fmt: skip
        scores = scorer.score(dict(zip(part.names, captions, strict=True)))
        values = {name: scores[metric] for name, metric in METRIC_NAMES.items()}
        values["distinct"] = 100 * len(set(captions)) / len(captions)
        values["words"] = sum(len(text.split()) for text in captions) / len(captions)
        return values, [round(float(one), 1) for one in scores.per_image["CIDEr-D"]]
