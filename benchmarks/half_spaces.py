"""What half-spaces are worth to a score: the same captions, their words split in five ways.

    python benchmarks/half_spaces.py captions_fa.csv --images Images

prints the table of docs/persian.md: the first caption of each dev photo, scored against the others.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from typing import Any

from negah.data import Example, load_dataset
from negah.metrics import score
from negah.text import language_of

_METRICS = ("BLEU-1", "BLEU-4", "ROUGE-L", "CIDEr-D")
_HALF_SPACE = "\u200c"


def _spelled(text: str) -> str:
    language = language_of("fa")
    return language.join(language.tokens(text))


#: How a caption is changed first, and how its words are told then.
WAYS: dict[str, tuple[Callable[[str], str], dict[str, Any]]] = {
    "split at spaces, as written": (str, {"language": "fa", "tokenised": True}),
    "half-spaces replaced by spaces": (
        lambda text: _spelled(text).replace(_HALF_SPACE, " "),
        {"language": "fa", "tokenised": True},
    ),
    "`fa-1`": (_spelled, {"language": "fa"}),
    "`fa-1`, half-spaces removed": (
        lambda text: _spelled(text).replace(_HALF_SPACE, ""),
        {"language": "fa", "tokenised": True},
    ),
    "`ptb`, as for English": (str, {}),
}


def rows(examples: list[Example]) -> list[list[str]]:
    """A row for each way: its name, the metrics, and the words of a caption between spaces."""
    several = [example for example in examples if len(example.captions) > 1]
    found = []
    for name, (change, settings) in WAYS.items():
        captions = {e.name: change(e.captions[0]) for e in several}
        references = {e.name: [change(c) for c in e.captions[1:]] for e in several}
        scores = score(captions, references, metrics=_METRICS, **settings)
        words = sum(len(text.split()) for text in captions.values()) / len(captions)
        found.append([name, *(f"{scores[metric]:.1f}" for metric in _METRICS), f"{words:.1f}"])
    return found


def main() -> None:
    """Read the table and print the other one."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--images", type=Path)
    given = parser.parse_args()
    dataset = load_dataset(given.data, images=given.images)
    for row in [["words", *_METRICS, "words per caption"], *rows(dataset.split("dev"))]:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
