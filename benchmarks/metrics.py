"""How much faster the metrics are than pycocoevalcap, on the same captions in one run.

    python benchmarks/metrics.py [--images 40000] [--data FOLDER] [--json FILE]

Scores one caption for each image against five references: BLEU-1 to 4, ROUGE-L and CIDEr-D,
tokenisation included, here and with pycocoevalcap, each in a process of its own. Where there
is no Java, pycocoevalcap gets tokens and its tokenizer's time is left out of the comparison.
METEOR, where its data is installed, is measured on fewer images against the jar as pycocoevalcap
runs it; the last row is CIDEr-D as a training reward. The captions are those of Flickr30k, then
those of COCO in fives; hypotheses are references in which a quarter of the words are changed.
"""

from __future__ import annotations

import argparse
import contextlib
import gzip
import itertools
import json
import os
import platform
import random
import resource
import shutil
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parent.parent
REFERENCES = 5
#: Captions drawn for a batch of training: 64 images, five each.
REWARDS, REWARD_BATCH = 20_000, 320
BASIC = ["BLEU-1", "BLEU-2", "BLEU-3", "BLEU-4", "ROUGE-L", "CIDEr-D"]

Corpus = tuple[list[str], list[list[str]]]


def main() -> None:
    options = parse_arguments()
    if options.part:
        print(json.dumps(PARTS[options.part](options)))
        return
    measured = {part: run(part) for part in PARTS}
    rows = list(compared(measured))
    print(f"{options.images:,} images, {REFERENCES} references each")
    for row in rows:
        print("{what:44} {ours:>12} {theirs:>14} {ratio:>8}".format(**row))
    for metric, (ours, theirs) in agreement(measured).items():
        print(f"{metric:10} {ours:12.8f} {theirs:12.8f}  difference {abs(ours - theirs):.1e}")
    if options.json:
        stored = {
            "machine": platform.machine(),
            "cores": os.cpu_count(),
            "images": options.images,
            "references": REFERENCES,
            "measured": measured,
        }
        options.json.write_text(json.dumps(stored, indent=2) + "\n")


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    data = os.environ.get("NEGAH_DATA") or REPOSITORY.parent / "shared" / "data"
    parser.add_argument("--images", type=int, default=40_000, help="how many")
    parser.add_argument("--meteor-images", type=int, default=2_000, help="how many for METEOR")
    parser.add_argument("--data", type=Path, default=Path(data), help="holds text/")
    parser.add_argument("--json", type=Path, help="write the numbers to this file")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    return parser.parse_args()


def run(part: str) -> Any:
    """One part of the measurement, in a process of its own."""
    command = [sys.executable, __file__, *sys.argv[1:], "--part", part]
    # the Java of pycocoevalcap writes how fast it was to stderr
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def captions(data: Path, images: int) -> Corpus:
    """Hypotheses and references of the wanted number of images."""
    generator = random.Random(0)
    rows = list(itertools.islice(groups(data / "text"), images))
    if len(rows) < images:
        raise SystemExit(f"the captions in {data / 'text'} are enough for {len(rows)} images")
    words = sorted({word.strip('.,"') for row in rows[:1000] for word in row[0].lower().split()})
    hypotheses = []
    for row in rows:
        caption = generator.choice(row).split()
        changed = (generator.choice(words) if generator.random() < 0.25 else w for w in caption)
        hypotheses.append(" ".join(changed))
    return hypotheses, rows


def groups(text: Path) -> Iterator[list[str]]:
    """Five captions at a time."""
    by_image: dict[str, list[str]] = defaultdict(list)
    for name, caption in lines(text / "flickr30k_captions.tsv.gz"):
        by_image[name].append(caption)
    yield from (row for row in by_image.values() if len(row) == REFERENCES)
    others = (caption for _, caption in lines(text / "coco_captions.tsv.gz"))
    while len(row := list(itertools.islice(others, REFERENCES))) == REFERENCES:
        yield row


