"""``negah train`` as a user runs it: to a bundle, again, stopped, killed, and asked wrongly."""

from __future__ import annotations

import io
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch", reason="training needs the train extra")

from common import PATIENCE
from negah.bundle import read_bundle
from negah.cli.compute import wait_passively
from negah.cli.main import run
from negah.cli.training_progress import TrainingBars, TrainingLines, TrainingProgress
from negah.export.run import training_data
from negah.split import SplitPolicy, TrainingSplit
from negah.training.provenance import DataRecord, InitialRun
from tiny_data import TINY, Trained, make_shapes, tiny_arguments, trained


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory) -> Trained:
    return trained(tmp_path_factory.getbasetemp() / "trained")


def test_a_training_ends_in_a_bundle_and_says_what_to_do_with_it(tiny_run: Trained) -> None:
    assert tiny_run.code == 0, tiny_run.err
    assert f"{tiny_run.folder} trained 2 epochs" in tiny_run.out
    assert "proof: 100.0% of 20 captions are equal" in tiny_run.out
    assert f"  negah caption photo.jpg --model {tiny_run.bundle}" in tiny_run.out
    lines = tiny_run.err.splitlines()
    assert lines[0] == f"shapes: 12 train, 4 dev, 4 test photos -> {tiny_run.folder}"
    header = lines.index("epoch      nll   BLEU-4  CIDEr-D  distinct  words  broken off")
    assert lines[header + 1].split()[0] == "1"
    assert lines[header + 1].endswith("* best so far")


def test_the_bundle_says_what_it_learned_from_and_not_where_that_was(tiny_run: Trained) -> None:
    config = read_bundle(tiny_run.bundle).config
    assert config.name == "cam-rnn"
    assert config.licence == "not stated"
    assert config.provenance.seeds == (0,)
    (source,) = config.provenance.training_data
    assert (source.name, source.images, source.note) == ("shapes, part train", 12, "")
    assert config.provenance.split == TrainingSplit(policy=SplitPolicy(), train_dev=0)
    for name in ("bundle.json", "README.md"):
        assert str(tiny_run.data) not in (tiny_run.bundle / name).read_text(encoding="utf-8")


def test_the_run_remembers_its_data(tiny_run: Trained) -> None:
    facts = json.loads((tiny_run.folder / "run.json").read_text(encoding="utf-8"))
    (source,) = facts["data"]["sources"]
    assert source["path"] == str(tiny_run.data)
    assert source["photos"] == {"train": 12, "dev": 4, "test": 4}
    assert source["captions"] == {"train": 24, "dev": 8, "test": 8}


