"""One cell: a training, and the free-running captions of its dev and test photos, scored."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from negah.models import ShowTell
from negah.studies.captioning import (
    CaptionData,
    Part,
    parameter_count,
    score_photos,
    write_tokens,
)
from negah.studies.persian.data import caption_data, open_photos, prepare_photos
from negah.studies.persian.options import ROWS, PersianOptions
from negah.studies.persian.training import Training, learn_english
from negah.studies.study import Paths, Progress, key_of
from negah.text import InLanguage
from negah.training.validation import said_in

#: Captions of a cell that the page shows.
_SHOWN = 3


def prepare(o: PersianOptions, paths: Paths, progress: Progress) -> None:
    """Features of all photos, and the English run that rows start from."""
    prepare_photos(o, paths, progress)
    learn_english(o, paths, english_folder(o, paths), progress)


def run_cell(
    o: PersianOptions, paths: Paths, variant: str, seed: int, progress: Progress
) -> dict[str, Any]:
    """Train and measure one captioner."""
    row = next(row for row in ROWS if row.name == variant)
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
        for name in ("dev", "test"):
            part: Part = getattr(data, name)
            captions, found, each = _write_and_score(
                model, data, part, training, language if several else ""
            )
            prefix = "" if name == "test" else "dev_"
            values |= {f"{prefix}{measure}{end}": value for measure, value in found.items()}
            extra.setdefault(f"{prefix}photos", {})[f"cider_d{end}"] = each
            if name == "test":
                extra[f"captions{end}"] = dict(zip(part.names[:_SHOWN], captions, strict=False))
    return {"values": values, "curves": curves, "extra": extra}


def english_folder(o: PersianOptions, paths: Paths) -> Path:
    """Where the English run of a setting is."""
    return paths.work / f"english-{key_of(o.captions.model_dump(mode='json'))}"


def _write_and_score(
    model: ShowTell, data: CaptionData, part: Part, training: Training, language: str
) -> tuple[list[str], dict[str, float], list[float]]:
    """Free-running captions of a part, their scores, and the CIDEr-D of each photo to one place.

    ``language`` is the code of one of several; "" where there is one.
    """
    own = data.tokenizer.language
    vocabulary = InLanguage(data.tokenizer, language) if language else data.tokenizer
    found = write_tokens(model, vocabulary, part, training.options, training.progress)
    captions = [vocabulary.decode(tokens) for tokens in found]
    references = [said_in(own, said, language) for said in part.captions]
    values, each = score_photos(captions, part.names, references, language or own.code)
    return captions, values, each
