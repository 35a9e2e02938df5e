"""Decoding options chosen on held-out photos, against captions decoded with those options."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from negah.cli.main import run
from negah.data import Example
from negah.decoding import Hypothesis
from negah.errors import DataError, UsageError
from negah.metrics import cider_d
from negah.metrics.settings import Settings
from negah.runtime import Captioner
from negah.runtime.stages import decode_photos, see_photo
from negah.tuning import TriedOptions, tune

CAPTIONS = ("a black dog runs through the grass", "two children play with a yellow ball")


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Example]:
    folder = tmp_path_factory.mktemp("photos")
    random = np.random.default_rng(0)
    examples = []
    for number in range(6):
        path = folder / f"{number}.png"
        small = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(small).resize((64, 64)).save(path)
        words = (
            CAPTIONS[number % 2],
            f"a photo with number {('one', 'two', 'three', 'four')[number % 4]}",
        )
        examples.append(Example(path.name, path, words, "dev"))
    return examples


def test_each_trial_has_the_score_of_its_captions(tiny_bundle: Path, photos: list[Example]) -> None:
    captioner = Captioner(tiny_bundle)
    told = 0

    def progress() -> None:
        nonlocal told
        told += 1

    tuning = tune(
        captioner.backend, photos, TriedOptions((2, 4), (0.5, 1.0)), max_pixels=10**7,
        progress=progress,
    )  # fmt: skip
    own = captioner.decoding_options({})
    assert tuning.before.options == own
    assert told == len(photos) * len({own.beam, 2, 4})
    assert {(t.options.beam, t.options.length_normalisation) for t in tuning.trials[1:]} >= {
        (2, 0.5), (2, 1.0), (4, 0.5), (4, 1.0),
    }  # fmt: skip
    assert all(trial.options.support == 0 for trial in tuning.trials)  # it tells no concepts
    tokens = Settings().tokens
    references = [[tokens(text) for text in example.captions] for example in photos]
    backend = captioner.backend
    seen = [see_photo(example.path, [backend]) for example in photos]
    for trial in tuning.trials:
        wide = {"beam": trial.options.beam, "n_best": trial.options.beam}
        options = own.model_copy(update=wide)
        found = decode_photos(seen, [backend], options, range(len(seen))).hypotheses
        alpha = trial.options.length_normalisation

        def rank(one: Hypothesis, alpha: float = alpha) -> tuple[bool, float]:
            return one.finished, sum(one.logprobs) / len(one.logprobs) ** alpha

        captions = [backend.tokenizer.decode(max(some, key=rank).tokens) for some in found]
        score = 100 * cider_d([tokens(text) for text in captions], references).corpus
        assert trial.cider_d == pytest.approx(score, abs=1e-6)
    assert tuning.best.cider_d == max(trial.cider_d for trial in tuning.trials)
    assert tuning.expected <= tuning.best.cider_d + 1e-9


def test_what_cannot_be_tuned(tiny_bundle: Path, photos: list[Example], tmp_path: Path) -> None:
    backend = Captioner(tiny_bundle).backend
    broken = Example("broken.png", tmp_path / "broken.png", CAPTIONS, "dev")
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(DataError, match="1 photos with captions can be read"):
        tune(backend, [photos[0], broken], max_pixels=10**7)
    with pytest.raises(UsageError, match="at least one beam"):
        tune(backend, photos, TriedOptions(beams=()), max_pixels=10**7)


def test_the_command(
    tiny_bundle: Path, photos: list[Example], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [f"{e.path.name},{text},dev" for e in photos for text in e.captions]
    table = photos[0].path.parent / "captions.csv"
    table.write_text("\n".join(["image,caption,split", *rows]))
    arguments = ["tune", str(tiny_bundle), "--data", str(table)]
    few = ["--beams", "2", "--exponents", "1", "--json", str(tmp_path / "trials.json")]
    assert run([*arguments, *few]) == 0
    shown = capsys.readouterr()
    assert "on 6 photos" in shown.out
    trials = json.loads((tmp_path / "trials.json").read_text())
    is_better = trials["expected"] > trials["before"]["cider_d"]
    assert ("--decoding beam=" in shown.out) == is_better
    assert ("the present options are the best" in shown.out) == (not is_better)
    assert trials["best"]["cider_d"] == max(row["cider_d"] for row in trials["trials"])
    table.write_text("\n".join(["image,caption,split", *rows, "gone.png,a photo,dev"]))
    assert run([*arguments, *few]) == 0
    assert "6 dev photos; 1 problems" in capsys.readouterr().err
    for wrong, words in (
        (["--split", "test"], "must not be tuned on the test part"),
        (["--beams", "many"], "--beams takes numbers"),
        (["--split", "train"], "no photo is in the part 'train'"),
    ):
        assert run([*arguments, *wrong]) == 2
        assert words in " ".join(capsys.readouterr().err.split())