def test_the_bundle_captions_photos(tiny_run: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    photo = tiny_run.data / "images" / "red-circle.png"
    assert run(["caption", str(photo), "--model", str(tiny_run.bundle)]) == 0
    caption = capsys.readouterr().out.strip()
    assert caption
    assert "<" not in caption


def test_a_finished_run_says_so(tiny_run: Trained, capsys: pytest.CaptureFixture[str]) -> None:
    before = (tiny_run.bundle / "bundle.json").stat().st_mtime_ns
    assert run(tiny_run.arguments) == 0
    assert "was finished already: 2 epochs" in capsys.readouterr().out
    assert (tiny_run.bundle / "bundle.json").stat().st_mtime_ns == before


def test_a_folder_with_another_run_is_refused(
    tiny_run: Trained, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run([*tiny_run.arguments, "--set", "training.epochs=3"]) == 1
    assert "contains another run (different recipe)" in capsys.readouterr().err


def test_a_training_starts_from_the_weights_of_another(
    tiny_run: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = list(tiny_run.arguments)
    arguments[arguments.index("--output") + 1] = str(tmp_path / "tuned")
    arguments[-1] = "training.epochs=1"
    assert run([*arguments, "--init", str(tiny_run.folder), "--no-export"]) == 0
    shown = capsys.readouterr()
    assert f"starting from {tiny_run.folder}" in shown.err
    assert "next:" not in shown.out
    assert not (tmp_path / "tuned" / "bundle").exists()
    facts = json.loads((tmp_path / "tuned" / "run.json").read_text(encoding="utf-8"))
    initial = facts["data"]["initial"]
    assert initial["run"] == str(tiny_run.folder)
    assert initial["data"]["sources"][0]["photos"]["train"] == 12


def test_the_card_counts_what_the_first_run_learned_from(tiny_run: Trained) -> None:
    facts = json.loads((tiny_run.folder / "run.json").read_text(encoding="utf-8"))
    record = DataRecord.read(facts)
    assert record is not None
    for known, first in ((record, "shapes, part train"), (None, "what run first learned from")):
        initial = InitialRun(run="/home/somebody/runs/first", data=known)
        found = training_data(record.model_copy(update={"initial": initial}))
        assert [data.name for data in found] == [first, "shapes, part train"]
        assert found[0].note.startswith("The weights started from those of a run on it.")
        assert "started" not in found[1].note
        assert "somebody" not in str(found)


def test_few_different_captions_are_warned_of(tiny_run: Trained) -> None:
    """Two epochs on twelve photos teach one sentence."""
    assert "warning: 4 dev photos got only 1 different captions" in tiny_run.err


def test_the_recipes_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["train", "--list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert {"cam-rnn", "show-tell", "vt-rnn"} <= {line.split()[0] for line in lines}
    assert all(len(line.split()) > 3 for line in lines)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a recipe"),
        (["cam-rnn"], "--data PATH"),
        (["cam-rn", "--data", "{data}"], "Did you mean 'cam-rnn'?"),
        (["mine.yaml", "--data", "{data}"], "recipe mine.yaml: no such file"),
        (["cam-rnn", "--data", "nowhere"], "there is no data set nowhere"),
        (["cam-rnn", "--data", "{data}", "--set", "epochs=3"], "section.option=value"),
        (["cam-rnn", "--data", "{data}", "--set", "trainin.epochs=3"], "'training'?"),
        (["cam-rnn", "--data", "{data}", "--set", "training.epoch=3"], "'training.epochs'?"),
        (["cam-rnn", "--data", "{data}", "--set", "training.epochs=0"], "training.epochs"),
        (["cam-rnn", "--data", "{data}", "--dev-fraction", "0"], "no photo is in the part dev"),
        (
            ["cam-rnn", "--data", "{data}", "--dev-fraction", "0.5", "--test-fraction", "0.5"],
            "both together less than 1",
        ),
        (["cam-rnn", "--data", "{data}", "--init", "nowhere"], "--init nowhere"),
        (["cam-rnn", "--data", "{data}", "--images", "a", "--images", "b"], "given 2 times for 1"),
        (["cam-rnn", "--data", "{data}", "--images", "nowhere"], "--images nowhere"),
        (["cam-rnn", "--data", "{data}", "--device", "tpu"], "--device"),
        (["cam-rnn", "--data", "{data}", "--epochs", "3"], "--epochs"),
    ],
)
def test_wrong_usage_is_explained(
    arguments: list[str],
    message: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    data = make_shapes(tmp_path / "shapes", splits=False)
    given = [argument.format(data=data) for argument in arguments]
    assert run(["train", *given]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert "Traceback" not in shown
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("content", ["{", '{"recipe": 5}'])
def test_a_damaged_start_is_explained(
    content: str, tiny_run: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text(content)
    (tmp_path / "best.safetensors").touch()
    assert run([*tiny_run.arguments, "--init", str(tmp_path)]) == 1
    shown = capsys.readouterr().err
    assert "run.json is not from a Negah training run, or is damaged" in shown
    assert "Traceback" not in shown
    assert run(["export", str(tmp_path), "--output", str(tmp_path / "bundle")]) == 1
    assert "run.json is not from a Negah training run" in capsys.readouterr().err


def test_killed_then_interrupted_then_finished(tiny_run: Trained, tmp_path: Path) -> None:
    """kill -9 and Ctrl-C at any moment: the same command goes on each time."""
    folder = tmp_path / "runs" / "stopped"
    arguments = list(tiny_run.arguments)
    arguments[arguments.index("--output") + 1] = str(folder)
    arguments[-1] = "training.epochs=8"
    arguments += ["--set", "training.patience=0"]

    code, _ = _stop(arguments, after="\nepoch 2 of 8", by=signal.SIGKILL)
    assert code == -signal.SIGKILL
    assert (folder / "checkpoint.safetensors").is_file()

    code, said = _stop(arguments, after="\n    2 ", by=signal.SIGINT)
    assert code == 130, said
    assert "resuming after step" in said
    assert "interrupted: saved, not exported; the same command resumes" in said
    assert "Traceback" not in said
    assert not (folder / "bundle").exists()

    assert run([*arguments, "--no-export"]) == 0
    rows = map(json.loads, (folder / "log.jsonl").read_text(encoding="utf-8").splitlines())
    steps = {row["epoch"]: row["step"] for row in rows if row["kind"] == "dev"}
    assert steps == {epoch: 3 * epoch for epoch in range(1, 9)}


def _stop(arguments: list[str], *, after: str, by: signal.Signals) -> tuple[int, str]:
    """Run ``negah`` in a process of its own and send it a signal once ``after`` was said."""
    process = subprocess.Popen(
        [sys.executable, "-m", "negah", *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = "\n"
    with process.stderr:
        while after not in said:
            line = process.stderr.readline()
            assert line, said
            said += line
        process.send_signal(by)
        said += process.stderr.read()
    return process.wait(timeout=PATIENCE), said


def test_the_command_is_read_without_pytorch() -> None:
    """Help and wrong usage answer at once."""
    code = "import sys, negah.cli.train; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)


def test_idle_threads_sleep_unless_the_user_wants_otherwise(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("OMP_WAIT_POLICY", raising=False)
    monkeypatch.setenv("GOMP_SPINCOUNT", "1000")
    wait_passively()
    assert os.environ["OMP_WAIT_POLICY"] == "passive"
    assert os.environ["GOMP_SPINCOUNT"] == "1000"


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


ROW: dict[str, Any] = {
    "nll": 3.5, "BLEU-4": 12.25, "CIDEr-D": 40.5, "distinct": 0.125, "words": 9.75,
    "broken_off": 0.5,
}  # fmt: skip


def _play(progress: TrainingProgress) -> None:
    with progress:
        progress.features("plain", 5, 10)
        progress.epoch(1, 2, 0, 2)
        progress.step(1, 2, 4.0, 5e-4)
        progress.validating(3, 4)
        progress.validated({**ROW, "epoch": 1, "best": 1})
        progress.message("[a message]")
        progress.validated({**ROW, "epoch": 2, "best": 1})


ROWS = (
    "epoch      nll   BLEU-4  CIDEr-D  distinct  words  broken off\n"
    "    1    3.500    12.25    40.50     12.5%    9.8       50.0%  * best so far\n"
    "[a message]\n"
    "    2    3.500    12.25    40.50     12.5%    9.8       50.0%\n"
)


def test_progress_in_lines(capsys: pytest.CaptureFixture[str]) -> None:
    _play(TrainingLines(seconds=0))
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "features: 5 of 10\n" in shown.err
    assert "epoch 1 of 2: 1 of 2, loss 4.000, rate 5.0e-04" in shown.err
    assert "captioning dev photos: 3 of 4\n" in shown.err
    assert shown.err.endswith(ROWS)


def test_progress_lines_do_not_flood(capsys: pytest.CaptureFixture[str]) -> None:
    progress = TrainingLines(seconds=3600)
    for done in range(100):
        progress.features("plain", done, 100)
    assert capsys.readouterr().err == "features: 0 of 100\n"


def test_progress_in_bars_keeps_the_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = _Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "120")
    _play(TrainingBars())
    for row in ROWS.splitlines():
        assert row in terminal.getvalue()


def test_show_tell_trains_on_photos_without_parts(
    tiny_run: Trained, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Which photos are held out as dev is a matter of their content."""
    data = make_shapes(tmp_path / "shapes", splits=False)
    arguments = ["train", "show-tell", "--data", str(data / "captions.csv"), "--no-export"]
    arguments += ["--images", str(data / "images"), "--dev-fraction", "0.3"]
    arguments += ["--features", str(tiny_run.features), "--output", str(tmp_path / "run")]
    changes = (*TINY, "training.epochs=1", "training.flips=false", "encoder.trainable_blocks=1")
    assert run([*arguments, *tiny_arguments(changes)]) == 0
    shown = capsys.readouterr()
    assert "trained 1 epoch;" in shown.out
    assert "of 20 photos without a part, 30% (" in shown.err
    facts = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    (source,) = facts["data"]["sources"]
    assert source["photos"].keys() == {"train", "dev"}
    assert sum(source["photos"].values()) == 20
