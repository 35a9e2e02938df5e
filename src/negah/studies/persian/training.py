"""How a row is trained: what it starts from, sentences, captions, and the metric itself.

Axes: B photos, K captions of each, T words, N words that count.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from negah.models import ShowTell
from negah.run_folder import RunFolder
from negah.studies.captioning import (
    CaptionData,
    CaptionOptions,
    LearningCurves,
    Variation,
    make_show_tell,
    sentence_part,
    train_captioner,
)
from negah.studies.persian.data import LanguagePhotos, english_data, open_photos, sentences_of
from negah.studies.persian.options import LONGEST, PersianOptions, PersianRow
from negah.studies.study import Paths, Progress
from negah.text import EOS, PAD, Tokenizer, load_tokenizer
from negah.training.batches import Batch
from negah.training.checkpoint import load_checkpoint, save_checkpoint
from negah.training.objectives import OBJECTIVES, Lesson, Setting
from negah.training.padding import TrunkOutput
from negah.training.shown import find_shown
from negah.training.words import match_words


def learn_english(o: PersianOptions, paths: Paths, folder: Path, progress: Progress) -> None:
    """Train the English captioner that rows start from into a folder, unless it is there."""
    run = RunFolder(folder)
    if run.best.is_file():
        return
    data = english_data(o, open_photos(o, paths, ("fa",)))
    model = make_show_tell(o.captions, data.channels, len(data.tokenizer), 0)
    train_captioner(
        model, data, o.captions, 0, progress=progress, label="English run",
        variation=Variation(validate=False),
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    data.tokenizer.save(run.tokenizer)
    save_checkpoint(run.best, model.state_dict(), {})


@dataclass
class Training:
    """One row with a seed.

    Args:
        row: what it is.
        o: the setting.
        paths: of the study.
        photos: in the languages of the row.
        data: of them.
        english: the folder of the English run.
        seed: of weights, order and dropout.
        progress: told of steps.
    """

    row: PersianRow
    o: PersianOptions
    paths: Paths
    photos: LanguagePhotos
    data: CaptionData
    english: Path
    seed: int
    progress: Progress
    facts: dict[str, float] = field(default_factory=dict)

    def run(self) -> tuple[ShowTell, LearningCurves]:
        """The trained captioner, in evaluation mode, and its curves."""
        row, data, options = self.row, self.data, self.options
        model = make_show_tell(options, data.channels, len(data.tokenizer), self.seed)
        if row.english:
            self._start(model)
        if row.sentences:
            self._learn_sentences(model)
        curves = self._learn(model, options, "captions", Variation(validate=False))
        if row.critical:
            rate = options.model_copy(
                update={"learning_rate": self.o.critical_rate, "epochs": 1, "captions": 5}
            )
            critic = _Critic(self.o, data, self.seed)
            self._learn(model, rate, "self-critical", critic.variation())
        return model, curves

    @property
    def options(self) -> CaptionOptions:
        """The budget: as many captions of each language."""
        base = self.o.captions
        longest = LONGEST.get(self.row.tokens, base.max_tokens)
        captions = base.captions * len(self.row.languages)
        return base.model_copy(update={"max_tokens": longest, "captions": captions})

    def _learn(
        self, model: ShowTell, options: CaptionOptions, label: str, variation: Variation
    ) -> LearningCurves:
        return train_captioner(
            model, self.data, options, self.seed, progress=self.progress,
            label=f"{self.row.name}: {label}", variation=variation,
        )  # fmt: skip

    @torch.no_grad()
    def _start(self, model: ShowTell) -> None:
        """Take the weights of the English run, word by word where it knows them."""
        tensors, _ = load_checkpoint(RunFolder(self.english).best)
        initial = load_tokenizer(RunFolder(self.english).tokenizer)
        shown = self._shown(initial) if self.row.shown and self.o.concepts else None
        match = match_words(self.data.tokenizer, initial, shown=shown or {})
        own = model.state_dict()
        for name, tensor in tensors.items():
            if name in model.word_parameters:
                # what nothing is shown for stays fresh, as all new words of other rows do
                replace(match, far=[]).fill(own[name], tensor, new_words=shown is not None)
            else:
                own[name].copy_(tensor)
        self.facts["words_shown"] = float(len(shown or {}))

    def _shown(self, initial: Tokenizer) -> dict[int, list[int]]:
        """See :mod:`negah.training.shown`: the English words that stand for the new ones."""
        concepts = self.photos.encoder.concepts
        assert concepts is not None
        source: Any = _StoredPhotos(self.photos, self.data)
        found = find_shown(concepts, self.photos.encoder, source, self.data.tokenizer)
        return found.rows(self.data.tokenizer, initial)

    def _learn_sentences(self, model: ShowTell) -> None:
        """As a language model: a picture of zeros is the mean one, and its layer stays."""
        texts = sentences_of(self.o, self.paths, self.data)
        part = sentence_part(texts, self.data.channels)
        budget = self.options.model_copy(
            update={"batch": self.o.sentence_batch, "captions": 1, "epochs": 1}
        )
        learning = [p for n, p in model.named_parameters() if not n.startswith("project.")]
        variation = Variation(validate=False, parameters=[{"params": learning}])
        train_captioner(
            model, replace(self.data, train=part), budget, self.seed, progress=self.progress,
            label=f"{self.row.name}: sentences", variation=variation,
        )  # fmt: skip
        self.facts["sentences"] = float(len(texts))


class _StoredPhotos:
    """Training photos as :func:`find_shown` reads a source: features as they are stored."""

    def __init__(self, photos: LanguagePhotos, data: CaptionData) -> None:
        self.captions = data.train.captions
        self._raw_NRC = photos.raw(photos.parts["train"])

    def read(self, batch: Batch, epoch: int) -> TrunkOutput:
        return TrunkOutput(torch.from_numpy(self._raw_NRC[batch.photos].astype(np.float32)))


class _Critic:
    """Self-critical training in the place of a loss of words.

    The harness asks for the features of a step's photos before its loss, so that what it asks for
    tells which they are.
    """

    def __init__(self, o: PersianOptions, data: CaptionData, seed: int) -> None:
        options = OBJECTIVES.parse(
            {"kind": "self-critical", "samples": o.samples}, where="self-critical training"
        )
        self._objective: Any = OBJECTIVES.build(
            options, Setting(data.train.captions, data.tokenizer, max_tokens=o.captions.max_tokens)
        )
        self._train, self._seed, self._step = data.train, seed, 0
        self._photos: npt.NDArray[np.int64] = np.zeros(0, dtype=np.int64)

    def variation(self) -> Variation:
        """What the training does otherwise."""
        return Variation(loss=self._loss, features=self._features, validate=False)

    def _features(self, photos: npt.NDArray[np.int64]) -> Tensor:
        self._photos = photos
        return self._train.features(photos)

    def _loss(
        self,
        model: Any,
        features_BFRC: Tensor,
        inputs_BKT: Tensor,
        counts_BKT: Tensor,
        targets_N: Tensor,
    ) -> Tensor:
        photos = torch.from_numpy(self._photos)
        lesson = Lesson(
            features_BFRC, None, inputs_BKT, targets_of(inputs_BKT, counts_BKT), photos,
            step=self._step, seed=self._seed,
        )  # fmt: skip
        self._step += 1
        value: Tensor = self._objective(model, lesson).value
        return value


def targets_of(inputs_BKT: Tensor, counts_BKT: Tensor) -> Tensor:
    """``w1 ... <EOS>`` of ``<SOS> w1 ...``."""
    after = torch.full_like(inputs_BKT, PAD)
    after[..., :-1] = inputs_BKT[..., 1:]
    return torch.where(counts_BKT & (after == PAD), EOS, after)
