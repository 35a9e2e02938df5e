"""METEOR without Java against ``meteor-1.5.jar``: agreement, and the frozen values of the tests.

    python benchmarks/meteor_oracle.py [--data FOLDER] [--number 1000] [--report FILE]
    python benchmarks/meteor_oracle.py --freeze

Needs Java and ``pycocoevalcap``. Hypotheses are made from the references of Flickr8k, MSVD and
MSR-VTT: one human caption against the rest of its image or clip, whole, from another one, cut,
shuffled and doubled. The jar gets the lines that ``pycocoevalcap`` sends it.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

from negah.files import write_text
from negah.metrics.meteor import load_meteor
from negah.metrics.meteor.data import find_sources
from negah.text import words

ROOT = Path(__file__).resolve().parent.parent
FROZEN = ROOT / "tests" / "oracles" / "meteor.json"
Row = tuple[list[str], list[list[str]]]
KINDS = ("right", "other", "cut", "shuffled", "doubled")
FROZEN_PER_CELL = 16


def flickr8k(root: Path) -> list[list[str]]:
    captions: dict[str, list[str]] = {}
    for line in (root / "flickr8k/Flickr8k.token.txt").read_text("utf-8").splitlines():
        name, caption = line.split("\t", 1)
        captions.setdefault(name.split("#")[0], []).append(caption)
    return list(captions.values())


def msvd(root: Path) -> list[list[str]]:
    captions: dict[str, list[str]] = {}
    for line in (root / "msvd/sents_test_lc_nopunc.txt").read_text("utf-8").splitlines():
        name, caption = line.split("\t", 1)
        captions.setdefault(name, []).append(caption)
    return list(captions.values())


def msrvtt(root: Path) -> list[list[str]]:
    captions: dict[str, list[str]] = {}
    for row in json.loads((root / "msrvtt/val_videodatainfo.json").read_text("utf-8"))["sentences"]:
        captions.setdefault(row["video_id"], []).append(row["caption"])
    return list(captions.values())


SETS: dict[str, Callable[[Path], list[list[str]]]] = {
    "Flickr8k": flickr8k,
    "MSVD": msvd,
    "MSR-VTT": msrvtt,
}


def rows_of(groups: list[list[str]], kind: str, number: int, seed: int) -> list[Row]:
    """Hypotheses of one kind, each with up to five references, tokenised."""
    generator = random.Random(f"{seed} {kind}")
    groups = [group for group in groups if len(group) >= 4]
    found = []
    for group in generator.sample(groups, min(number, len(groups))):
        captions = [words(caption) for caption in generator.sample(group, min(6, len(group)))]
        hypothesis, references = captions[0], captions[1:]
        if kind == "other":
            hypothesis = words(generator.choice(generator.choice(groups)))
        elif kind == "cut":
            hypothesis = hypothesis[: generator.randint(0, 6)]
        elif kind == "shuffled":
            hypothesis = generator.sample(hypothesis, len(hypothesis))
        elif kind == "doubled":
            hypothesis = hypothesis * 2
        found.append((hypothesis, references))
    return found


class Jar:
    """The published program, asked as ``pycocoevalcap`` asks it."""

    def __init__(self) -> None:
        sources = find_sources()
        if sources is None:
            raise SystemExit("pycocoevalcap is not installed")
        self._process = subprocess.Popen(
            [
                "java",
                "-Xmx2G",
                "-Dfile.encoding=UTF-8",
                "-jar",
                sources.archive.name,
                "-",
                "-",
                "-stdio",
                "-l",
                "en",
                "-norm",
            ],
            cwd=sources.archive.parent,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            encoding="utf-8",
        )

    def score(self, rows: Iterable[Row]) -> tuple[float, np.ndarray]:
        """The corpus score and each hypothesis's."""
        statistics = []
        for hypothesis, references in rows:
            parts = [*(" ".join(caption) for caption in references), " ".join(hypothesis)]
            statistics.append(self._ask(" ||| ".join(["SCORE", *parts])))
        first = self._ask(" ||| ".join(["EVAL", *statistics]))
        scores = [float(first), *(float(self._line()) for _ in statistics)]
        return scores[-1], np.array(scores[:-1])

    def _ask(self, line: str) -> str:
        assert self._process.stdin is not None
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return self._line()

    def _line(self) -> str:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit("the jar has ended; is Java installed?")
        return line.strip()

    def close(self) -> None:
        """End the program."""
        self._process.terminate()
        self._process.wait(timeout=30)


