"""Output layers: hidden states -> the loss of their words, and log-probabilities of all words.

Three ways to learn the same prediction. :class:`FullSoftmax` scores every word, always.
:class:`AdaptiveSoftmax` scores frequent words, and groups of rare words only if needed (Grave et
al., "Efficient softmax approximation for GPUs", ICML 2017). :class:`NegativeSampling` learns one
sigmoid for the true word and k for randomly drawn words (Mikolov et al., "Distributed
Representations of Words and Phrases and their Compositionality", NIPS 2013), but has to score every
word when decoding.

Axes: N words, D hidden size, V vocabulary, S drawn words (k of them).
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from negah.errors import UnknownNameError, UsageError
from negah.studies.output_layer.study import ADAPTIVE, FULL, NEGATIVE
from negah.text import PAD, SOS

#: The output layers by name.
OUTPUT_LAYERS = (FULL, ADAPTIVE, NEGATIVE)


class OutputLayer(nn.Module):
    """A layer that predicts a word from the hidden state.

    Attributes:
        vocabulary_size: V.
    """

    vocabulary_size: int

    @abstractmethod
    def loss(self, hidden_ND: Tensor, targets_N: Tensor) -> Tensor:
        """The training loss, the mean over words; nats per word for the two softmaxes.

        Args:
            hidden_ND: hidden states.
            targets_N: the true words, int64.
        """

    @abstractmethod
    def log_probabilities(self, hidden_ND: Tensor) -> Tensor:
        """Of every word in nats, (N, V); each row is the logarithm of a distribution."""


class FullSoftmax(OutputLayer):
    """A linear layer and a softmax over all V words: N D V multiply-adds.

    Args:
        hidden_size: D.
        vocabulary_size: V.
    """

    def __init__(self, hidden_size: int, vocabulary_size: int) -> None:
        super().__init__()
        self.vocabulary_size = vocabulary_size
        self.scores = nn.Linear(hidden_size, vocabulary_size)
        nn.init.zeros_(self.scores.bias)

    def loss(self, hidden_ND: Tensor, targets_N: Tensor) -> Tensor:
        """Cross-entropy."""
        return F.cross_entropy(self.scores(hidden_ND), targets_N)

    def log_probabilities(self, hidden_ND: Tensor) -> Tensor:
        """(See the base class.)"""
        return F.log_softmax(self.scores(hidden_ND), dim=-1)


class AdaptiveSoftmax(OutputLayer):
    """A softmax over frequent words and clusters of rare ones, and one within each cluster.

    p(w) = p(cluster of w) p(w in its cluster). A cluster costs only where the true word is in
    it, and cluster i works with D / divide^i numbers of the hidden state instead of D.

    Args:
        hidden_size: D.
        vocabulary_size: V.
        cutoffs: where clusters begin, rising ids between 1 and V - 1; words must be numbered by
            falling count, as our vocabularies are after their four specials
            (:func:`cutoffs_by_count`).
        divide: how much smaller the projection of each next cluster is.

    Raises:
        UsageError: cutoffs that are not rising or not inside the vocabulary, or more clusters
            than D can be divided for.
    """

    def __init__(
        self, hidden_size: int, vocabulary_size: int, cutoffs: Sequence[int], divide: float = 4.0
    ) -> None:
        super().__init__()
        if not cutoffs or [*cutoffs] != sorted({*cutoffs} & {*range(1, vocabulary_size)}):
            raise UsageError(
                f"cutoffs are rising numbers between 1 and {vocabulary_size - 1} for "
                f"{vocabulary_size} words, not {[*cutoffs]}"
            )
        if hidden_size < divide ** len(cutoffs):
            raise UsageError(
                f"{len(cutoffs)} clusters divide a hidden size of {hidden_size} by {divide:g} once "
                "each, which leaves nothing; give fewer cutoffs or a smaller divide"
            )
        self.vocabulary_size = vocabulary_size
        self.layer = nn.AdaptiveLogSoftmaxWithLoss(
            hidden_size, vocabulary_size, [*cutoffs], div_value=divide, head_bias=True
        )

    def loss(self, hidden_ND: Tensor, targets_N: Tensor) -> Tensor:
        """Cross-entropy, computed in the clusters that hold true words."""
        loss: Tensor = self.layer(hidden_ND, targets_N).loss
        return loss

    def log_probabilities(self, hidden_ND: Tensor) -> Tensor:
        """(See the base class.) All clusters are needed here."""
        return self.layer.log_prob(hidden_ND)


class NegativeSampling(OutputLayer):
    """A sigmoid for the true word against k for words drawn from the noise.

    The loss of a word w after the hidden state h (Mikolov et al. 2013, equation 4), with k words
    w_i drawn from the noise q, counts to the power of 3/4 by default:

        -log sigma(s(w, h)) - sum_i log sigma(-s(w_i, h)),  s(w, h) = w . h + b_w

    It is lowest where s(w, h) = log p(w | h) - log(k q(w)) (Levy and Goldberg 2014): the scores
    are log-probabilities from which the noise has been taken. Decoding must therefore add
    log q(w) again (``restore_noise``), else it prefers rare words. The sum is noise-contrastive
    estimation's score (Mnih and Teh 2012) up to a constant, and like there it normalises itself
    only approximately: :meth:`log_normaliser` says how well, and :meth:`log_probabilities` divides.

    A drawn word may be the true one, as in the formula; word2vec's program skips such draws,
    which moves the optimum to log p / (1 - p) - log(k q).

    Args:
        hidden_size: D.
        counts_V: how often each word stands in the training captions. What stands there never
            counts as one, but ``<PAD>`` and ``<SOS>``, which are never predicted, as none.
        samples: k.
        power: of the counts in the noise.
        restore_noise: whether log-probabilities are of s + log q, or of s alone.
        sparse: gradients of the rows that were used alone, for an optimizer that takes them
            (``torch.optim.SparseAdam``); else a step updates all V rows.

    Raises:
        UsageError: fewer than one sample.
    """

    noise_V: Tensor
    cumulative_V: Tensor
    shift_V: Tensor

    def __init__(
        self,
        hidden_size: int,
        counts_V: Tensor,
        *,
        samples: int = 20,
        power: float = 0.75,
        restore_noise: bool = True,
        sparse: bool = False,
    ) -> None:
        super().__init__()
        if samples < 1:
            raise UsageError(f"negative sampling draws 1 word or more for each, not {samples}")
        self.vocabulary_size = len(counts_V)
        self.samples = samples
        weights_V = counts_V.double().clamp(min=1).pow(power)
        weights_V[[PAD, SOS]] = 0
        noise_V = weights_V / weights_V.sum()
        self.register_buffer("noise_V", noise_V)
        self.register_buffer("cumulative_V", noise_V.cumsum(0))
        self.register_buffer("shift_V", noise_V.log().float())
        self.restore_noise = restore_noise
        # rows that only lookups touch: a linear layer's gradient would be of all of them
        self.words = nn.Embedding(self.vocabulary_size, hidden_size, sparse=sparse)
        self.bias = nn.Embedding(self.vocabulary_size, 1, sparse=sparse)
        bound = hidden_size**-0.5
        nn.init.uniform_(self.words.weight, -bound, bound)
        nn.init.zeros_(self.bias.weight)

    def loss(self, hidden_ND: Tensor, targets_N: Tensor) -> Tensor:
        """(See the class.) Not nats a word, and not comparable with a softmax's."""
        return self.loss_against(hidden_ND, targets_N, self.draw(len(targets_N)))

    def draw(self, words: int) -> Tensor:
        """Words of the noise for each of N words, int64 (N, S)."""
        device = self.cumulative_V.device
        chosen_NS = torch.rand(words, self.samples, dtype=torch.float64, device=device)
        # the last sum may be a rounding below 1
        return torch.searchsorted(self.cumulative_V, chosen_NS, right=True).clamp(
            max=self.vocabulary_size - 1
        )

    def loss_against(self, hidden_ND: Tensor, targets_N: Tensor, drawn_NS: Tensor) -> Tensor:
        """The loss with given words of the noise."""
        ids_NX = torch.cat([targets_N[:, None], drawn_NS], dim=1)
        products_NX = torch.einsum("nxd,nd->nx", self.words(ids_NX), hidden_ND)
        scores_NX = products_NX + self.bias(ids_NX).squeeze(-1)
        # -log sigma(s) = softplus(-s)
        return (F.softplus(-scores_NX[:, 0]) + F.softplus(scores_NX[:, 1:]).sum(1)).mean()

    def log_probabilities(self, hidden_ND: Tensor) -> Tensor:
        """(See the base class.) ``<PAD>`` and ``<SOS>``, which never learn, get none (-inf)."""
        scores_NV = self._scores(hidden_ND)
        if self.restore_noise:
            scores_NV = scores_NV + self.shift_V
        else:
            scores_NV = scores_NV.masked_fill(self.noise_V == 0, -torch.inf)
        return F.log_softmax(scores_NV, dim=-1)

    def log_normaliser(self, hidden_ND: Tensor) -> Tensor:
        """log sum_w k q(w) exp s(w, h), (N,): 0 where the scores normalise themselves."""
        shifted_NV = self._scores(hidden_ND) + self.shift_V
        return shifted_NV.logsumexp(-1) + torch.tensor(float(self.samples)).log()

    def _scores(self, hidden_ND: Tensor) -> Tensor:
        return F.linear(hidden_ND, self.words.weight, self.bias.weight.squeeze(-1))


