"""Self-critical training: captions sampled by the model, rewarded by CIDEr-D.

S. Rennie, E. Marcheret, Y. Mroueh, J. Ross, V. Goel, "Self-critical sequence training for image
captioning", CVPR 2017: REINFORCE on a metric, with a baseline from the model's own captions. The
baseline is the mean reward of a photo's other samples (R. Luo, "A better variant of self-critical
sequence training", 2020), and the loss the mean over all sampled tokens, as there. A share of
cross-entropy keeps captions grammatical.

Axes: B photos or clips, K samples of each, T tokens.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor

from negah.errors import DataError
from negah.models import CaptionModel
from negah.training.objectives.base import (
    OBJECTIVES,
    Lesson,
    Loss,
    ObjectiveOptions,
    Setting,
)
from negah.training.objectives.cross_entropy import forced_logprobs, smoothed
from negah.training.objectives.rewards import Rewards, tells_captions_apart
from negah.training.objectives.samples import Samples, draw_samples


class SelfCriticalOptions(ObjectiveOptions):
    """Options of the reward, and of the share of cross-entropy."""

    needs_weights: ClassVar[bool] = True
    kind: Literal["self-critical"] = "self-critical"
    reward: Literal["cider-d"] = Field(
        "cider-d", description="the reward of a sample, against all references"
    )
    details: float = Field(
        0.0,
        ge=0,
        le=100,
        description="weight of the number of content words confirmed by a reference, relative to "
        "that of an average reference; added to CIDEr-D (0-10)",
    )
    eos: bool = Field(
        True,
        description="the end token is a word of samples, references and document frequencies; "
        "without it the model learns truncated captions (arXiv 2305.12254)",
    )
    samples: int = Field(5, ge=2, le=64, description="K, captions sampled for each photo in a step")
    cross_entropy: float = Field(
        0.3,
        ge=0,
        lt=1,
        description="share of cross-entropy in the loss; the rest is the reward term",
    )
    min_references: int = Field(
        4,
        ge=1,
        le=64,
        description="photos with fewer references are trained with cross-entropy only",
    )

    @property
    def signature(self) -> str:
        """See :attr:`ObjectiveOptions.signature`."""
        details = f"+{self.details:g}*details" if self.details else ""
        return (
            f"scst|reward:{self.reward}{details}|df:training|eos:{'yes' if self.eos else 'no'}|"
            f"refs:{self.min_references}+|samples:{self.samples}|baseline:others|"
            f"ce:{self.cross_entropy:g}"
        )

    def check(self, references: Sequence[Sequence[str]]) -> Iterator[str]:
        """Refuse references with which every reward is 0, and warn of single references."""
        if not tells_captions_apart(references):
            cause = "there is a single training photo" if len(references) == 1 else (
                "the training photos all have the same references"
            )  # fmt: skip
            raise DataError(
                f"self-critical training rewards CIDEr-D, which is 0 for every caption here: "
                f"{cause}, so no word distinguishes photos. Add photos with other captions, or "
                f"set training.objective=cross-entropy."
            )
        sizes = [len(group) for group in references]
        enough = [size for size in sizes if size >= self.min_references]
        if not enough:
            raise DataError(
                f"none of the {len(sizes):,} training photos has "
                f"training.objective.min_references={self.min_references} references, so no "
                f"sample would be rewarded; they have {max(sizes)} at most. Add references, "
                "set training.objective=cross-entropy, or set fewer with --set "
                f'"training.objective={{kind: self-critical, min_references: {max(sizes)}}}".'
            )
        single = enough.count(1)
        if single:
            yield (
                f"warning: {single:,} of {len(sizes):,} training photos have a single reference. "
                "A reward against one reference favours repeating its words, and penalises other "
                "true statements about the photo: captions become short and similar. Collect more "
                "captions of "
                "each photo, five if possible, or train these photos with cross-entropy by "
                "training.objective.min_references=2 or more."
            )


@OBJECTIVES.register("self-critical", SelfCriticalOptions)
class SelfCritical:
    """``(1 - c) mean over tokens of -(reward - baseline) log p  +  c cross-entropy``.

    Args:
        options: the reward, the samples, c.
        setting: references, label smoothing and scheduled sampling of the cross-entropy, how long
            a sample may be.
    """

    def __init__(self, options: SelfCriticalOptions, setting: Setting) -> None:
        self.options = options
        self.setting = setting
        self.rewards = Rewards(
            setting.references,
            language=setting.tokenizer.language,
            ends=options.eos,
            details=options.details,
        )
        sizes = [len(group) for group in setting.references]
        self._is_rewarded = torch.tensor(sizes) >= options.min_references

    def __call__(self, captioner: CaptionModel, lesson: Lesson) -> Loss:
        """See :class:`~negah.training.objectives.Objective`."""
        share, setting = self.options.cross_entropy, self.setting
        forced = forced_logprobs(captioner, lesson, setting.scheduled_sampling)
        loss = smoothed(*forced, setting.label_smoothing)
        loss.value = share * loss.value
        rewarded_B = self._is_rewarded[lesson.photos]
        if not rewarded_B.any():
            loss.parts = [(torch.zeros_like(loss.value), 0)]
            return loss
        on_device = rewarded_B.to(lesson.features_BFRC.device)
        samples = draw_samples(
            captioner,
            lesson.features_BFRC[on_device],
            None if lesson.real_BF is None else lesson.real_BF[on_device],
            setting.tokenizer.specials,
            samples=self.options.samples,
            longest=setting.max_tokens,
            generator=lesson.generator(),
        )
        rewards_BK = self.reward(samples, lesson.photos[rewarded_B])
        learned = (1 - share) * policy_loss(samples, rewards_BK)
        loss.value = loss.value + learned
        loss.parts = [(learned, int(samples.counts_BKT.sum()))]
        loss.log = {"reward": rewards_BK.mean(), **_facts(samples, setting.tokenizer.specials.end)}
        return loss

    def reward(self, samples: Samples, photos: Tensor) -> Tensor:
        """Rewards of the samples, float32 (B, K), on their device.

        Args:
            samples: of each photo.
            photos: indices of the photos among the references, int64 (B,).
        """
        tokenizer, photos_B = self.setting.tokenizer, photos.numpy()
        number = samples.tokens_BKT.shape[1]
        captions = [
            self.rewards.words(
                tokenizer.decode(ids), ends=self.options.eos and tokenizer.specials.end in ids
            )
            for ids in samples.tokens_BKT.flatten(0, 1).tolist()
        ]
        rewards = self.rewards(captions, np.repeat(photos_B, number)).reshape(-1, number)
        return torch.from_numpy(rewards.astype(np.float32)).to(samples.tokens_BKT.device)


def policy_loss(samples: Samples, rewards_BK: Tensor) -> Tensor:
    """The mean over all sampled tokens of ``-(reward - baseline) log p``.

    The baseline is the mean reward of the other samples of the photo.

    Args:
        samples: with the graph of their log-probabilities.
        rewards_BK: float32, without a graph.
    """
    others = rewards_BK.shape[1] - 1
    baseline_BK = (rewards_BK.sum(1, keepdim=True) - rewards_BK) / others
    gain_BK1 = (rewards_BK - baseline_BK).unsqueeze(-1)
    return -(gain_BK1 * samples.logprobs_BKT).sum() / samples.counts_BKT.sum()


def _facts(samples: Samples, end: int) -> dict[str, Tensor]:
    """Mean length in tokens without end tokens, and the share of distinct samples of a photo."""
    is_word_BKT = samples.counts_BKT & (samples.tokens_BKT != end)
    different = [len(set(map(tuple, group))) for group in samples.tokens_BKT.tolist()]
    return {
        "sample_length": is_word_BKT.sum(2).float().mean(),
        "distinct_samples": torch.tensor(different).float().mean() / samples.tokens_BKT.shape[1],
    }
