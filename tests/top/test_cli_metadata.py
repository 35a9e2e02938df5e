"""``negah caption --write-metadata``, and the commands of docs/metadata.md."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from common import REPOSITORY
from negah.cli.main import run
from negah.cli.progress import Tally
from negah.metadata import Naming, Packet, described, sidecar_of
from tiny_photos import make_photos

PAGE = (REPOSITORY / "docs" / "metadata.md").read_text(encoding="utf-8")


@pytest.fixture
def negah(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_photos(Path(), ["holiday/a.jpg", "holiday/b.png", "photo.jpg"])

    def call(line: str) -> tuple[int, str]:
        capsys.readouterr()
        code = run([*shlex.split(line)[1:], "--model", str(tiny_bundle), "--threads", "1"])
        return code, capsys.readouterr().err

    return call


def test_the_commands_of_the_page(negah) -> None:
    for line in re.findall(r"^negah .*$", PAGE, flags=re.MULTILINE):
        code, err = negah(line)
        assert code == 0, err
    assert sorted(path.name for path in Path("holiday").iterdir()) == [
        *("a.jpg", "a.jpg.xmp", "b.png", "b.png.xmp")
    ]
    assert described(Path("captioned/a.jpg"))
    assert not described(Path("holiday/a.jpg"))
    assert described(Path("photo.jpg"))


def test_what_has_a_description_is_skipped(negah, tiny_bundle: Path) -> None:
    line = "negah caption holiday --write-metadata sidecar"
    assert negah(line) == (0, "captioned 2, skipped 0, failed 0\n")
    sidecar = sidecar_of(Path("holiday/a.jpg"), Naming.FULL)
    before = sidecar.read_bytes()
    assert Packet(before).is_own
    assert Packet(before).model == tiny_bundle.name
    code, err = negah(line)
    *reasons, last = err.splitlines()
    assert (code, last) == (0, "captioned 0, skipped 2, failed 0")
    assert reasons[0] == (
        "skipped: holiday/a.jpg: holiday/a.jpg.xmp has a description (--existing replace or "
        "append changes it)"
    )
    assert len(reasons) == 2
    assert sidecar.read_bytes() == before


def test_many_skipped_files_are_counted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tally = Tally(25)
    for number in range(25):
        tally.skipped.append(f"{number}.jpg: has a description")
    tally.report()
    *reasons, more, last = capsys.readouterr().err.splitlines()
    assert len(reasons) == 20
    assert (more, last) == ("skipped: 5 more", "captioned 0, skipped 25, failed 0")


def test_a_copy_that_is_there_stays(negah) -> None:
    line = "negah caption holiday --write-metadata file --copies new"
    assert negah(line)[0] == 0
    code, err = negah(line)
    assert code == 1
    assert "something is there already" in err


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("--in-place", "--in-place needs --write-metadata"),
        ("--existing skip", "--existing needs --write-metadata"),
        ("--write-metadata file", "needs to know where"),
        ("--write-metadata file --in-place --copies x", "needs to know where"),
        ("--write-metadata sidecar --in-place", "--in-place needs --write-metadata file"),
        ("--write-metadata sidecar --format csv", "leave out --sidecar, --output and --format"),
    ],
)
def test_contradictions(negah, options: str, message: str) -> None:
    code, err = negah(f"negah caption photo.jpg {options}")
    assert code == 2
    assert message in err