def cutoffs_by_count(counts_V: Tensor, shares: Sequence[float] = (0.8, 0.95)) -> list[int]:
    """Where clusters begin: each is reached when the words before it make up a share of the text.

    Args:
        counts_V: how often each word stands there, in the order of ids.
        shares: rising, between 0 and 1.

    Returns:
        Rising ids between 1 and V - 1; fewer than shares where those fall together.
    """
    cumulative_V = counts_V.double().cumsum(0)
    wanted_S = torch.tensor([*shares], dtype=torch.float64) * cumulative_V[-1]
    found_S = torch.searchsorted(cumulative_V, wanted_S) + 1
    return sorted({int(at) for at in found_S.clamp(1, len(counts_V) - 1)})


def make_output_layer(name: str, hidden_size: int, counts_V: Tensor) -> OutputLayer:
    """An output layer by name, with the settings of its paper.

    Args:
        name: one of :data:`OUTPUT_LAYERS`.
        hidden_size: D.
        counts_V: how often each word stands in the training captions, in the order of ids.

    Raises:
        UnknownNameError: no such output layer.
    """
    if name == FULL:
        return FullSoftmax(hidden_size, len(counts_V))
    if name == ADAPTIVE:
        return AdaptiveSoftmax(hidden_size, len(counts_V), cutoffs_by_count(counts_V))
    if name == NEGATIVE:
        return NegativeSampling(hidden_size, counts_V)
    raise UnknownNameError("output layer", name, OUTPUT_LAYERS)
