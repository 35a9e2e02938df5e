"""How much a model gains from seeing several frames of a clip.

The same model captions the same clips four times: with its own number of frames, with twice as
many, with the middle frame alone, and with the mean of its frames' features in place of
attention to them. CIDEr-D takes its document frequencies from all captions of the training part,
also of clips that are not there, since those of a handful of clips would say little.

    python benchmarks/clips.py [MODEL] --data msvd/

Axes: F frames, R regions, C channels.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from pathlib import Path

import numpy as np

from negah.data import Example, load_dataset
from negah.decoding import decode
from negah.media.sampling import Sampling, sample
from negah.media.videos import open_clip
from negah.metrics import DocumentFrequencies, Scores, score
from negah.runtime import Captioner, OnnxEncoder, OnnxStepModel, find_bundle

SENTENCES = "sents_train_lc_nopunc.txt"
METRICS = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?", help="a bundle; the bundled model for clips")
    parser.add_argument("--data", type=Path, required=True, help="MSVD, as negah data reads it")
    parser.add_argument("--show", action="store_true", help="print the captions too")
    arguments = parser.parse_args()
    captioner = Captioner(find_bundle(arguments.model, clips=True))
    examples = [e for e in load_dataset(arguments.data).examples if e.is_clip and e.span is None]
    frequencies = DocumentFrequencies.of(sentences(arguments.data))
    frames = captioner.bundle.config.clip_frames
    systems = {
        "the middle frame": captions(captioner, examples, 1),
        f"the mean of {max(frames, 8)} frames": captions(captioner, examples, max(frames, 8), True),
        f"{frames} frames": captions(captioner, examples, frames),
        f"{2 * frames} frames": captions(captioner, examples, 2 * frames),
    }
    references = {example.name: list(example.captions) for example in examples}
    print(f"{captioner.bundle.config.name}, {len(examples)} clips of {arguments.data.name}")
    print("| the model sees | " + " | ".join(METRICS) + " | CIDEr-D against the middle frame |")
    print("|---" * (len(METRICS) + 2) + "|")
    first: Scores | None = None
    for name, found in systems.items():
        scores = score(found, references, metrics=METRICS, frequencies=frequencies)
        cells = [f"{scores[metric]:.1f}" for metric in METRICS]
        cells.append(against(scores, first))
        first = first or scores
        print(f"| {name} | {' | '.join(cells)} |")
    if arguments.show:
        for example in examples:
            print(f"\n{example.name} ({example.captions[0]})")
            for name, found in systems.items():
                print(f"  {name:24}{found[example.name]}")


def sentences(folder: Path) -> list[list[str]]:
    """The captions of every clip of the training part, there or not."""
    found: dict[str, list[str]] = defaultdict(list)
    for line in (folder / SENTENCES).read_text(encoding="utf-8").splitlines():
        clip, _, sentence = line.partition("\t")
        found[clip].append(sentence)
    return list(found.values())


def captions(
    captioner: Captioner, examples: list[Example], frames: int, mean: bool = False
) -> dict[str, str]:
    """One caption of each clip; with ``mean``, of the mean feature of its frames."""
    if not mean:
        return {e.name: captioner.caption_clip(e.path, frames=frames).text for e in examples}
    found = {}
    bundle = captioner.bundle
    encoder, model = OnnxEncoder(bundle), OnnxStepModel(bundle)
    for example in examples:
        seen = sample(open_clip(example.path), Sampling(frames=frames))
        pixels = bundle.config.preprocessing.to_pixels_NCHW([frame.image for frame in seen])
        features_BFRC = encoder.encode(pixels).mean(0, dtype=np.float32)[None, None]
        ((best, *_),) = decode(
            model, features_BFRC, bundle.config.decoding, tokens=bundle.tokenizer.tokens
        )
        found[example.name] = bundle.tokenizer.decode(best.tokens)
    return found


def against(scores: Scores, first: Scores | None) -> str:
    """The difference with its interval."""
    if first is None:
        return ""
    found = scores.compare(first, seed=0)["CIDEr-D"]
    return f"{found.difference:+.1f} ({found.low:+.1f} to {found.high:+.1f})"


if __name__ == "__main__":
    main()
