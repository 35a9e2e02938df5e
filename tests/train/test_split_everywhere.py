"""Every command sees the parts that the training saw, whatever parts the data came with.

What a command looks at is caught where it hands the examples on; before that nothing is replaced.
The parts are computed here once more, from the hashes of the files.
"""

from __future__ import annotations

import csv
import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch", reason="training needs the train extra")

from negah.bundle import read_bundle
from negah.bundle.revise import revise_bundle
from negah.cli.main import run
from negah.data import Example, SplitPolicy, load_each
from negah.errors import DataError
from negah.export.run import training_data
from negah.run_folder import BEST, RUN, TOKENIZER
from negah.training import Outcome
from negah.training.provenance import DataRecord, same_data
from tiny_data import Trained, make_shapes, trained

DEV, TEST = 0.3, 0.2
OPTIONS = ["--dev-fraction", str(DEV), "--test-fraction", str(TEST)]
#: By case, the parts of each data set's files in turn; "" is none.
CASES: dict[str, list[list[str]]] = {
    "all open": [[""]],
    "train alone": [["train"]],
    "train and test": [["train", "train", "test"]],
    "train and dev": [["train", "train", "dev"]],
    "train and open": [["train", ""]],
    "two, one of them with dev": [["train"], ["train", "dev"]],
    "two without dev": [["train"], ["train", "test"]],
}

Parts = dict[str, set[str]]


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.getbasetemp() / "trained")


def make_data(root: Path, given: list[list[str]]) -> list[Path]:
    """Twenty drawings, dealt out to data sets of the given parts."""
    photos = sorted((make_shapes(root / "made") / "images").iterdir())
    folders = []
    for number, parts in enumerate(given):
        folder = root / f"set{number}"
        (folder / "images").mkdir(parents=True)
        with (folder / "captions.csv").open("w", encoding="utf-8", newline="") as file:
            rows = csv.writer(file)
            rows.writerow(["image", "caption", "split"])
            for place, photo in enumerate(photos[number :: len(given)]):
                shutil.copy(photo, folder / "images" / photo.name)
                rows.writerow([photo.name, f"a {photo.stem}", parts[place % len(parts)]])
        folders.append(folder)
    return folders


def expected(folders: list[Path]) -> Parts:
    """The files of each part, by the two rules of SplitPolicy."""
    split: dict[Path, str] = {}
    for folder in folders:
        with (folder / "captions.csv").open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file):
                split[folder / "images" / row["image"]] = row["split"]
    sha256 = {path: hashlib.sha256(path.read_bytes()).hexdigest() for path in split}
    for path in [path for path, part in split.items() if not part]:
        share = int(sha256[path][:16], 16) / 2**64
        split[path] = "test" if share < TEST else "dev" if share >= 1 - DEV else "train"
    if "dev" not in split.values():
        train = sorted(sha256[path] for path, part in split.items() if part == "train")
        lowest = train[: round(DEV * len(train))]
        split.update({path: "dev" for path in split if sha256[path] in lowest})
    parts: Parts = {}
    for path, part in split.items():
        parts.setdefault(part, set()).add(str(path))
    return parts


def parts_of(examples: Sequence[Example]) -> Parts:
    parts: Parts = {}
    for example in examples:
        parts.setdefault(example.split, set()).add(str(example.path))
    return parts


@dataclass
class Caught:
    """What the commands handed on."""

    data: dict[str, Any] = field(default_factory=dict)
    examples: list[Example] = field(default_factory=list)
    pictures: list[Path] = field(default_factory=list)


@pytest.fixture
def caught(monkeypatch: pytest.MonkeyPatch) -> Caught:
    """Ends each command where it has its examples."""
    found = Caught()

    def train(recipe: Any, dataset: Any, folder: Path, *_: Any, **more: Any) -> Outcome:
        found.data, found.examples = more["provenance"], list(dataset.examples)
        return Outcome(finished=False, epochs=0, best_epoch=0, best_score=0.0)

    def evaluate(captioner: Any, examples: Sequence[Example], **more: Any) -> SimpleNamespace:
        found.examples += examples
        return SimpleNamespace(failures=())

    def read_photos(subject: Any, examples: Sequence[Example], *more: Any, **options: Any) -> None:
        found.examples += examples
        raise DataError("enough")

    def export(run: Any, output: Path, photos: Sequence[Path], **more: Any) -> None:
        found.pictures = list(photos)
        raise DataError("enough")

    ends: dict[str, Callable[..., Any]] = {
        "negah.training.train": train,
        "negah.evaluation.evaluate": evaluate,
        "negah.cli.evaluate.print_scores": lambda *_: None,
        "negah.metrics.catalogue.load_metrics": lambda *_, **__: None,
        "negah.diagnostics.diagnosed.read_photos": read_photos,
        "negah.export.run.export_run": export,
    }
    for name, end in ends.items():
        monkeypatch.setattr(name, end)
    return found


