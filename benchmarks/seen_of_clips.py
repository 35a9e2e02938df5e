"""How well `seen` of a model for clips ranks the words of real clips that people say, too.

    negah calibrate negah-video --data flickr8k/ --data photos.csv --apart --output calibration
    python benchmarks/seen_of_clips.py negah-video calibration data/

A model for clips is calibrated on photographs, which it sees as clips of one frame; this measures
whether that holds for clips. ``data/`` holds ``msvd/`` with the clips and their captions. Printed
are areas under the ROC curve and the calibration error over content words, with intervals over
clips.
"""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import numpy as np

from negah import load
from negah.arrays import DoubleArray, IntArray
from negah.calibration.logistic import auc, calibration_error, interval
from negah.evidence.truth import Truth
from negah.faithfulness.measure import words_of
from negah.studies.evidence.clips import clips_beside
from negah.text import words


def main(model: str, calibration: str, data: str) -> None:
    """Caption the clips and print how their numbers rank."""
    captioner = load(model, calibration=calibration)
    rows: list[tuple[int, float, float, float]] = []
    below = whole = 0
    clips = clips_beside(Path(data))
    for number, example in enumerate(clips):
        caption = captioner.caption_clip(example.path)
        said = words_of(caption)
        truth = Truth.of(map(words, example.captions)).of_words([word.text for word in said])
        own = [
            (number, float(true), first.seen, first.logprob)
            for word, true in zip(said, truth, strict=True)
            if true is not None and (first := caption.words[word.first]).seen is not None
        ]
        rows += own
        whole += all(true for _, true, *_ in own)
        below += caption.confidence is not None and (
            caption.confidence < captioner.least_confidence(clips=True)
        )
        print(f"{caption.confidence or 0:.3f} {caption.text}", file=sys.stderr)
    clip_N, truth_N, seen_N, logprob_N = np.array(rows, np.float64).T

    def told(name: str, values: tuple[float, float, float]) -> None:
        print("{}: {:.3f} ({:.3f} to {:.3f})".format(name, *values))

    def area(scores_N: DoubleArray, some_N: IntArray) -> float:
        return auc(truth_N[some_N], scores_N[some_N])

    every_N, group_N = np.arange(len(rows)), clip_N.astype(np.int64)
    print(f"{len(rows)} content words of {len(clips)} clips, {truth_N.mean():.1%} said by people")
    for name, scores_N in (("seen", seen_N), ("log-probability", logprob_N)):
        found = interval(partial(area, scores_N), group_N)
        told(f"AUC of {name}", (area(scores_N, every_N), *found))
    gain = interval(lambda some: area(seen_N, some) - area(logprob_N, some), group_N)
    told("gain", (area(seen_N, every_N) - area(logprob_N, every_N), *gain))
    errors = interval(lambda some: calibration_error(truth_N[some], seen_N[some], 5), group_N)
    told("calibration error", (calibration_error(truth_N, seen_N, 5), *errors))
    print(f"mean seen {seen_N.mean():.3f}; captions all of whose words people say: {whole}")
    print(f"below the threshold of what is no photograph: {below} of {len(clips)}")


if __name__ == "__main__":
    main(*sys.argv[1:4])
