"""How much a model gains from seeing several frames of a clip.

The same model captions the same clips four times: with its own number of frames, with twice as
many, with the middle frame alone, and with the mean of its frames' features in place of
attention to them. CIDEr-D takes its document frequencies from all captions of the training part,
including clips that are not available, because those of a few clips would be unreliable. A few
captions are also too few to rank models, so the table includes the negative log-likelihood of a
word of the references, including the end of the sentence, in nats. Unknown words are left out, so
models with different vocabularies are comparable only over the words that both know: --words-of.
Intervals (95%) are over clips.

    python benchmarks/clips.py [MODEL] --data msvd/ [--words-of OTHER]

Axes: B clips, F frames, R regions, C channels, K references of a clip, T words.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from negah.arrays import FloatArray
from negah.backends import Encoded
from negah.bundle import read_bundle
from negah.data import Example, load_dataset
from negah.decoding import DecodingOptions
from negah.media.sampling import Sampling, sample
from negah.media.videos import open_clip
from negah.metrics import DocumentFrequencies, Scores, score
from negah.runtime import Captioner, OnnxBackend, find_bundle
from negah.runtime.stages import decode_features, support_of
from negah.text import EOS, PAD, SOS, UNK

SENTENCES = "sents_train_lc_nopunc.txt"
METRICS = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", help="a bundle; the bundled model for clips")
    parser.add_argument("--data", type=Path, required=True, help="MSVD, as negah data reads it")
    parser.add_argument("--words-of", help="count only words that this bundle knows, too")
    parser.add_argument("--support", type=float, help="of the decoding, instead of the bundle's")
    parser.add_argument("--show", action="store_true", help="print the captions too")
    arguments = parser.parse_args()
    captioner = Captioner(find_bundle(arguments.model, clips=True))
    examples = [e for e in load_dataset(arguments.data).examples if e.is_clip and e.span is None]
    frequencies = DocumentFrequencies.of(sentences(arguments.data))
    frames = captioner.backend.sight.clip_frames
    usual = max(frames, 8)
    systems = {
        "the middle frame": (1, False),
        f"the mean of {usual} frames": (usual, True),
        f"{frames} frames": (frames, False),
        f"{2 * frames} frames": (2 * frames, False),
    }
    words: set[str] | None = None
    if arguments.words_of:
        words = {*read_bundle(find_bundle(arguments.words_of)).tokenizer.tokens}
    changes = {"support": arguments.support} if arguments.support is not None else {}
    seen = Seen(captioner, examples, captioner.decoding_options(changes, clips=True), words)
    references = {example.name: list(example.captions) for example in examples}
    print(f"{captioner.backend.identity.name}, {len(examples)} clips of {arguments.data.name}")
    columns = [
        "the model sees", *METRICS, "CIDEr-D less the middle frame's", "nats a word",
        "less the middle frame's",
    ]  # fmt: skip
    print(f"| {' | '.join(columns)} |")
    print("|---" * len(columns) + "|")
    first: Scores | None = None
    nats: list[tuple[float, int]] | None = None
    captions = {}
    found: dict[str, tuple[Scores, list[tuple[float, int]]]] = {}
    for name, (count, mean) in systems.items():
        captions[name] = seen.captions(count, mean)
        scores = score(captions[name], references, metrics=METRICS, frequencies=frequencies)
        likelihoods = seen.nats(count, mean)
        cells = [f"{scores[metric]:.1f}" for metric in METRICS]
        cells += [against(scores, first), f"{per_word(likelihoods):.3f}"]
        cells.append("" if nats is None else difference(likelihoods, nats))
        first, nats = first or scores, nats or likelihoods
        found[name] = scores, likelihoods
        print(f"| {name} | {' | '.join(cells)} |", flush=True)
    (_, (averaged, spread), (attending, weighed), _) = found.values()
    print(
        f"{frames} frames less the mean: CIDEr-D {against(attending, averaged)}, nats a word "
        f"{difference(weighed, spread)}"
    )
    if arguments.show:
        for example in examples:
            print(f"\n{example.name} ({example.captions[0]})")
            for name, texts in captions.items():
                print(f"  {name:24}{texts[example.name]}")


def sentences(folder: Path) -> list[list[str]]:
    """The captions of every clip of the training part, there or not."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in (folder / SENTENCES).read_text(encoding="utf-8").splitlines():
        clip, _, sentence = line.partition("\t")
        found[clip].append(sentence)
    return list(found.values())


