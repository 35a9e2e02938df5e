"""How well `seen` of a model for clips ranks the words of real clips that people say, too.

    negah calibrate negah-video --data flickr8k/ --data photos.csv --limit 300 --apart --output calibration
    python benchmarks/seen_of_clips.py negah-video calibration data/

A model for clips is calibrated on photographs, which it sees as clips of one frame; this measures
whether that holds for clips. ``data/`` holds ``msvd/`` with the clips and their captions. Printed
are areas under the ROC curve over content words of `seen`, and of each measure from which it is
computed (the lift over reference pictures among them), and the calibration error, with intervals
over clips.
"""  # noqa: E501

from __future__ import annotations

import sys
import time
from functools import partial
from pathlib import Path

import numpy as np

from negah import load
from negah.arrays import DoubleArray, IntArray
from negah.calibration.logistic import auc, bootstrap_interval, calibration_error
from negah.evidence.truth import Truth
from negah.runtime.clips import read_shot
from negah.runtime.shots import decode_shot
from negah.studies.evidence.clips import clips_beside
from negah.text import words

#: Of one frame to the next these say nothing.
_LEFT_OUT = ("thing", "person", "no_concept")


def main(model: str, calibration: str, data: str) -> None:
    """Caption the clips and print how their numbers rank."""
    captioner = load(model, calibration=calibration)
    backend, options = captioner.one_backend(clips=True), captioner.decoding_options({}, clips=True)
    judge = backend.sight.judge
    if judge is None:
        raise SystemExit(f"{calibration} calibrates no words")
    columns: dict[str, list[float]] = {}
    clip_n: list[int] = []
    true_n: list[bool] = []
    below = whole = 0
    clips = clips_beside(Path(data))
    for number, example in enumerate(clips):
        shot = read_shot(
            example.path, captioner.looks(None), None, max_pixels=captioner.options.max_pixels
        )
        found = decode_shot(shot, [backend], options, number, captioner.options.cores)
        best = [[found.hypotheses[0][0]]]
        concepts_BW = None if found.support is None else found.support.probabilities_BW
        measured = judge.measure(best, found.features_BFRC, concepts_BW)
        ((judged,),) = judge.judge(best, found.features_BFRC, concepts_BW)
        spelled = judge.spell(best[0][0])
        truths = Truth.of(map(words, example.captions)).of_words([one.text for one in spelled])
        true_at = {one.first: bool(true) for one, true in zip(spelled, truths, strict=True)}
        own = [true_at[place] for place in measured.place_N.tolist()]
        seen = [judged.seen[place] or 0.0 for place in measured.place_N.tolist()]
        columns.setdefault("seen", []).extend(seen)
        for name, values_N in measured.words.items():
            columns.setdefault(name, []).extend(values_N.tolist())
        clip_n += [number] * len(own)
        true_n += own
        whole += all(own)
        below += judged.doubted
        text = backend.tokenizer.decode(best[0][0].tokens)
        print(f"{judged.confidence:.3f} {text}", file=sys.stderr)
    group_N, truth_N = np.array(clip_n, np.int64), np.array(true_n, np.float64)
    _tell(group_N, truth_N, {name: np.array(own, np.float64) for name, own in columns.items()})
    print(f"of {len(clips)} clips: {whole} captions all of whose words people say, {below} below")
    print("the threshold of what is no photograph")
    print(f"processor time {time.process_time():.0f} s")


def _tell(group_N: IntArray, truth_N: DoubleArray, columns: dict[str, DoubleArray]) -> None:
    seen_N, logprob_N = columns["seen"], columns["logprob"]
    every_N = np.arange(len(truth_N))

    def told(name: str, values: tuple[float, float, float]) -> None:
        print("{}: {:.3f} ({:.3f} to {:.3f})".format(name, *values))

    def area(scores_N: DoubleArray, some_N: IntArray) -> float:
        some_N = some_N[np.isfinite(scores_N[some_N])]
        return auc(truth_N[some_N], scores_N[some_N])

    print(f"{len(truth_N)} content words, {truth_N.mean():.1%} said by people")
    for name, scores_N in columns.items():
        if name not in _LEFT_OUT and np.isfinite(scores_N).any():
            found = bootstrap_interval(partial(area, scores_N), group_N)
            told(f"AUC of {name}", (area(scores_N, every_N), *found))
    gain = bootstrap_interval(lambda some: area(seen_N, some) - area(logprob_N, some), group_N)
    told("gain", (area(seen_N, every_N) - area(logprob_N, every_N), *gain))
    errors = bootstrap_interval(
        lambda some: calibration_error(truth_N[some], seen_N[some], 5), group_N
    )
    told("calibration error", (calibration_error(truth_N, seen_N, 5), *errors))
    print(f"mean seen {seen_N.mean():.3f}")


if __name__ == "__main__":
    main(*sys.argv[1:4])
