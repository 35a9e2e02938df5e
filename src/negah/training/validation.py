"""Free-running captions of held-out photographs or clips, and their scores.

Validation uses the captions that a user gets: decoded word by word from the picture, by the same
search as at run time, never with teacher forcing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import zip_longest

import numpy as np
import torch
from torch import Tensor

from negah.data import Example
from negah.decoding import DecodingOptions
from negah.decoding.constraints import Constraints
from negah.errors import DataError
from negah.metrics import CaptionScorer, Scores
from negah.models import CaptionModel, Encoder
from negah.models.adapter import best_captions
from negah.text import InLanguage, Language, Tokenizer
from negah.text.languages import Mixed
from negah.text.languages.mixed import tag_of
from negah.training.concepts import ConceptTruth, mean_average_precision
from negah.training.inputs import HeldOut, ReadStored, regions_of
from negah.training.processes import ALONE, Processes

#: Without METEOR, which takes longer than all other metrics together.
_METRICS = (*(f"BLEU-{order}" for order in range(1, 5)), "ROUGE-L", "CIDEr-D")


def validation_options(decoding: DecodingOptions, beam: int) -> DecodingOptions:
    """The decoding of a recipe for selecting the best epoch: one caption, without sampling.

    Raises:
        UsageError: ``beam`` is too small for the words that every caption must contain.
    """
    # the prediction of CIDEr is fitted to a finished bundle; a captioner in PyTorch has none
    left_out = {"temperature", "top_k", "top_p", "seed", "expected_cider"}
    values = decoding.model_dump(exclude=left_out)
    values |= {"method": "beam", "beam": beam, "n_best": 1}
    return DecodingOptions.parse(values, where="decoding with training.validation_beam")


class Validation:
    """Held-out photographs or clips with their references, prepared once.

    Args:
        examples: the photographs or clips.
        read: returns their stored trunk features, by index.
        tokenizer: turns token ids into text.
        options: how to decode; see :func:`validation_options`.
        batch_size: photographs or clips decoded at a time.
        processes: share the batches; each gets all captions.
        language: code of the language of the captions, for a tokenizer of several; only
            references with its tag count.

    Raises:
        DataError: an example has no reference in the language.
        UsageError: a banned or required word is not in the vocabulary.
    """

    def __init__(
        self,
        examples: Sequence[Example],
        read: ReadStored,
        tokenizer: Tokenizer,
        options: DecodingOptions,
        *,
        batch_size: int = 32,
        processes: Processes = ALONE,
        language: str = "",
    ) -> None:
        self.names = [example.name for example in examples]
        self.read = read
        self.tokenizer = tokenizer
        self.vocabulary = InLanguage(tokenizer, language) if language else tokenizer
        self.options = options
        self.batch_size = batch_size
        self.processes = processes
        self.references = [
            said_in(tokenizer.language, example.captions, language) for example in examples
        ]
        for name, said in zip(self.names, self.references, strict=True):
            if not said:
                raise DataError(
                    f"{name} has no caption that begins with {tag_of(language)}: where a model "
                    "learns several languages, each held-out photo has captions in all of them"
                )
        references = dict(zip(self.names, self.references, strict=True))
        code = self.vocabulary.language.code
        self.scorer = CaptionScorer(references, metrics=_METRICS, language=code)
        # words missing from the vocabulary are refused here, not after an epoch of training
        Constraints.from_options(options, self.vocabulary)

    def __len__(self) -> int:
        """Number of photographs or clips."""
        return len(self.names)

    def captions(
        self,
        encoder: Encoder,
        captioner: CaptionModel,
        progress: Callable[[int, int], None] | None = None,
        told: list[Tensor] | None = None,
    ) -> dict[str, str]:
        """One caption per photograph or clip, by name. The modules must be in evaluation mode.

        Args:
            encoder: whose tail reads the stored features.
            captioner: on the device of both.
            progress: called with the number captioned and the total.
            told: receives the probabilities of the encoder's concepts, float32 (B, W), of each
                batch.
        """
        device = next(captioner.parameters()).device
        count, size = len(self), self.batch_size
        starts = range(0, count, size)
        own = self.processes.share(starts)
        probabilities: list[Tensor] = []

        def batches() -> Iterator[tuple[Tensor, Tensor | None]]:
            for first in own:
                positions = np.arange(first, min(first + size, count))
                stored = self.read(positions).to(device)
                features_BFRC = regions_of(encoder, stored.trunk, stored.real_BF)
                if told is not None and encoder.concepts is not None:
                    absent_BW = encoder.concepts.of_clips(features_BFRC, stored.real_BF)
                    probabilities.append(-torch.expm1(absent_BW).cpu())
                yield features_BFRC, stored.real_BF

        found = best_captions(
            captioner,
            batches(),
            self.vocabulary,
            self.options,
            concepts=encoder.concepts,
            progress=None
            if progress is None
            else lambda done: progress(min(done * self.processes.count, count), count),
        )
        texts = [self.vocabulary.decode(best.tokens) for best in found]
        parts = [texts[first : first + size] for first in range(0, len(texts), size)]
        of_batch: dict[int, tuple[list[str], Tensor | None]] = {}
        shares = self.processes.gather((list(own), parts, probabilities))
        for firsts, captions, seen in shares:
            of_batch |= zip(firsts, zip_longest(captions, seen), strict=True)
        if told is not None:
            seen_of = (of_batch[first][1] for first in starts)
            told += [seen for seen in seen_of if seen is not None]
        return dict(
            zip(self.names, (text for first in starts for text in of_batch[first][0]), strict=True)
        )

    def score(
        self,
        encoder: Encoder,
        captioner: CaptionModel,
        progress: Callable[[int, int], None] | None = None,
    ) -> tuple[Scores, dict[str, str], float | None]:
        """Caption and score; returns scores, captions and the mean average precision of the
        concepts."""
        told: list[Tensor] = []
        captions = self.captions(encoder, captioner, progress, told)
        return self.scorer.score(captions), captions, self._precision(encoder, told)

    def _precision(self, encoder: Encoder, told: Sequence[Tensor]) -> float | None:
        """The mean average precision of the concepts; None if none can be evaluated."""
        if encoder.concepts is None or not told:
            return None
        truth = ConceptTruth(self.references, self.tokenizer, encoder.concepts.words)
        said_BW = truth.said(torch.arange(len(self))).numpy()
        return mean_average_precision(torch.cat(list(told)).numpy(), said_BW)


class Validations:
    """Several validations whose mean CIDEr-D selects the best epoch.

    Args:
        by_name: the validations by name. The scores of the one named ``""`` are logged under their
            own names, those of others with their name as prefix.
    """

    def __init__(self, by_name: Mapping[str, Validation]) -> None:
        self.by_name = by_name

    @classmethod
    def of(
        cls,
        held_out: Mapping[str, HeldOut],
        tokenizer: Tokenizer,
        options: DecodingOptions,
        processes: Processes,
    ) -> Validations:
        """Of each held-out part by name; of a tokenizer of several languages, in each of them.

        What is of another language than the first has its code in front of the name.

        Raises:
            as :class:`Validation`.
        """
        language = tokenizer.language
        codes = tuple(language.parts) if isinstance(language, Mixed) else ("",)
        named = (
            ("/".join(filter(None, (code if place else "", name))), part, code)
            for place, code in enumerate(codes)
            for name, part in held_out.items()
        )
        return cls(
            {
                name: Validation(
                    part.examples, part.read, tokenizer, options,
                    processes=processes, language=code,
                )
                for name, part, code in named
            }
        )  # fmt: skip

    def score(
        self,
        encoder: Encoder,
        captioner: CaptionModel,
        progress: Callable[[int, int], None] | None = None,
    ) -> tuple[float, dict[str, float]]:
        """The mean CIDEr-D, 0-100 scale, and all scores by name.

        ``distinct`` is the share of distinct captions, ``words`` their mean length, and
        ``broken_off`` the share of truncated captions, which end in a word such as "in" or "a".
        ``concepts_map`` is the mean average precision of the encoder's concepts, where it has any.
        """
        total, done = sum(map(len, self.by_name.values())), 0
        found: dict[str, float] = {}
        judged = []
        for name, validation in self.by_name.items():
            before = done

            def report(part: int, _: int, before: int = before) -> None:
                if progress is not None:
                    progress(before + part, total)

            scores, captions, precision = validation.score(encoder, captioner, report)
            done += len(validation)
            judged.append(scores["CIDEr-D"])
            language = validation.vocabulary.language
            values = {**scores.values, **caption_statistics(list(captions.values()), language)}
            if precision is not None:
                values["concepts_map"] = precision
            found |= {f"{name}/{metric}".lstrip("/"): value for metric, value in values.items()}
        return sum(judged) / len(judged), found


def said_in(language: Language, captions: Sequence[str], code: str) -> list[str]:
    """The captions of one of several languages, without its tag; all where none is asked for."""
    if not code or not isinstance(language, Mixed):
        return list(captions)
    parted = map(language.parted, captions)
    return [text for own, text in parted if own == code]


def caption_statistics(captions: Sequence[str], language: Language) -> dict[str, float]:
    """Statistics besides scores; see :meth:`Validations.score`."""
    said = [language.tokens(caption) for caption in captions]
    broken_off = sum(bool(caption) and caption[-1] in language.open_words for caption in said)
    return {
        "distinct": len(set(captions)) / len(captions),
        "words": sum(map(len, said)) / len(captions),
        "broken_off": broken_off / len(captions),
    }
