"""Photos that are damaged, large, left out or locked away, as a user of the command meets them."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest
from PIL import Image

from negah.cli.main import run
from tiny_photos import encoded, scene


@pytest.fixture
def negah(
    tiny_bundle: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    monkeypatch.chdir(tmp_path)
    photo = encoded(scene(), "JPEG")
    for name in ("whole.jpg", "there/a.jpg"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(photo)
    Path("cut.jpg").write_bytes(photo[: int(0.8 * len(photo))])

    def call(*arguments: str) -> tuple[int, str, str]:
        code = run(["caption", *arguments, "--model", str(tiny_bundle), "--threads", "1"])
        return code, *capsys.readouterr()

    return call


def test_a_photo_read_only_in_part_says_so(negah) -> None:
    code, out, err = negah("whole.jpg", "cut.jpg", "--format", "jsonl")
    whole, cut = map(json.loads, out.splitlines())
    assert code == 0
    assert "warnings" not in whole
    (warning,) = cut["warnings"]
    assert warning.startswith("read only in part: ")
    assert err == f"warning: cut.jpg: {warning}\ncaptioned 2, skipped 0, failed 0\n"
    assert negah("cut.jpg")[2] == f"warning: cut.jpg: {warning}\n"


def test_what_a_folder_leaves_out_is_said(negah) -> None:
    for name in ("b.CR2", "c.cr2", "d.jxl", "e.txt"):
        (Path("there") / name).touch()
    code, out, err = negah("there")
    assert (code, out.count("\n")) == (0, 1)
    assert err == "captioned 1, skipped 0, failed 0; left out: 2 .cr2, 1 .jxl\n"
    assert negah("there", "--sidecar")[2].endswith("left out: 2 .cr2, 1 .jxl\n")


@pytest.mark.parametrize("arguments", [(".", "-r"), ("*",), ("whole.jpg", "there")])
def test_a_folder_that_cannot_be_opened_is_a_failure(negah, monkeypatch, arguments) -> None:
    real = os.scandir

    def locked(path):
        if Path(path).name == "there":
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path)

    monkeypatch.setattr(os, "scandir", locked)
    code, _, err = negah(*arguments)
    assert code == 1
    assert err.count("there: this folder cannot be read: Permission denied") == 1
    assert err.splitlines()[-1].endswith("skipped 0, failed 1")


def test_what_is_too_large_can_be_allowed(negah) -> None:
    large = scene(1300, 1000)
    large.save("large.png")
    large.save("large.jpg")
    assert negah("large.jpg", "--max-pixels", "100000")[0] == 0
    code, _, err = negah("large.png", "--max-pixels", "1M")
    assert code == 1
    assert "more than the limit of 1,000,000; make it smaller, or allow it with --max-pix" in err
    assert negah("large.png", "--max-pixels", "2M")[0] == 0
    assert negah("large.png", "--max-pixels", "1,300,000")[0] == 0


@pytest.mark.parametrize("value", ["0", "-1", "many", "2G", "1.5M", ""])
def test_no_number_of_pixels(negah, value) -> None:
    code, _, err = negah("whole.jpg", "--max-pixels", value)
    assert code == 2
    assert "is not a number of pixels; write 200000000, or 200M" in " ".join(err.split())


def test_the_evidence_of_a_large_photo_is_drawn_small(negah) -> None:
    scene(3000, 2000).save("large.jpg")
    arguments = ("large.jpg", "--max-pixels", "2M", "--picture", "evidence.png")
    assert negah(*arguments)[0] == 0
    with Image.open("evidence.png") as picture:
        assert picture.width < 2000


@pytest.mark.parametrize(
    "command",
    ["caption", "evaluate", "train", "export", "diagnose", "data inspect", "data features"],
)
def test_every_command_that_opens_photos_has_the_option(command, capsys) -> None:
    assert run([*command.split(), "--help"]) == 0
    assert "--max-pixels" in capsys.readouterr().out