class Seen:
    """What a model says of clips, and how likely it thinks what people said.

    Args:
        captioner: with one model.
        examples: clips with references.
        decoding: of the captions.
        words: that count, if the model knows them; None for all.
    """

    def __init__(
        self,
        captioner: Captioner,
        examples: list[Example],
        decoding: DecodingOptions,
        words: set[str] | None = None,
    ) -> None:
        assert isinstance(captioner.backend, OnnxBackend)
        self.backend = captioner.backend
        self.bundle = self.backend.bundle
        self.examples = examples
        self.decoding = decoding
        tokens = self.bundle.tokenizer.tokens
        self.counts_V = np.array([words is None or token in words for token in tokens])
        self.counts_V[[PAD, UNK]] = False
        self.model = self.backend.model
        self.encoded: dict[tuple[str, int], Encoded] = {}

    def captions(self, frames: int, mean: bool) -> dict[str, str]:
        """One caption of each clip; with ``mean``, of the mean feature of its frames."""
        found, one = {}, [self.backend]
        for example in self.examples:
            concepts_FW = self._encoded(example, frames).concepts
            # as of a clip: a concept is that of its most certain frame
            surest_BW = None if concepts_FW is None else concepts_FW.max(0)[None]
            features_1FRC = self._features(example, frames, mean)
            support = support_of(one, [surest_BW])
            captions = decode_features(one, [features_1FRC], support, self.decoding, [0]).hypotheses
            found[example.name] = self.bundle.tokenizer.decode(captions[0][0].tokens)
        return found

    def nats(self, frames: int, mean: bool) -> list[tuple[float, int]]:
        """The negative log-likelihood of each clip's references, and their words."""
        return [
            self._nats(self._features(example, frames, mean), example.captions)
            for example in self.examples
        ]

    def _nats(self, features_1FRC: FloatArray, references: tuple[str, ...]) -> tuple[float, int]:
        ids = [self.bundle.tokenizer.encode(reference) for reference in references]
        inputs_KT = np.full((len(ids), max(map(len, ids)) + 1), PAD, dtype=np.int64)
        targets_KT = inputs_KT.copy()
        for row, words in enumerate(ids):
            inputs_KT[row, : len(words) + 1] = [SOS, *words]
            targets_KT[row, : len(words) + 1] = [*words, EOS]
        state = self.model.start(features_1FRC)
        state = self.model.reorder(state, np.zeros((1, len(ids)), dtype=np.int64))
        total, count = 0.0, 0
        for t in range(inputs_KT.shape[1]):
            step = self.model.step(state, inputs_KT[None, :, t])
            state, targets_K = step.state, targets_KT[:, t]
            known_K = self.counts_V[targets_K]
            total -= float(step.logprobs[0, known_K, targets_K[known_K]].sum())
            count += int(known_K.sum())
        return total, count

    def _features(self, example: Example, frames: int, mean: bool) -> FloatArray:
        features_1FRC = self._encoded(example, frames).features[None]
        return features_1FRC.mean(1, keepdims=True, dtype=np.float32) if mean else features_1FRC

    def _encoded(self, example: Example, frames: int) -> Encoded:
        key = (example.name, frames)
        if key not in self.encoded:
            seen = sample(open_clip(example.path), Sampling(frames=frames))
            images = [frame.image for frame in seen]
            self.encoded[key] = self.backend.encode(self.backend.pixels(images))
        return self.encoded[key]


def per_word(nats: list[tuple[float, int]]) -> float:
    """Nats over words, all clips together."""
    return sum(total for total, _ in nats) / sum(count for _, count in nats)


def difference(nats: list[tuple[float, int]], others: list[tuple[float, int]]) -> str:
    """How much less one is than the other, with an interval of 10,000 draws of clips."""
    found_N, others_N = np.array(nats), np.array(others)
    draws_SN = np.random.default_rng(0).integers(len(nats), size=(10_000, len(nats)))
    ratios_S = [part[draws_SN].sum(1) for part in (found_N, others_N)]
    differences_S = ratios_S[0][:, 0] / ratios_S[0][:, 1] - ratios_S[1][:, 0] / ratios_S[1][:, 1]
    low, high = np.quantile(differences_S, (0.025, 0.975))
    return f"{per_word(nats) - per_word(others):+.3f} ({low:+.3f} to {high:+.3f})"


def against(scores: Scores, first: Scores | None) -> str:
    """The difference with its interval."""
    if first is None:
        return ""
    found = scores.compare(first, seed=0)["CIDEr-D"]
    return f"{found.difference:+.1f} ({found.low:+.1f} to {found.high:+.1f})"


if __name__ == "__main__":
    main()