def lines(path: Path) -> Iterator[tuple[str, str]]:
    """The image and the caption of each line; a line without an image has an empty one."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        for line in file:
            name, _, caption = line.rstrip("\n").rpartition("\t")
            yield name.split("#")[0], caption


def timed(action: Callable[[], Any]) -> tuple[Any, dict[str, float]]:
    """What an action gives, its wall time, and the processor time of it and its children."""
    before, start = os.times(), time.perf_counter()
    result = action()
    wall, after = time.perf_counter() - start, os.times()
    return result, {"wall": wall, "cpu": sum(after[:4]) - sum(before[:4])}


def peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def ours(options: argparse.Namespace) -> dict[str, Any]:
    from negah.metrics import score
    from negah.text import words

    hypotheses, references = captions(options.data, options.images)
    base = peak_mb()
    words("The first caption pays for what is made ready once.")
    scores, total = timed(lambda: score(hypotheses, references, metrics=BASIC))
    peak = peak_mb()
    _, intervals = timed(lambda: scores.intervals())
    _, comparison = timed(lambda: scores.compare(scores))
    values = {metric: value / 100 for metric, value in scores.values.items()}
    return {
        "total": total,
        "intervals": intervals,
        "compare": comparison,
        "peak_mb": peak,
        "captions_mb": base,
        "values": values,
    }


def our_tokens(options: argparse.Namespace) -> dict[str, Any]:
    """Tokenising alone, in a process of its own because words seen before are remembered."""
    from negah.text import words

    hypotheses, references = captions(options.data, options.images)
    words("The first caption pays for what is made ready once.")
    every = [*hypotheses, *itertools.chain.from_iterable(references)]
    return timed(lambda: [words(caption) for caption in every])[1]


def theirs(options: argparse.Namespace) -> dict[str, Any]:
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider
    from pycocoevalcap.rouge.rouge import Rouge

    hypotheses, references = captions(options.data, options.images)
    measured: dict[str, Any] = {}
    with contextlib.redirect_stdout(sys.stderr):
        results, truth, measured["tokens"] = their_tokens(hypotheses, references)
        scored = {}
        for name, scorer in (("BLEU", Bleu(4)), ("ROUGE-L", Rouge()), ("CIDEr-D", Cider())):
            action = partial(scorer.compute_score, truth, results)
            (scored[name], _), measured[name] = timed(action)
    values = {metric: float(scored[metric]) for metric in ("ROUGE-L", "CIDEr-D")}
    values |= {f"BLEU-{order}": float(one) for order, one in enumerate(scored["BLEU"], 1)}
    return {**measured, "peak_mb": peak_mb(), "values": values}


def their_tokens(hypotheses: list[str], references: list[list[str]]) -> tuple[Any, Any, Any]:
    """Tokens by the Java tokenizer with its time, or by ours without one."""
    if shutil.which("java") is None:
        from negah.text import words

        rows = {i: [" ".join(words(c)) for c in row] for i, row in enumerate(references)}
        return {i: [" ".join(words(c))] for i, c in enumerate(hypotheses)}, rows, None
    from pycocoevalcap.tokenizer.ptbtokenizer import PTBTokenizer

    def both() -> tuple[Any, Any]:
        tokenizer = PTBTokenizer()
        given = {i: [{"caption": caption}] for i, caption in enumerate(hypotheses)}
        rows = {i: [{"caption": c} for c in row] for i, row in enumerate(references)}
        return tokenizer.tokenize(given), tokenizer.tokenize(rows)

    (results, truth), seconds = timed(both)
    return results, truth, seconds


def our_meteor(options: argparse.Namespace) -> dict[str, Any] | None:
    from negah.metrics import score
    from negah.metrics.meteor import load_meteor, meteor_available

    if not meteor_available():
        return None
    hypotheses, references = captions(options.data, options.meteor_images)
    _, start = timed(load_meteor)
    scores, total = timed(lambda: score(hypotheses, references, metrics=["METEOR"]))
    return {"start": start, "total": total, "value": scores["METEOR"] / 100, "peak_mb": peak_mb()}


def their_meteor(options: argparse.Namespace) -> dict[str, Any] | None:
    if shutil.which("java") is None:
        return None
    from pycocoevalcap.meteor.meteor import Meteor

    hypotheses, references = captions(options.data, options.meteor_images)
    with contextlib.redirect_stdout(sys.stderr):
        start = time.perf_counter()
        results, truth, _ = their_tokens(hypotheses, references)
        # the jar is a process that lives on, so its processor time cannot be taken here
        scorer = Meteor()
        value, _ = scorer.compute_score(truth, results)
    return {"total": {"wall": time.perf_counter() - start}, "value": value}


def rewards(options: argparse.Namespace) -> dict[str, Any]:
    from negah.metrics import CiderD
    from negah.text import words

    hypotheses, references = captions(options.data, min(options.images, REWARDS))
    tokens = [[" ".join(words(caption)) for caption in row] for row in references]
    drawn = [" ".join(words(caption)) for caption in hypotheses]
    scorer, prepare = timed(lambda: CiderD(tokens))

    def epoch() -> None:
        for first in range(0, len(drawn), REWARD_BATCH):
            batch = drawn[first : first + REWARD_BATCH]
            scorer.rewards(batch, range(first, first + len(batch)))

    _, seconds = timed(epoch)
    return {"captions": len(drawn), "prepare": prepare, "total": seconds}


PARTS: dict[str, Callable[[argparse.Namespace], Any]] = {
    "ours": ours,
    "our-tokens": our_tokens,
    "theirs": theirs,
    "our-meteor": our_meteor,
    "their-meteor": their_meteor,
    "rewards": rewards,
}


def compared(measured: dict[str, Any]) -> Iterator[dict[str, str]]:
    """The rows of the table, wall time in seconds."""
    yield {"what": "", "ours": "negah", "theirs": "pycocoevalcap", "ratio": "ratio"}
    own, other = measured["ours"], measured["theirs"]
    scoring = sum(other[name]["wall"] for name in ("BLEU", "ROUGE-L", "CIDEr-D"))
    total, tokens = own["total"]["wall"], measured["our-tokens"]["wall"]
    if other["tokens"]:
        yield row("tokenisation", tokens, other["tokens"]["wall"])
        yield row("BLEU, ROUGE-L, CIDEr-D", total - tokens, scoring)
        yield row("both", total, scoring + other["tokens"]["wall"])
    else:
        yield row("BLEU, ROUGE-L, CIDEr-D; tokenised before", total - tokens, scoring)
        yield row("tokenisation", tokens, None)
    yield row("intervals, 1,000 resamples", own["intervals"]["wall"], None)
    yield row("paired tests, 1,000 resamples", own["compare"]["wall"], None)
    yield row("peak memory, MB", own["peak_mb"], other["peak_mb"])
    mine, jar = measured["our-meteor"], measured["their-meteor"]
    if mine:
        theirs = jar["total"]["wall"] if jar else None
        yield row("METEOR with tokenisation, fewer images", mine["total"]["wall"], theirs)
    drawn = measured["rewards"]
    speed = drawn["captions"] / drawn["total"]["wall"]
    yield {"what": "rewards, captions/s", "ours": f"{speed:,.0f}", "theirs": "", "ratio": ""}


def row(what: str, own: float, other: float | None) -> dict[str, str]:
    theirs, ratio = ("", "") if other is None else (f"{other:.2f}", f"{other / own:.1f}")
    return {"what": what, "ours": f"{own:.2f}", "theirs": theirs, "ratio": ratio}


def agreement(measured: dict[str, Any]) -> dict[str, tuple[float, float]]:
    """The corpus scores of both, in the unit of pycocoevalcap."""
    own, other = measured["ours"]["values"], measured["theirs"]["values"]
    found = {metric: (own[metric], other[metric]) for metric in BASIC}
    if measured["our-meteor"] and measured["their-meteor"]:
        found["METEOR"] = (measured["our-meteor"]["value"], measured["their-meteor"]["value"])
    return found


if __name__ == "__main__":
    main()
