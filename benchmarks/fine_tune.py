"""What three hundred photographs of one kind teach a model that is there.

A topic's photographs are chosen from a folder of COCO: those of which a caption names it.
Photographs with boxes (``boxes.jsonl``) are left out, since other measurements need them unseen.
The tenth that ``negah train`` holds out by content is held out here, too, so that no model which
was trained with its defaults has learned from it; of it those with five captions or more are
captioned. Of all the others 300 are learned from. The recipe ``fine-tune`` goes on from a model
with them, and both models caption what was held out with their own decoding options. Intervals
(95%) and the paired test are over photographs. The epoch was chosen on them, which favours the
result a little.

    python benchmarks/fine_tune.py --data coco/ --topic food
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Sequence
from pathlib import Path

from negah.cli.main import run
from negah.data import Example, load_dataset
from negah.data.division import split_by_content
from negah.data.object_files import read_objects
from negah.evaluation import Evaluation, evaluate
from negah.files import to_csv, write_text
from negah.hashing import content_sha256
from negah.run_folder import LOG
from negah.runtime import Captioner
from negah.split import SplitPolicy

TOPICS = {
    "food": "bowl bread broccoli cake dish food fruit meal pizza plate salad sandwich vegetables",
    "trains": "locomotive railroad tracks train trains",
    "bathrooms": "bathroom bathtub restroom shower sink toilet",
}
#: Captions of a photograph that is held out.
REFERENCES = 5
METRICS = ("BLEU-4", "METEOR", "ROUGE-L", "CIDEr-D")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="captions.csv, images/")
    parser.add_argument("--topic", choices=TOPICS, default="food")
    parser.add_argument("--photos", type=int, default=300, help="that are learned from")
    parser.add_argument("--init", default="negah-photo", help="the model to go on from")
    parser.add_argument("--output", type=Path, default=Path("runs"), help="for table and run")
    parser.add_argument("--features", type=Path, default=Path("features"))
    parser.add_argument("--set", action="append", default=[], help="as of negah train")
    parser.add_argument("--threads", default="2")
    parser.add_argument("--show", type=int, default=10, help="captions that are printed")
    arguments = parser.parse_args()
    name = f"{arguments.topic}-{arguments.photos}"
    table, folder = arguments.output / f"{name}.csv", arguments.output / name
    write_table(arguments.data, TOPICS[arguments.topic].split(), arguments.photos, table)
    images = arguments.data / "images"
    command = ["train", "fine-tune", "--data", str(table), "--images", str(images)]
    command += ["--init", arguments.init, "--output", str(folder)]
    command += ["--features", str(arguments.features), "--threads", arguments.threads]
    command += [part for change in arguments.set for part in ("--set", change)]
    if code := run(command):
        raise SystemExit(code)
    rows = [json.loads(line) for line in (folder / LOG).read_text(encoding="utf-8").splitlines()]
    print(f"{max(row['step'] for row in rows)} steps")
    examples = load_dataset(table, images=images).split("dev")
    models = (arguments.init, str(folder / "bundle"))
    before, after = (
        evaluate(Captioner(model), examples, dataset=name, scoring={"metrics": METRICS})
        for model in models
    )
    tell(before, after, examples, arguments.show)


def write_table(data: Path, topic: Sequence[str], photos: int, table: Path) -> None:
    """The photographs of a topic with their captions and parts."""
    kept_out = read_objects(data / "boxes.jsonl").objects.keys()
    captions: dict[str, list[str]] = {}
    with (data / "captions.csv").open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(stream):
            captions.setdefault(row["image"], []).append(row["caption"])
    rows: list[tuple[str, str, str]] = []
    learned = 0
    for image, sentences in captions.items():
        said = {word for text in sentences for word in re.findall(r"[a-z]+", text.lower())}
        if image in kept_out or said.isdisjoint(topic):
            continue
        part = split_by_content(content_sha256(data / "images" / image), SplitPolicy())
        if part == "dev" and len(sentences) < REFERENCES:
            continue
        learned += part == "train"
        if part != "train" or learned <= photos:
            rows += [(image, sentence, part) for sentence in sentences]
    write_text(table, to_csv(("image", "caption", "split"), *rows))


def tell(before: Evaluation, after: Evaluation, examples: Sequence[Example], show: int) -> None:
    """Scores with intervals, their difference, and captions as they come."""
    intervals = [one.scores.intervals() for one in (before, after)]
    compared = after.scores.compare(before.scores)
    print(f"{before.scores.images} photographs held out, beam {after.decoding.beam}")
    print("| metric | before | after | difference | p |\n|---|---|---|---|---:|")
    for metric in METRICS:
        cells = [
            f"{one.scores[metric]:.1f} [{interval[metric].low:.1f}, {interval[metric].high:.1f}]"
            for one, interval in zip((before, after), intervals, strict=True)
        ]
        test = compared[metric]
        cells.append(f"{test.difference:+.1f} [{test.low:+.1f}, {test.high:+.1f}]")
        print(f"| {metric} | {' | '.join(cells)} | {test.p_randomisation:.3f} |")
    print(f"{after.scores.signatures['CIDEr-D']}")
    for example in examples[:show]:
        print(f"\n{example.name}: {example.captions[0]}")
        print(f"  before: {before.captions[example.name]}")
        print(f"  after:  {after.captions[example.name]}")


if __name__ == "__main__":
    main()
