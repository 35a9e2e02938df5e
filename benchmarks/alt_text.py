"""What ``--alt`` and ``--neutral-people`` cost: words that guess gender or age, and CIDEr-D.

    python benchmarks/alt_text.py DATA/flickr8k [--model negah-photo] [--most 1000]

Captions the photographs of Flickr8k's dev part once, words the captions in three ways, and scores
each against the references as they are or equally neutralised: the table of docs/alt-text.md.
"""

from __future__ import annotations

import argparse
import re
from collections import defaultdict
from collections.abc import Iterable
from pathlib import Path

from negah.metrics import score
from negah.runtime import Captioner
from negah.text import alt_text, neutral_people

# Not taken from the lexicon that captions are neutralised by, so that a hole in it is found.
GUESSES = frozenset(
    re.findall(
        r"\w+",
        "man men woman women boy boys girl girls guy guys lady ladies gentleman gentlemen"
        " lad child children kid kids toddler toddlers infant infants teen teens teenager"
        " teenagers teenage youth youths youngster youngsters adolescent elderly senior"
        " seniors mothers fathers dad dads mum son sons daughter daughters sister sisters"
        " wife husband bride groom girlfriend boyfriend uncle aunt grandmother grandfather"
        " grandma grandpa he she him her his hers himself herself policeman policemen"
        " fireman firemen fisherman fishermen businessman waitress actress bridesmaid"
        " bridesmaids cowboys businesswoman cameraman",
    )
)


def guesses(captions: Iterable[str]) -> list[str]:
    """The captions with a word that guesses gender or age from looks."""
    words = re.compile(r"[a-z]+(?:-[a-z]+)*")
    return [one for one in captions if GUESSES & set(words.findall(one.lower()))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("data", type=Path, help="Flickr8k, as its authors give it")
    parser.add_argument("--model", default="negah-photo")
    parser.add_argument("--most", type=int, default=1000, help="photographs")
    options = parser.parse_args()
    names = (options.data / "Flickr_8k.devImages.txt").read_text(encoding="utf-8").split()
    names = names[: options.most]
    references = defaultdict(list)
    for line in (options.data / "Flickr8k.token.txt").read_text(encoding="utf-8").splitlines():
        name, caption = line.split("\t")
        references[name.partition("#")[0]].append(caption)
    given = [references[name] for name in names]
    neutral_references = [[neutral_people(one) for one in several] for several in given]

    photos = [next(options.data.glob(f"*/{name}")) for name in names]
    captioner = Captioner(options.model)
    captions = [found.caption.text for found in captioner.caption_many(photos) if found.caption]
    neutral = [neutral_people(one) for one in captions]
    alt = [alt_text(one) or "" for one in neutral]
    print(f"{options.model}, {len(captions)} photographs; longest alternative text "
          f"{max(map(len, alt))} characters, {alt.count('')} without one")  # fmt: skip
    print("captions                 with a word that guesses  CIDEr-D")
    for what, said, against in (
        ("as they are", captions, given),
        ("--neutral-people", neutral, neutral_references),
        ("--alt --neutral-people", alt, neutral_references),
    ):
        found = score(said, against, metrics=["CIDEr-D"])
        print(f"{what:24} {len(guesses(said)):24} {found['CIDEr-D']:8.1f}")
    print(found.signatures["CIDEr-D"])


if __name__ == "__main__":
    main()