@pytest.mark.parametrize("case", CASES)
def test_every_command_sees_the_same_parts(
    case: str,
    caught: Caught,
    tiny_run: Trained,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folders = make_data(tmp_path, CASES[case])
    data = [argument for folder in folders for argument in ("--data", str(folder))]
    parts = expected(folders)
    assert parts["dev"]

    assert run(["train", "cam-rnn", *data, *OPTIONS, "--output", str(tmp_path / "none")]) == 130
    assert parts_of(caught.examples) == parts
    said = capsys.readouterr().err
    if case != "train and dev" and "with dev" not in case:
        assert "were held out as dev" in said

    # the record has the numbers, and reads the same parts again
    record = DataRecord.parse(caught.data, where="run.json")
    counts = sum((Counter(source.photos) for source in record.sources), Counter())
    assert counts == {part: len(files) for part, files in parts.items()}
    assert parts_of(record.load().examples) == parts

    # a run and a bundle of this training
    model = tmp_path / "run"
    model.mkdir()
    for file in (BEST, TOKENIZER):
        shutil.copyfile(tiny_run.folder / file, model / file)
    facts = json.loads((tiny_run.folder / RUN).read_text(encoding="utf-8"))
    (model / RUN).write_text(json.dumps({**facts, "data": caught.data}), encoding="utf-8")
    bundle = read_bundle(tiny_run.bundle)
    provenance = bundle.config.provenance.model_copy(update={"split": record.training_split})
    revise_bundle(bundle, model / "bundle", provenance=provenance)
    card = (model / "bundle" / "README.md").read_text(encoding="utf-8")
    assert f"Divided with `--dev-fraction {DEV} --test-fraction {TEST}`: " in card

    # nobody has to repeat the fractions
    for part, files in parts.items():
        caught.examples.clear()
        assert run(["evaluate", str(model / "bundle"), *data, "--split", part]) == 0
        assert parts_of(caught.examples) == {part: files}
    for subject in (model, model / "bundle"):
        caught.examples.clear()
        assert run(["diagnose", str(subject), *data, "--threads", "1"]) == 1
        assert parts_of(caught.examples) == {"dev": parts["dev"]}
    for more in ([], data):
        assert run(["export", str(model), *more, "--threads", "1"]) == 1
        assert {str(path) for path in caught.pictures[: len(parts["dev"])]} == parts["dev"]
    assert "warning" not in capsys.readouterr().err

    # without a model, the options say it
    assert run(["data", "inspect", *map(str, folders), *OPTIONS, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {part: row["images"] for part, row in found["splits"].items()} == counts
    assert found["division"]["train_dev"] == record.training_split.train_dev


@pytest.mark.parametrize("case", ["all open", "train alone", "two without dev"])
def test_other_fractions_are_warned_of(
    case: str,
    caught: Caught,
    tiny_run: Trained,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folders = make_data(tmp_path, CASES[case])
    data = [argument for folder in folders for argument in ("--data", str(folder))]
    bundle = read_bundle(tiny_run.bundle)
    command = ["evaluate", str(bundle.path), *data, "--split", "dev"]
    assert run([*command, "--dev-fraction", "0.2"]) == 0
    (warning,) = [line for line in capsys.readouterr().err.splitlines() if "warning" in line]
    assert warning == (
        "warning: cam-rnn was trained with --dev-fraction 0.1 --test-fraction 0, and here it is "
        "--dev-fraction 0.2 --test-fraction 0: it may have learned from files that are held out now"
    )
    # one that does not know: the default, and that is said
    provenance = bundle.config.provenance.model_copy(update={"split": None})
    silent = revise_bundle(bundle, tmp_path / "silent", provenance=provenance).path
    assert run(["evaluate", str(silent), *data, "--split", "dev"]) == 0
    said = capsys.readouterr().err
    assert "(the default: cam-rnn does not record how its data were divided)" in said
    assert "warning" not in said
    # the training had a part dev, so that what is held out here was learned from there
    if case != "all open":
        assert run(command) == 0
        assert "without anything held out of the part train" in capsys.readouterr().err


def test_runs_of_before_the_policy_was_recorded(tmp_path: Path) -> None:
    """They held the same files out: they are read, and go on."""
    (folder,) = make_data(tmp_path, CASES["train and test"])
    (before,) = load_each([folder])
    policy = SplitPolicy(dev_fraction=DEV, test_fraction=TEST)
    (after,) = load_each([folder], split=policy)
    counts = dict(Counter(example.split for example in before.examples))
    source = {"name": "set0", "path": str(folder), "images": None}
    fractions = {"dev_fraction": DEV, "test_fraction": TEST}
    numbers = {"photos": counts, "captions": counts}
    old = {"sources": [{**source, **numbers}], **fractions, "initial": None}
    record = DataRecord.read({"data": old})
    assert record is not None
    assert parts_of(record.load().examples) == expected([folder])
    assert record.training_split.train_dev is None
    (on_card,) = training_data(record)
    assert on_card.note == (
        "Of files without a part, 30% are held out as dev and 20% as test; where none is dev, "
        "30% of the part train are."
    )

    new = DataRecord.of([after], [folder], [], split=policy)
    now = new.model_dump(mode="json")
    assert same_data(old, now)
    others: list[Any] = [
        {**old, "dev_fraction": 0.2},
        {**old, "sources": [{**source, "photos": {"train": 1}, "captions": counts}]},
        {**old, "sources": [{**source, **numbers, "path": "elsewhere"}]},
        {"noted": "by a notebook"},
        None,
    ]
    assert not any(same_data(other, now) for other in others)
    assert same_data(now, json.loads(json.dumps(now)))
    (on_card,) = training_data(new)
    assert on_card.note == "Of the part train, 30% (4 photos) were held out as dev."
