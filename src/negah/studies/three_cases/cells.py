"""The cells of ``three-cases``: one captioner, and what of it comes pretrained or learns.

Axes: B photos, F = 1 frame, R = 1 region of the mean feature, C channels, K captions, T words,
V vocabulary, W numbers of a vector; C', H, W of a map are those of the trunk's output.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from torch import Tensor

from negah.errors import UsageError
from negah.files import write_text
from negah.models import CaptionModel, Encoder, ShowTell, ShowTellOptions, StepOutput, Tensors
from negah.models.freezing import learn_last_convolutions
from negah.models.seeding import seeded
from negah.studies.captioning import (
    CaptionOptions,
    Standard,
    Variation,
    encoder_of,
    multiply_adds,
    open_captions,
    prepare_captions,
    score_captioner,
    train_captioner,
)
from negah.studies.study import Paths, Progress
from negah.studies.three_cases.study import (
    FRESH,
    GLOVE_FROZEN,
    GLOVE_TUNED,
    LAST_LAYERS,
    MADE,
    ThreeCasesOptions,
)
from negah.text import SPECIALS, Tokenizer
from negah.text.vectors import Vectors, read_vectors, vector_coverage, vector_size, vector_table


class WithTail(CaptionModel):
    """A captioner behind the blocks of its encoder that learn with it.

    It reads what is stored below those blocks, float32 (B, F = 1, C', H, W), in place of region
    features. Batch normalisation keeps its statistics.

    Args:
        encoder: whose tail.
        captioner: of its regions.
        standard: what the regions go through before it reads them.
    """

    def __init__(self, encoder: Encoder, captioner: ShowTell, standard: Standard) -> None:
        super().__init__()
        self.tail = encoder.tail_blocks
        self.captioner = captioner
        self.channels = captioner.channels
        self.vocabulary_size = captioner.vocabulary_size
        self._encoder = (encoder,)
        self._standard = standard

    def train(self, mode: bool = True) -> WithTail:
        """The captioner switches; the tail's batch normalisation never does."""
        super().train(mode)
        self.tail.eval()
        return self

    def start(
        self, features_BFRC: Tensor, real_BF: Tensor | None = None
    ) -> tuple[Tensors, Tensors]:
        """See the base class."""
        return self.captioner.start(self.regions(features_BFRC), real_BF)

    def step(self, memory: Tensors, state: Tensors, tokens_BK: Tensor) -> StepOutput:
        """See the base class."""
        return self.captioner.step(memory, state, tokens_BK)

    def forward(
        self,
        features_BFRC: Tensor,
        inputs_BKT: Tensor,
        counts_BKT: Tensor,
        real_BF: Tensor | None = None,
    ) -> Tensor:
        """See the base class."""
        regions_BFRC = self.regions(features_BFRC)
        logits_NV: Tensor = self.captioner(regions_BFRC, inputs_BKT, counts_BKT, real_BF)
        return logits_NV

    def regions(self, trunk: Tensor) -> Tensor:
        """The tail over the stored maps, once a photo whatever the number of its captions."""
        return self._standard(self._encoder[0].tail(trunk[:, 0]))[:, None]


def with_tail(o: ThreeCasesOptions) -> CaptionOptions:
    """The options of case (c): stored is what comes before the blocks that learn."""
    return o.captioning.model_copy(update={"trainable_blocks": o.blocks})


def tuned_encoder(o: ThreeCasesOptions) -> Encoder:
    """The CNN with its last convolutions learning."""
    encoder = encoder_of(with_tail(o))
    learn_last_convolutions(encoder.tail_blocks, o.layers)
    return encoder


def make_captioner(
    o: ThreeCasesOptions, channels: int, vocabulary_size: int, word_size: int = 0
) -> ShowTell:
    """The captioner of all cases, with fresh weights from torch's seed."""
    c = o.captioning
    options = ShowTellOptions(
        cell=o.cell,
        embedding_size=c.embedding_size,
        hidden_size=c.hidden_size,
        dropout=c.dropout,
        word_size=word_size,
    )
    return ShowTell(options, channels, vocabulary_size)


def prepare(o: ThreeCasesOptions, paths: Paths, progress: Progress) -> None:
    """Features after the whole CNN, and after what stays frozen in case (c)."""
    check_source(o)
    prepare_captions(o.captioning, paths, progress)
    prepare_captions(with_tail(o), paths, progress)


def facts(o: ThreeCasesOptions, paths: Paths, progress: Progress) -> dict[str, Any]:
    """How many words have a vector; what caching saves, and that it changes no gradient."""
    from negah.studies.three_cases.caching import compare_gradients, time_epochs

    return {
        "coverage": cover(o, paths, progress),
        "gradients": compare_gradients(o, paths, progress),
        "caching": time_epochs(o, paths, progress),
    }


def run_cell(
    o: ThreeCasesOptions, paths: Paths, variant: str, seed: int, progress: Progress
) -> dict[str, Any]:
    """Train and score one case."""
    behind_tail = variant == LAST_LAYERS
    captioning = with_tail(o) if behind_tail else o.captioning
    data = open_captions(captioning, paths, progress, regions=behind_tail)
    size = len(data.tokenizer)
    pretrained: list[Tensor] = []
    if behind_tail:
        encoder = tuned_encoder(o)
        with seeded(seed):
            captioner = make_captioner(o, encoder.channels, size)
        model: CaptionModel = WithTail(encoder, captioner, data.standard)
        pretrained = [p for p in encoder.parameters() if p.requires_grad]
        groups: list[dict[str, Any]] = [
            {"params": list(captioner.parameters())},
            {
                "params": pretrained,
                "lr": o.encoder_learning_rate,
                "first_epoch": o.encoder_first_epoch,
            },
        ]
    else:
        narrow = variant in (FRESH, GLOVE_FROZEN, GLOVE_TUNED)
        word_size = o.word_size if narrow else 0
        with seeded(seed):
            model = captioner = make_captioner(o, data.channels, size, word_size)
        if variant in (GLOVE_FROZEN, GLOVE_TUNED):
            table_VW = vector_table(_read(o, data.tokenizer), data.tokenizer.tokens, seed=seed)
            captioner.embedding.fill(table_VW, frozen=variant == GLOVE_FROZEN)
            pretrained = [captioner.embedding.weight]
        groups = [{"params": [p for p in model.parameters() if p.requires_grad]}]
    before = [weight.detach().clone() for weight in pretrained]
    curves = train_captioner(
        model,
        data,
        captioning,
        seed,
        progress=progress,
        label=variant,
        variation=Variation(parameters=groups),
    )
    cell = score_captioner(model, data, captioning, progress=progress)
    values = cell["values"]
    values["learned"] = float(sum(p.numel() for p in model.parameters() if p.requires_grad))
    values["multiply_adds"] = multiply_adds(model, data, captioning) / 1e6
    if pretrained:
        values["moved"] = 100 * change(before, pretrained)
    return {**cell, "curves": curves}


def change(before: list[Tensor], after: list[Tensor]) -> float:
    """The length of the difference, as a share of the length before."""
    moved = sum(float((b - a.detach()).square().sum()) for b, a in zip(before, after, strict=True))
    length = sum(float(b.square().sum()) for b in before)
    return float((moved / length) ** 0.5)


def cover(o: ThreeCasesOptions, paths: Paths, progress: Progress) -> dict[str, Any]:
    """How many words of the vocabulary and of the training captions have a vector."""
    data = open_captions(o.captioning, paths, progress)
    captions = [caption for of_photo in data.train.captions for caption in of_photo]
    found = vector_coverage(_read(o, data.tokenizer), data.tokenizer, captions)
    return {
        "types": found.types,
        "found_types": found.found_types,
        "running": found.running,
        "found_running": found.found_running,
        "types_share": found.found_types / found.types,
        "running_share": found.found_running / found.running,
        "missing": list(found.missing[:20]),
    }


def check_source(o: ThreeCasesOptions) -> None:
    """Refuse vectors that are not there, before any work.

    Raises:
        UsageError: no such file, or vectors of another width.
        MissingExtraError: the package is not installed.
    """
    if o.vectors == MADE:
        return
    found = vector_size(o.vectors, size=o.word_size)
    if found != o.word_size:
        raise UsageError(f"vectors {o.vectors} have {found} numbers, word_size is {o.word_size}")


def _read(o: ThreeCasesOptions, tokenizer: Tokenizer) -> Vectors:
    words = tokenizer.tokens[len(SPECIALS) :]
    if o.vectors != MADE:
        return read_vectors(o.vectors, words, size=o.word_size)
    random = np.random.default_rng(0)
    rows: npt.NDArray[np.float64] = random.normal(size=(len(words), o.word_size))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made.txt"
        lines = (
            f"{word} {' '.join(f'{number:.4f}' for number in row)}\n"
            for word, row in zip(words[1:], rows, strict=False)
        )
        write_text(path, "".join(lines))
        return read_vectors(path, words, size=o.word_size)
