"""Agreement of ``negah.text.words`` with the Java tokenizer inside pycocoevalcap.

Needs Java and the package pycocoevalcap (both are oracles, never dependencies), and downloads
nothing. Prints, for every set of captions, the share whose words are identical, and examples of
each difference. ``--freeze`` rewrites the values that the ordinary tests hold.

    python benchmarks/ptb_oracle.py [--data FOLDER] [--cases 20000] [--seed 2001] [--freeze]

The evaluation's tokenizer looks from the end of a caption into the next line, so what it gives
for "grade A." depends on the caption that happens to follow. Each caption here is followed by a
line that starts a sentence ("A man"), as captions do; ``--next`` names another line.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import importlib.util
import json
import re
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path

from negah.text import nfc, words
from ptb_cases import KINDS, cases

ROOT = Path(__file__).resolve().parent.parent
FROZEN = ROOT / "tests" / "oracles" / "ptb.jsonl"
_PUNCTUATION = "'' ' `` ` -LRB- -RRB- -LCB- -RCB- . ? ! , : - -- ... ;"
PUNCTUATION = frozenset(_PUNCTUATION.split())
# What ends a line for Java; within a caption the evaluation knows only the first of them.
_LINE_ENDS = re.compile("[\n\r\v\f\u2028\u2029]")


def oracle(captions: list[str], following: str) -> list[list[str]]:
    """The words that pycocoevalcap's tokenizer gives for each caption."""
    spec = importlib.util.find_spec("pycocoevalcap")
    if spec is None:
        raise SystemExit("pycocoevalcap is not installed: pip install pycocoevalcap")
    folder = Path(next(iter(spec.submodule_search_locations or [])))
    jar = folder / "tokenizer" / "stanford-corenlp-3.4.1.jar"
    lines = [f"{_LINE_ENDS.sub(' ', nfc(caption))}\n{following}\n" for caption in captions]
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "captions.txt"
        path.write_text("".join(lines), encoding="utf-8")
        command = ["java", "-cp", str(jar), "edu.stanford.nlp.process.PTBTokenizer"]
        command += ["-preserveLines", "-lowerCase", str(path)]
        answer = subprocess.run(command, capture_output=True, check=True, timeout=1200)
    rows = answer.stdout.decode("utf-8").split("\n")[::2][: len(captions)]
    if len(rows) != len(captions):
        raise SystemExit("The tokenizer gave another number of lines than it was given.")
    return [
        [
            word
            for token in row.split(" ")
            if token not in PUNCTUATION
            for word in nfc(token).split()
        ]
        for row in rows
    ]


def real(data: Path) -> dict[str, list[str]]:
    """The caption files at hand, by name."""

    def table(path: str, column: str) -> list[str]:
        with (data / path).open(encoding="utf-8", newline="") as file:
            return [row[column] for row in csv.DictReader(file)]

    def tabbed(text: str) -> list[str]:
        return [line.split("\t", 1)[1] for line in text.split("\n") if line]

    def packed(path: str) -> list[str]:
        with gzip.open(data / path, "rt", encoding="utf-8", newline="") as file:
            return tabbed(file.read())

    msvd = [f"msvd/sents_{part}_lc_nopunc.txt" for part in ("train", "val", "test")]
    msrvtt = json.loads((data / "msrvtt" / "val_videodatainfo.json").read_text(encoding="utf-8"))
    return {
        "Flickr8k": tabbed((data / "flickr8k/Flickr8k.token.txt").read_text(encoding="utf-8")),
        "Flickr8k, CSV": table("flickr8k/captions.txt", "caption"),
        "COCO, CSV": table("coco/captions.csv", "caption"),
        "COCO, text only": packed("text/coco_captions.tsv.gz"),
        "Flickr30k, text only": packed("text/flickr30k_captions.tsv.gz"),
        "MSVD": [row for path in msvd for row in tabbed((data / path).read_text(encoding="utf-8"))],
        "MSVD, corpus CSV": table("msvd/video_corpus_val.csv", "Description"),
        "MSR-VTT": [item["caption"] for item in msrvtt["sentences"]],
    }


def compare(name: str, captions: list[str], following: str, shown: int) -> list[bool]:
    """Prints one row of the table and the first differences; which captions agree."""
    captions = [_LINE_ENDS.sub(" ", caption) for caption in captions]
    started = time.process_time()
    ours = [words(caption) for caption in captions]
    seconds = time.process_time() - started
    theirs = oracle(captions, following)
    equal = [own == other for own, other in zip(ours, theirs, strict=True)]
    share = 100 * sum(equal) / len(equal)
    print(
        f"| {name} | {len(equal):,} | {sum(equal):,} | {share:.3f}% | {seconds:.2f} |", flush=True
    )
    wrong = [i for i, same in enumerate(equal) if not same]
    for i in wrong[:shown]:
        print(f"    {captions[i]!r}\n        ours {ours[i]}\n        Java {theirs[i]}")
    return equal


def freeze(count: int, seed: int, following: str) -> None:
    """Writes the oracle's words for new hard cases, one JSON object a line."""
    drawn = [caption for _, caption in cases(count, seed) if not _LINE_ENDS.search(caption)]
    rows = zip(drawn, oracle(drawn, following), strict=True)
    FROZEN.parent.mkdir(exist_ok=True)
    text = "".join(json.dumps([c, " ".join(w)], ensure_ascii=False) + "\n" for c, w in rows)
    FROZEN.write_text(text, encoding="utf-8")
    print(f"wrote {len(drawn)} cases to {FROZEN}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, default=ROOT.parent / "shared" / "data")
    parser.add_argument("--cases", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=2001)
    parser.add_argument("--next", default="A man", help="the line after every caption")
    parser.add_argument("--show", type=int, default=5, help="differences shown of each set")
    parser.add_argument("--freeze", action="store_true")
    options = parser.parse_args()
    if options.freeze:
        freeze(1500, options.seed + 1000, options.next)
        return
    print("| captions | number | identical | share | seconds of CPU |\n|---|---|---|---|---|")
    if (options.data / "flickr8k").is_dir():
        for name, captions in real(options.data).items():
            compare(name, captions, options.next, options.show)
    drawn = cases(options.cases, options.seed)
    equal = compare(
        f"hard cases, seed {options.seed}",
        [caption for _, caption in drawn],
        options.next,
        options.show,
    )
    tried = Counter(kind for kind, _ in drawn)
    missed = Counter(kind for (kind, _), same in zip(drawn, equal, strict=True) if not same)
    for kind in sorted(KINDS):
        print(f"| - {kind} | {tried[kind]:,} | {tried[kind] - missed[kind]:,} | | |")


if __name__ == "__main__":
    main()
