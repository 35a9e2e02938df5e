"""How the bundled photo captioner is made, from the research data to its scores, in one go.

Runs these steps, each a command of Negah that is printed before it runs. One that was stopped goes
on where it was when the program is started again; trainings that are finished are kept.

1. ``photo_tables.py``: the parts of the COCO photographs.
2. Flickr8k alone: ``cam-rnn-whole``, then ``cam-rnn-photo`` on its encoder; a bundle, fitted to
   expect CIDEr (``negah rerank``); decoding chosen on the part dev (``negah tune``); scores on both
   test parts.
3. Flickr8k and COCO: ``cam-rnn-whole`` goes on from that encoder, ``cam-rnn-photo`` from it; the
   bundle likewise, with decoding chosen on both dev parts; scores on both test parts, in the model
   card.

    python benchmarks/photo_model.py --data ../shared/data --output runs
"""

from __future__ import annotations

import argparse
import json
import shlex
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from negah.cli.main import run
from photo_tables import make_tables

REPOSITORY = Path(__file__).resolve().parent.parent
CARD = REPOSITORY / "docs" / "cards" / "negah-photo.yaml"
#: Passes over all photographs in which the encoder goes on from Flickr8k's.
ENCODER_EPOCHS = 2
#: The dropout with all photographs, where that of the recipe is neither better nor worse.
DROPOUT = 0.5
#: What ``negah tune`` tries.
GRID = ("--beams", "5,8", "--supports", "0,0.25,0.5,0.75,1,1.5")
#: Of Flickr8k alone: without COCO's n-grams there is room for a higher rank in 30 MB.
FINER = ("--rank", "512", "--ridge", "5")


@dataclass(frozen=True)
class Maker:
    """The folders, and what is changed in all trainings.

    Attributes:
        data: the research data.
        output: of tables, runs, scores and the bundle.
        options: further arguments of every training, such as ``--threads 1``.
        card: YAML for the model card.
    """

    data: Path
    output: Path
    options: Sequence[str] = ()
    card: Path = CARD

    @property
    def flickr8k(self) -> list[str]:
        """The data set as arguments."""
        return ["--data", str(self.data / "flickr8k")]

    @property
    def coco(self) -> list[str]:
        """The photographs of COCO with their parts."""
        images = str(self.data / "coco" / "images")
        return ["--data", str(self.output / "coco.csv"), "--images", images]

    @property
    def everything(self) -> list[str]:
        """Both, with a folder of photographs for each."""
        return [*self.flickr8k, "--images", str(self.data / "flickr8k" / "Images"), *self.coco]

    def make(self) -> None:
        """All steps, in order."""
        for line in make_tables(self.data, self.output):
            print(line)
        self.train("cam-rnn-whole", "f8k-whole", self.flickr8k)
        self.train("cam-rnn-photo", "f8k-photo", self.flickr8k, initial="f8k-whole")
        self.bundle("f8k-photo", "f8k-bundle", self.flickr8k, rerank=FINER)
        boxes = ["--objects", str(self.data / "coco" / "boxes.jsonl")]
        self.evaluate("f8k-bundle", self.flickr8k, "f8k-bundle-flickr8k")
        self.evaluate("f8k-bundle", self.coco, "f8k-bundle-coco", boxes)

        epochs = ["--set", f"training.epochs={ENCODER_EPOCHS}"]
        self.train("cam-rnn-whole", "all-whole", self.everything, *epochs, initial="f8k-whole")
        dropout = ["--set", f"model.dropout={DROPOUT}"]
        self.train("cam-rnn-photo", "all-photo", self.everything, *dropout, initial="all-whole")
        card = ["--card", str(self.card)]
        self.bundle("all-photo", "negah-photo", self.everything, "--int8", *card)
        scores = [
            self.evaluate("negah-photo", self.flickr8k, "negah-photo-flickr8k"),
            self.evaluate("negah-photo", self.coco, "negah-photo-coco", boxes),
        ]
        bundle = str(self.output / "negah-photo")
        self.negah("export", bundle, *(part for file in scores for part in ("--scores", file)))

    def train(self, recipe: str, name: str, data: list[str], *more: str, initial: str = "") -> None:
        """A run of that name, without a bundle."""
        start = ["--init", str(self.output / initial)] if initial else []
        folders = ["--output", str(self.output / name), "--features", str(self.output / "features")]
        self.negah("train", recipe, *data, *start, *folders, "--no-export", *more, *self.options)

    def bundle(
        self, run_: str, name: str, data: list[str], *more: str, rerank: Sequence[str] = ()
    ) -> None:
        """A bundle of that name, fitted to expect CIDEr, with decoding options chosen on dev."""
        plain, fitted = str(self.output / f"{name}-plain"), str(self.output / name)
        self.negah("export", str(self.output / run_), "--output", plain, *data, *more)
        self.negah("rerank", plain, *data, "--output", fitted, *rerank)
        if chosen := self.choose(name, data):
            self.negah("export", fitted, *chosen)

    def choose(self, name: str, data: list[str]) -> list[str]:
        """Decoding options for a bundle, as arguments; none where its own are as good."""
        file = self.output / f"{name}-tune.json"
        self.negah("tune", str(self.output / name), *data, *GRID, "--json", str(file))
        tuned = json.loads(file.read_text(encoding="utf-8"))
        if tuned["expected"] <= tuned["before"]["cider_d"]:
            return []
        options = tuned["best"]["options"]
        names = ("beam", "length_normalisation", "support", "expected_cider")
        return [part for name in names for part in ("--decoding", f"{name}={options[name]}")]

    def evaluate(self, name: str, data: list[str], scores: str, more: Sequence[str] = ()) -> str:
        """Scores on the part test; gives their file."""
        file = str(self.output / f"{scores}.json")
        model = str(self.output / name)
        self.negah("evaluate", model, *data, "--split", "test", "--json", file, *more)
        return file

    def negah(self, *arguments: str) -> None:
        """A command; the program ends where it fails."""
        print("$ negah", shlex.join(arguments), flush=True)
        if code := run(list(arguments)):
            raise SystemExit(code)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="the folder of the research data")
    parser.add_argument("--output", type=Path, default=Path("runs"), help="for everything")
    parser.add_argument("--card", type=Path, default=CARD, help="YAML for the model card")
    arguments, options = parser.parse_known_args()
    Maker(arguments.data, arguments.output, options, arguments.card).make()


if __name__ == "__main__":
    main()