def report_line(
    name: str, ours: np.ndarray, theirs: np.ndarray, totals: tuple[float, float]
) -> str:
    difference = np.abs(ours - theirs)
    return (
        f"| {name} | {len(ours):,} | {100 * np.mean(difference <= 1e-6):.2f}% |"
        f" {100 * np.mean(difference <= 1e-2):.2f}% | {difference.max():.4f} |"
        f" {totals[1]:.6f} | {totals[0]:.6f} | {totals[0] - totals[1]:+.1e} |"
    )


HEADER = """\
| hypotheses | captions | equal to 1e-6 | to 1e-2 | largest | jar, corpus | ours | difference |
|---|---|---|---|---|---|---|---|"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--number", type=int, default=1000, help="hypotheses of each set and kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--report", type=Path, help="write the table here too")
    parser.add_argument("--freeze", action="store_true", help="write the tests' values instead")
    parser.add_argument(
        "--differences", type=Path, help="write the captions that differ, JSON lines"
    )
    options = parser.parse_args()
    jar, meteor = Jar(), load_meteor()
    if options.freeze:
        freeze(jar, options)
        return
    lines, seconds = [HEADER], {"jar": 0.0, "ours": 0.0}
    everything: list[Any] = []
    differing = []
    for name, read in SETS.items():
        groups = read(options.data)
        for kind in KINDS:
            rows = rows_of(groups, kind, options.number, options.seed)
            started = time.perf_counter()
            total, theirs = jar.score(rows)
            seconds["jar"] += time.perf_counter() - started
            started = time.process_time()
            score = meteor.score([row[0] for row in rows], [row[1] for row in rows])
            seconds["ours"] += time.process_time() - started
            ours = score.per_caption
            lines.append(report_line(f"{name}, {kind}", ours, theirs, (score.corpus, total)))
            everything += zip(rows, ours, theirs, strict=True)
            print(lines[-1], flush=True)
    total, theirs = jar.score([row for row, _, _ in everything])
    score = meteor.score([row[0] for row, _, _ in everything], [row[1] for row, _, _ in everything])
    lines.append(report_line("all", score.per_caption, theirs, (score.corpus, total)))
    jar.close()
    print("\n".join(lines))
    print(f"seconds: {seconds}")
    if options.report:
        write_text(options.report, "\n".join(lines) + "\n")
    if options.differences:
        for (hypothesis, references), ours, theirs in everything:
            if abs(ours - theirs) > 1e-6:
                differing.append(json.dumps([hypothesis, references, ours, theirs]))
        write_text(options.differences, "\n".join(differing) + "\n")


def freeze(jar: Jar, options: argparse.Namespace) -> None:
    """A few captions of every set and kind with the jar's scores, and their corpus score."""
    rows = [
        row
        for read in SETS.values()
        for kind in KINDS
        for row in rows_of(read(options.data), kind, FROZEN_PER_CELL, options.seed + 1)
    ]
    corpus, scores = jar.score(rows)
    jar.close()
    lines = [
        json.dumps(
            {
                "hypothesis": " ".join(hypothesis),
                "references": list(map(" ".join, captions)),
                "score": score,
            }
        )
        for (hypothesis, captions), score in zip(rows, scores.tolist(), strict=True)
    ]
    text = '{"jar": "meteor-1.5.jar -l en -norm",\n"corpus": ' + repr(corpus) + ',\n"captions": [\n'
    write_text(FROZEN, text + ",\n".join(lines) + "\n]}\n")


if __name__ == "__main__":
    main()
