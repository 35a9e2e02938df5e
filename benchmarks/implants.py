"""Whether a classifier's weights tell what things look like of which there are photos.

For every word of the list of classes that enough captions say, the features of the photos that
show it less those of the others (what really changes) are compared with the implants of its
classes (what the weights of the classifier say would change): by their cosine, and by how many of
the thousand classes come closer to the real change than the best of the word's own. The covariance
that implants take into account is measured on the photos that do *not* show the word.

    python benchmarks/implants.py --data flickr8k/ --data coco/captions.csv --features features

Axes: N photos, L classes, C channels.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch

from negah.data import SplitPolicy, load_datasets
from negah.data.restyle import meant
from negah.data.storyboards import load_lexicon
from negah.models import EncoderOptions, load_encoder
from negah.models.backbones import load_classifier
from negah.training.features import FeatureFolder, item_of, prepare_features
from negah.training.implants import Implants

#: So many of the thousand are called a find.
NEAR = 10


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--features", type=Path, default=Path("features"))
    parser.add_argument("--encoder", default="efficientnet-lite2")
    parser.add_argument("--fewest", type=int, default=30, help="photos of a word")
    arguments = parser.parse_args()
    examples = load_datasets(arguments.data, split=SplitPolicy()).split("train")
    encoder = load_encoder(EncoderOptions(name=arguments.encoder))
    views = prepare_features(
        encoder,
        examples,
        FeatureFolder(arguments.features),
        flips=False,
        device=torch.device("cpu"),
    )
    store = views["plain"]
    shown = [example for example in examples if store.row(item_of(example)) is not None]
    rows = store.rows([item_of(example) for example in shown])
    means_NC = np.concatenate(
        [
            store.read(rows[first : first + 256]).astype(np.float32).mean(1)
            for first in range(0, len(rows), 256)
        ]
    )
    weights_LC = load_classifier(arguments.encoder, "auto").numpy()
    said = [frozenset[str]().union(*map(meant, example.captions)) for example in shown]
    print(f"{arguments.encoder}, {len(shown):,} photos")
    print("| word | photos | cosine | classes that come closer |\n|---|--:|--:|--:|")
    cosines, places = [], []
    for stem, classes in load_lexicon().items():
        with_N = np.array([stem in words for words in said])
        if with_N.sum() < arguments.fewest:
            continue
        real_C = means_NC[with_N].mean(0) - means_NC[~with_N].mean(0)
        implants = Implants.of(weights_LC, [means_NC[~with_N][:, None]])
        norms_L = np.linalg.norm(implants.directions_LC, axis=1) * np.linalg.norm(real_C)
        cosines_L = implants.directions_LC @ real_C / norms_L
        best = float(cosines_L[list(classes)].max())
        closer = int((cosines_L > best).sum())
        cosines.append(best)
        places.append(closer)
        print(f"| {stem} | {with_N.sum()} | {best:.2f} | {closer} |", flush=True)
    found = sum(place < NEAR for place in places)
    print(
        f"{len(places)} words: median cosine {np.median(cosines):.2f}; one of a word's own classes "
        f"is among the {NEAR} closest of 1,000 for {found}, the closest for {places.count(0)}"
    )


if __name__ == "__main__":
    main()
