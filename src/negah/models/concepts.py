"""Concepts: for each of many words, the probability that a picture supports it.

A linear layer reads every region; a word is supported if one region or more shows it (noisy-or):
P(w) = 1 - prod_r (1 - sigmoid(a_w . f_r + b_w)). It is trained from captions only, without
locations (H. Fang et al., "From captions to visual concepts and back", CVPR 2015). It does not
depend on the caption being written; a captioner may use it as input (:class:`ConceptReader`).

Axes: N pictures, B photos or clips, F frames, R regions, C channels, W concepts, V vocabulary.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from negah.models.encoder_kinds import EncoderOptions
from negah.text import SPECIALS, Tokenizer
from negah.text.languages.persian.letters import HALF_SPACE

#: Lower bound of the base rate of a concept, so that its logarithm exists.
_LOWEST_RATE = 1e-5
#: Probabilities are clipped to this distance from 0 and 1 before a captioner reads their log-odds.
_SUREST = 1e-4
#: Bounds of the log-odds, minus those of the base rate, that a captioner reads.
_LEAST_MORE, _MOST_MORE = -4.0, 6.0


def concept_words(tokenizer: Tokenizer, options: EncoderOptions) -> tuple[str, ...]:
    """The first ``options.concepts`` content words of a vocabulary.

    Args:
        tokenizer: with tokens in descending order of frequency.
        options: of the encoder.
    """
    closed = tokenizer.language.stop_words | {*SPECIALS}
    content = (
        token
        for token in tokenizer.tokens
        if token.replace(HALF_SPACE, "").isalpha() and token not in closed
    )
    return tuple(word for word, _ in zip(content, range(options.concepts), strict=False))


class Concepts(nn.Module):
    """The linear layer over the regions, and the words that it predicts.

    Args:
        channels: C.
        words: of the W concepts.

    Attributes:
        fresh_words: those that :meth:`start_from` did not copy from another layer.
    """

    def __init__(self, channels: int, words: Sequence[str]) -> None:
        super().__init__()
        self.words = tuple(words)
        self.fresh_words = self.words
        self.layer = nn.Linear(channels, len(self.words))
        nn.init.normal_(self.layer.weight, std=0.01)

    def forward(self, regions_NRC: Tensor) -> Tensor:
        """Probabilities, float32 (N, W)."""
        return -torch.expm1(self.log_absent(regions_NRC))

    def log_absent(self, regions_NRC: Tensor) -> Tensor:
        """log(1 - P), float32 (N, W): no region shows the word."""
        return self.log_absent_of_regions(regions_NRC).sum(1)

    def log_absent_of_regions(self, regions_NRC: Tensor) -> Tensor:
        """log(1 - P) of each region by itself, float32 (N, R, W)."""
        return -F.softplus(self.layer(regions_NRC))

    def of_clips(self, features_BFRC: Tensor, real_BF: Tensor | None) -> Tensor:
        """log(1 - P) of photos or clips, float32 (B, W); for a clip, the frame of highest
        probability.

        Args:
            features_BFRC: region features.
            real_BF: True where a frame is real; None for all.
        """
        absent_XW = self.log_absent(features_BFRC.flatten(0, 1))
        absent_BFW = absent_XW.reshape(*features_BFRC.shape[:2], -1)
        if real_BF is not None:
            absent_BFW = absent_BFW.masked_fill(~real_BF[..., None], 0.0)
        absent_BW: Tensor = absent_BFW.amin(1)
        return absent_BW

    @torch.no_grad()
    def start_from_rates(self, rates_W: Tensor, regions: int) -> None:
        """Initialise the biases so that each word has its base rate, the share of photos captioned
        with it.

        Args:
            rates_W: the base rates.
            regions: R, among which a base rate is divided.
        """
        each_W = -torch.log1p(-rates_W.clamp(_LOWEST_RATE, 1 - _LOWEST_RATE)) / regions
        # softplus(b) = each
        self.layer.bias.copy_(torch.log(torch.expm1(each_W)))

    @torch.no_grad()
    def start_from(self, other: Concepts) -> int:
        """Copy the words that another layer has as well; return their number."""
        places = {word: place for place, word in enumerate(other.words)}
        own = [place for place, word in enumerate(self.words) if word in places]
        known = [places[self.words[place]] for place in own]
        self.layer.weight[own] = other.layer.weight[known]
        self.layer.bias[own] = other.layer.bias[known]
        self.fresh_words = tuple(word for word in self.fresh_words if word not in places)
        return len(own)


class ConceptReader(nn.Module):
    """The support of a photo or clip for each word of a vocabulary, relative to its base rate.

    The log-odds of the concept minus those of the base rate; 0 for words that are not concepts. It
    has no parameters: the concepts belong to the encoder.

    Args:
        concepts: of the encoder; the module is shared with it.
        vocabulary_size: V.
    """

    places: Tensor
    usual: Tensor

    def __init__(self, concepts: Concepts, vocabulary_size: int) -> None:
        super().__init__()
        self.head = concepts
        none = torch.full((vocabulary_size,), len(concepts.words))
        self.register_buffer("places", none)
        self.register_buffer("usual", torch.zeros(vocabulary_size))

    @torch.no_grad()
    def find_words(self, tokens: Sequence[str], rates_W: Tensor) -> None:
        """Find the concepts in the vocabulary.

        Args:
            tokens: the V tokens.
            rates_W: the base rate of each concept.
        """
        ids = {token: number for number, token in enumerate(tokens)}
        own_W = torch.tensor([ids[word] for word in self.head.words], device=self.places.device)
        self.places.fill_(len(own_W))
        self.places[own_W] = torch.arange(len(own_W), device=own_W.device)
        self.usual.zero_()
        self.usual[own_W] = torch.logit(rates_W.to(self.usual), eps=_SUREST)

    def forward(self, features_BFRC: Tensor, real_BF: Tensor) -> Tensor:
        """Float32 (B, V), between :data:`_LEAST_MORE` and :data:`_MOST_MORE`.

        No gradient flows through it, so that concepts keep describing the photo.

        Args:
            features_BFRC: region features.
            real_BF: True where a frame is real.
        """
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.training):
            absent_BW = self.head.of_clips(features_BFRC, real_BF)
        absent_BW = absent_BW.clamp(math.log(_SUREST), math.log1p(-_SUREST))
        odds_BW = torch.log(-torch.expm1(absent_BW)) - absent_BW
        odds_BV = F.pad(odds_BW, (0, 1))[:, self.places]
        more_BV = (odds_BV - self.usual).clamp(_LEAST_MORE, _MOST_MORE)
        return torch.where(self.places < len(self.head.words), more_BV, 0.0)


def concept_loss(absent_BW: Tensor, said_BW: Tensor) -> Tensor:
    """Binary cross-entropy in nats, summed over the concepts, the mean of the photos.

    Args:
        absent_BW: log(1 - P).
        said_BW: whether one of the photo's captions contains the word, float32 or bool.
    """
    present_BW = torch.log(-torch.expm1(absent_BW.clamp(max=-1e-6)))
    return -torch.where(said_BW > 0, present_BW, absent_BW).sum(1).mean()
