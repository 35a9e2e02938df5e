"""The page to review captions, and ``negah apply``: the commands of docs/review.md."""

from __future__ import annotations

import html
import re
import shlex
from pathlib import Path

import pytest
from PIL import Image

from common import REPOSITORY
from negah.captions import Caption, Word
from negah.cli.contact_sheet import HtmlWriter
from negah.cli.main import run
from negah.cli.writers import OutputFormat, OutputLayout, RowBuffer
from negah.metadata import Naming, Packet, described, sidecar_of
from tiny_photos import make_photos

PAGE = (REPOSITORY / "docs" / "review.md").read_text(encoding="utf-8")
TABLE = (
    "path,caption,by,model\r\n"
    'holiday/a.jpg,"a cat, asleep",person,\r\n'
    "holiday/b.png,a dog,negah,tiny\r\n"
)


@pytest.fixture
def negah(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys):
    monkeypatch.chdir(tmp_path)
    make_photos(Path("holiday"), ["a.jpg", "b.png"])

    def call(line: str) -> tuple[int, str]:
        capsys.readouterr()
        model = ["--model", str(tiny_bundle), "--threads", "1"] if " caption " in line else []
        code = run([*shlex.split(line)[1:], *model])
        return code, capsys.readouterr().err

    return call


def packet(name: str) -> Packet:
    return Packet(sidecar_of(Path(name), Naming.FULL).read_bytes())


def test_the_commands_of_the_page(negah, tiny_bundle: Path) -> None:
    Path("corrections.csv").write_text(TABLE.replace("\r\n", "\n"), encoding="utf-8")
    for line in re.findall(r"^negah .*$", PAGE, flags=re.MULTILINE):
        code, err = negah(line)
        assert code == 0, err
    assert Path("review.html").read_text("utf-8").count('<li class="card"') == 2
    page = Path("choose.html").read_text("utf-8")
    assert page.count('<li class="card"') == 2
    assert page.count("data:image/jpeg;base64,") == 2
    assert f'data-model="{tiny_bundle.name}"' in page
    assert page.count('<div class="others">') == 2
    assert packet("holiday/a.jpg").description == "a cat, asleep"
    assert packet("holiday/a.jpg").alt == "A cat, asleep."
    assert not packet("holiday/a.jpg").is_own
    assert packet("holiday/b.png").is_own
    assert packet("holiday/b.png").model == "tiny"
    assert described(Path("captioned/a.jpg"))
    assert described(Path("holiday/b.png"))


def test_corrections_in_another_language_stand_under_its_name(negah) -> None:
    rows = ("a.jpg,سگ در برف,person,,fa", "b.png,a dog,negah,tiny,en", "c.png,گربه,person,,")
    Image.new("RGB", (9, 9)).save("holiday/c.png")
    table = "\n".join(["path,caption,by,model,language", *rows])
    Path("fa.csv").write_text(f"\ufeff{table}\n", encoding="utf-8")
    assert negah("negah apply fa.csv --images holiday --language fa")[0] == 0
    found = {name: packet(f"holiday/{name}") for name in ("a.jpg", "b.png", "c.png")}
    assert {name: one.in_language("fa") for name, one in found.items()} == {
        "a.jpg": ("سگ در برف", "سگ در برف."),
        "b.png": ("", ""),
        "c.png": ("گربه", "گربه."),
    }
    assert [one.description for one in found.values()] == ["سگ در برف", "a dog", "گربه"]


def test_texts_of_people_are_kept(negah) -> None:
    Path("first.csv").write_text("path,caption\nholiday/a.jpg,mine\n")
    Path("second.csv").write_text("path,caption\nholiday/a.jpg,another\n")
    assert negah("negah apply first.csv") == (0, "written 1, skipped 0, failed 0\n")
    _, err = negah("negah caption holiday --write-metadata sidecar")
    assert err.splitlines()[-1] == "captioned 1, skipped 1, failed 0"
    assert negah("negah apply second.csv --existing skip") == (
        0,
        "skipped: holiday/a.jpg: holiday/a.jpg.xmp has a description (--existing replace or append "
        "changes it)\nwritten 0, skipped 1, failed 0\n",
    )
    assert negah("negah apply second.csv")[0] == 0
    assert packet("holiday/a.jpg").description == "another"
    assert b"<negah:Previous>mine" in sidecar_of(Path("holiday/a.jpg"), Naming.FULL).read_bytes()


def test_rows_that_cannot_be_applied_are_reported(negah) -> None:
    Path("outside.jpg").write_bytes(Path("holiday/a.jpg").read_bytes())
    rows = (
        "a.jpg,'=one",
        "x/a.jpg,two",
        "../outside.jpg,three",
        "not there.jpg,four",
        "b.txt,five",
    )
    Path("rows.csv").write_text("\n".join(["path,caption", *rows]))
    code, err = negah("negah apply rows.csv --images holiday")
    assert code == 1
    assert err.endswith("written 1, skipped 0, failed 4\n")
    for words in ("line 3: ", "an earlier row", "no such file in holiday", "suffix is not that"):
        assert words in err
    assert packet("holiday/a.jpg").description == "=one"
    assert not Path("outside.jpg.xmp").exists()


@pytest.mark.parametrize(
    ("table", "words"),
    [
        ("", "the columns path and caption"),
        ("path,text\na.jpg,b\n", "the columns path and caption"),
        ("path,caption\na.jpg,\n", "line 2: it has no caption"),
        ("path,caption\n,b\n", "line 2: it has no path"),
        ("path,caption,language\na.jpg,b,x y\n", "line 2: its language is 'x y': name it by"),
    ],
)
def test_other_tables_are_refused(negah, table: str, words: str) -> None:
    Path("table.csv").write_text(table)
    code, err = negah("negah apply table.csv")
    assert code in (1, 2)
    assert words in err


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("negah apply table.csv --images nowhere", "there is no such folder"),
        ("negah apply table.csv --language x-default", "name it by its code, such as fa"),
        ("negah apply table.csv --in-place", "--in-place needs --write-metadata file"),
        ("negah apply table.csv --write-metadata file", "needs to know where"),
        ("negah caption holiday --format html --scenes", "not of scenes"),
        ("negah caption holiday --format html --sidecar", "--sidecar writes text"),
    ],
)
def test_wrong_usage(negah, line: str, words: str) -> None:
    Path("table.csv").write_text("path,caption\nholiday/a.jpg,b\n")
    code, err = negah(line)
    assert code == 2
    assert words in err


def test_what_captions_say_is_no_markup(tmp_path: Path) -> None:
    name = tmp_path / 'a "<b>.jpg'
    Image.linear_gradient("L").save(name)
    words = (Word("<i>dog", -1.0, seen=0.2), Word("&", -1.0), Word("grass", -1.0, seen=0.9))
    caption = Caption("<i>dog & grass", -1.0, -2.0, words, confidence=0.1234)
    rows = RowBuffer()
    writer = HtmlWriter(rows, OutputLayout(OutputFormat.HTML, model="tiny"))
    writer.write(name, caption)
    writer.finish()
    assert "<i>" not in rows.text
    assert "<b>" not in rows.text
    assert 'data-confidence="0.1234"' in rows.text
    assert "with a probability of 12%" in rows.text
    assert '<span class="unsure">&lt;i&gt;dog</span> &amp; grass' in rows.text
    assert f'data-path="{html.escape(str(name))}"' in rows.text
    assert rows.text.rstrip().endswith("</html>")
