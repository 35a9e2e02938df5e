"""The tables that the bundled photo captioner is trained and measured with, from the research data.

COCO comes without parts here. Its photographs whose objects are all boxed are ``test``, since they
are the truth for objects that a caption invents. Of the others, one tenth by the hash of the file
(:mod:`negah.data.division`) is ``dev`` where people wrote at least five captions, so that CIDEr-D
of all dev photographs counts against five references; the rest is ``train``. Copies of one file go
into one part. A copy of a test photograph or of one of Flickr8k is in no part (``none``).

``coco.csv`` has the columns image, caption, split; its photographs are named below the folder that
the last line says. ``coco_text.tsv`` has the different captions of the text file of COCO
(``<id><TAB><caption>``), less those of dev and test photographs, under their id or word for word:
that file holds the captions of these photographs too.

    python benchmarks/photo_tables.py --output tables
"""

from __future__ import annotations

import argparse
import os
from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import replace
from pathlib import Path

from negah.data import SPLITS, Dataset, Example, SplitPolicy, check_no_leak, load_dataset, merge
from negah.data.division import split_by_content
from negah.data.formats.table import TABLE
from negah.data.object_files import read_objects
from negah.data.sentences import read_sentences, without_held_out
from negah.files import write_text
from negah.hashing import content_sha256

#: So many captions a dev photograph must have.
REFERENCES = 5
POLICY = SplitPolicy()
HELD_OUT = ("dev", "test")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=None, help="the folder of the research data")
    parser.add_argument("--output", type=Path, required=True, help="the folder of the tables")
    arguments = parser.parse_args()
    root = arguments.data or Path(os.environ.get("NEGAH_DATA", "../shared/data"))
    for line in make_tables(root, arguments.output):
        print(line)


def make_tables(root: Path, output: Path) -> list[str]:
    """Write the tables, in the place of those that are there; gives a line on each part and file.

    Args:
        root: with ``coco/``, ``flickr8k/`` and ``text/coco_captions.tsv.gz``.
        output: a folder, made if need be.

    Raises:
        DataError: something is missing or malformed.
    """
    flickr8k = load_dataset(root / "flickr8k")
    coco = divided(load_dataset(root / "coco" / "captions.csv"), boxed(root), flickr8k.examples)
    check_no_leak(merge([coco, flickr8k]))
    output.mkdir(parents=True, exist_ok=True)
    folder = TABLE.write(coco.examples, output / "coco.csv")
    text = text_without(root / "text" / "coco_captions.tsv.gz", coco)
    write_text(output / "coco_text.tsv", "".join(f"{line}\n" for line in text))
    return [
        *(
            f"{part}: {len(coco.split(part)):,} photos, {len(coco.captions(part)):,} captions"
            for part in SPLITS
        ),
        f"{output / 'coco_text.tsv'}: {len(text):,} captions",
        f"{output / 'coco.csv'}: read it with --images {folder}",
    ]


def boxed(root: Path) -> Collection[str]:
    """The names of the photographs whose objects are all boxed."""
    return read_objects(root / "coco" / "boxes.jsonl").objects.keys()


def divided(coco: Dataset, tests: Collection[str], others: Sequence[Example]) -> Dataset:
    """The photographs with their parts.

    Args:
        coco: photographs; parts that they have are not looked at.
        tests: the names of those that are for testing.
        others: photographs of another data set, which is trained and measured with as well.
    """
    elsewhere = {content_sha256(example.path) for example in others}
    copies: dict[str, list[Example]] = defaultdict(list)
    for example in coco.examples:
        copies[content_sha256(example.path)].append(example)
    parts: dict[str, str] = {}
    for sha256, same in copies.items():
        tested = [example for example in same if example.name in tests]
        part = split_by_content(sha256, POLICY)
        if sha256 in elsewhere or tested:
            part = "none"
        elif part == "dev" and min(len(example.captions) for example in same) < REFERENCES:
            part = "train"
        parts.update((example.name, part) for example in same)
        if sha256 not in elsewhere:
            parts.update((example.name, "test") for example in tested)
    examples = [replace(example, split=parts[example.name]) for example in coco.examples]
    return replace(coco, examples=tuple(examples))


def text_without(path: Path, coco: Dataset) -> list[str]:
    """Lines of different captions, none of which tells of a photograph of dev or test."""
    held_out = [example for part in HELD_OUT for example in coco.split(part)]
    captions = (caption for example in held_out for caption in example.captions)
    kept = without_held_out(
        read_sentences(path), captions=captions, pictures=[example.name for example in held_out]
    )
    return [f"{sentence.about.rpartition('/')[2]}\t{sentence.text}" for sentence in kept]


if __name__ == "__main__":
    main()
