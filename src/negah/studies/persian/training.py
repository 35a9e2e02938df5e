"""Trainings of the study: recipes of :mod:`negah.training`, small, of one epoch, kept as runs.

They take the ways of users (``--init``, ``initial.new_words``, ``text.sentences``, the objective
self-critical), so that what is measured is what ``negah train cam-rnn-fa`` does. A run
that is finished is found again; a cell that was stopped begins its training where it was.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from negah.data import Dataset, load_dataset
from negah.data.sentences import read_texts
from negah.errors import DataError, UsageError
from negah.export.initial import open_initial
from negah.export.run import Run, load_run
from negah.files import write_text
from negah.models import EncoderOptions, load_encoder
from negah.models.seeding import seeded
from negah.studies.persian.made import make_persian
from negah.studies.persian.options import MODEL, PERSIAN, ROWS, PersianOptions, Row
from negah.studies.study import Paths, Progress
from negah.text.languages.mixed import JOINT, tag_of
from negah.training import Environment, load_recipe, train
from negah.training.features import FeatureFolder, prepare_features
from negah.training.reports import Silent

#: Sentences without pictures, in the folder beside.
SENTENCES = "text/coco_captions_fa.txt.gz"


class _Told(Silent):
    """A reporter that tells a study how far a training is."""

    def __init__(self, progress: Progress, label: str) -> None:
        self._progress, self._label = progress, label

    def features(self, view: str, done: int, total: int) -> None:
        self._progress(f"{self._label}: {view}", done, total)

    def step(self, done: int, steps: int, loss: float, rate: float) -> None:
        self._progress(f"{self._label}: {loss:.3f} nats", done, steps)

    def validating(self, done: int, total: int) -> None:
        self._progress(f"{self._label}: dev captions", done, total)


def persian_data(paths: Paths) -> Dataset:
    """The Persian captions of the photos."""
    return load_dataset(paths.data / PERSIAN)


def english_data(paths: Paths, names: set[str] | None = None) -> Dataset:
    """The English captions of the photos, or of some; parts are those of the Persian table."""
    data = load_dataset(paths.data)
    chosen = [e for e in data.examples if names is None or e.name in names]
    return replace(data, examples=tuple(chosen))


def data_of(languages: Sequence[str], paths: Paths) -> Dataset:
    """The captions in some languages of the photos that are captioned in Persian.

    Of several, each caption begins with the tag of its own.
    """
    persian = persian_data(paths)
    if tuple(languages) == ("fa",):
        return persian
    english = english_data(paths, {e.name for e in persian.examples})
    if tuple(languages) == ("en",):
        return english
    said = {e.name: e.captions for e in english.examples}
    examples = [
        replace(e, captions=(*_tagged("fa", e.captions), *_tagged("en", said[e.name])))
        for e in persian.examples
    ]
    return replace(persian, examples=examples)


def _tagged(code: str, captions: Sequence[str]) -> list[str]:
    return [f"{tag_of(code)} {caption}" for caption in captions]


def prepare(o: PersianOptions, paths: Paths, progress: Progress) -> None:
    """Features of all photos, some sentences, and the English run that rows start from."""
    if o.made:
        make_persian(paths.data, _sentences(paths))
    persian, english = persian_data(paths), _learned_english(o, paths)
    held_out = {e.name: e.split for e in persian.examples if e.split != "train"}
    for example in english.examples:
        if example.split == "train" and example.name in held_out:
            raise DataError(
                f"{example.name} is in the part train in English and in the part "
                f"{held_out[example.name]} in Persian"
            )
    with seeded(0):
        encoder = load_encoder(_encoder(o, paths))
    folder = FeatureFolder(paths.shared, progress=lambda view, *told: progress("features", *told))
    examples = [*english.examples, *persian.examples]
    prepare_features(encoder, examples, folder, flips=False, device=torch.device("cpu"))
    _write_sentences(o, paths)
    english_run(o, paths, progress)


def english_run(o: PersianOptions, paths: Paths, progress: Progress) -> Path:
    """The folder of the finished English run, which is trained unless it is there."""
    changes = (
        *_changes(o, paths), f"training.captions={o.english_captions}",
    )  # fmt: skip
    folder = _english(o, paths)
    recipe = load_recipe("show-tell", changes)
    told = Environment(paths.shared, reporter=_Told(progress, "English run"))
    train(recipe, _learned_english(o, paths), folder, told)
    return folder


def trained(
    row: Row, o: PersianOptions, paths: Paths, folder: Path, seed: int, progress: Progress
) -> Run:
    """The finished run of a row, which is trained unless it is there.

    Args:
        row: what it starts from, and learns.
        o: the setting.
        paths: of the study.
        folder: of the runs of this setting.
        seed: of weights, order and dropout.
        progress: told of steps.
    """
    own = folder / f"{ROWS.index(row)}-{seed}"
    changes = [f"training.seed={seed}"]
    if row.after:
        before = next(one for one in ROWS if one.name == row.after)
        initial = open_initial(trained(before, o, paths, folder, seed, progress).folder)
        name = "cam-rnn-scst"
        changes += _critical(o, paths)
    else:
        name = "show-tell"
        initial = open_initial(_english(o, paths)) if row.english else None
        changes += [*_changes(o, paths), *_begun(o, paths, row)]
    recipe = load_recipe(name, changes, initial)
    told = Environment(paths.shared, reporter=_Told(progress, row.name))
    train(recipe, data_of(row.languages, paths), own, told, initial=initial)
    return load_run(own)


def _changes(o: PersianOptions, paths: Paths) -> list[str]:
    """What every training of the study says otherwise than the recipe show-tell."""
    encoder = _encoder(o, paths)
    return [
        f"encoder.name={encoder.name}", f"encoder.weights={encoder.weights}",
        f"encoder.size={encoder.size}", "encoder.pool=1", "encoder.trainable_blocks=0",
        f"model.hidden_size={o.hidden_size}", f"model.embedding_size={o.embedding_size}",
        f"model.dropout={o.dropout}", f"text.min_count={o.min_count}",
        "training.epochs=1", f"training.photos={o.photos}", "training.flips=false",
        f"training.learning_rate={o.learning_rate}", f"training.warmup_steps={o.warmup_steps}",
        "training.validation_beam=1", f"decoding.beam={o.beam}",
        "decoding.length_normalisation=1.0",
    ]  # fmt: skip


def _begun(o: PersianOptions, paths: Paths, row: Row) -> list[str]:
    """What rows say that do not go on from another."""
    longest = {"char": 100, "subword": 40}.get(row.tokens, 20)
    shown = "shown" if row.shown and o.concepts else "fresh"
    changes = [
        f"text.language={JOINT.join(row.languages)}", f"text.tokenizer={row.tokens}",
        f"training.captions={o.captions * len(row.languages)}",
        f"initial.new_words={shown}", f"decoding.max_length={longest}",
    ]  # fmt: skip
    if row.tokens == "subword":
        changes.append(f"text.vocabulary_size={o.subwords}")
    if row.sentences:
        changes += [f"text.sentences={_sentences(paths)}", "text.sentence_epochs=1"]
    return changes


def _critical(o: PersianOptions, paths: Paths) -> list[str]:
    """What self-critical training says otherwise than its recipe."""
    objective = f"{{kind: self-critical, samples: {o.samples}, cross_entropy: 0.3}}"
    return [
        f"encoder.weights={_encoder(o, paths).weights}", f"training.objective={objective}",
         "training.epochs=1", "training.flips=false",
        f"training.learning_rate={o.critical_rate}", f"training.photos={o.critical_photos}",
        f"model.dropout={o.dropout}", "training.validation_beam=1",
    ]  # fmt: skip


def _encoder(o: PersianOptions, paths: Paths) -> EncoderOptions:
    given = paths.captioned.model if paths.captioned is not None else None
    return EncoderOptions(
        name=o.encoder, weights=o.weights or given or MODEL, size=o.size, pool=1,
        trainable_blocks=0,
    )  # fmt: skip


def _learned_english(o: PersianOptions, paths: Paths) -> Dataset:
    """Training photos, and the dev photos that are captioned in Persian, too."""
    known = {e.name for e in persian_data(paths).examples}
    data = english_data(paths)
    training = [e for e in data.examples if e.split == "train"][: o.english_photos]
    dev = [e for e in data.examples if e.split == "dev" and e.name in known]
    return replace(data, examples=(*training, *dev))


def _english(o: PersianOptions, paths: Paths) -> Path:
    return paths.work / f"english-{setting_key(o)}"


def setting_key(o: PersianOptions) -> str:
    """Names all that decides a training beside its row and seed."""
    values = json.dumps(o.model_dump(mode="json", exclude={"seeds"}))
    return hashlib.sha256(values.encode()).hexdigest()[:12]


def _sentences(paths: Paths) -> Path:
    return paths.work / "sentences.txt"


def _write_sentences(o: PersianOptions, paths: Paths) -> None:
    """Some of the sentences without pictures, evenly from the file."""
    if _sentences(paths).is_file():
        return
    if paths.text is None or not (source := paths.text / SENTENCES).is_file():
        raise UsageError(f"there is no {SENTENCES} in the folder beside the photos (--text)")
    texts: Sequence[Any] = list(read_texts(source))
    step = max(1, len(texts) // o.sentences)
    write_text(_sentences(paths), "\n".join(texts[::step][: o.sentences]) + "\n")
