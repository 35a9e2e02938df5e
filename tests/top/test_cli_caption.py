"""``negah caption`` as a user meets it: outputs, failures, exit codes."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from negah.captions import Caption
from negah.cli.caption import caption as caption_command
from negah.cli.lazy import Command, CommandGroup, build_group
from negah.cli.main import run
from negah.cli.wording import Wording
from tiny_photos import make_photos


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("album")
    make_photos(folder, ["a.png", "b.jpg", "c.webp", "deep/d.png"], size=(80, 60))
    return folder


@pytest.fixture
def album(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for each test, which is where the command runs."""
    shutil.copytree(originals, tmp_path / "album")
    monkeypatch.chdir(tmp_path)
    return Path("album")


class Outcome:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture
def negah(tiny_bundle: Path, album: Path, capsys: pytest.CaptureFixture[str]):
    def call(*arguments: str | Path, model: bool = True) -> Outcome:
        capsys.readouterr()
        given = ["--model", str(tiny_bundle), "--threads", "1"] if model else []
        code = run(["caption", *map(str, arguments), *given])
        return Outcome(code, *capsys.readouterr())

    return call


def test_one_photo_gives_its_caption_alone(negah) -> None:
    done = negah("album/a.png")
    assert (done.code, done.err) == (0, "")
    assert done.out.count("\n") == 1
    assert "album" not in done.out


def test_a_folder_gives_a_line_for_each_photo_in_order(negah) -> None:
    done = negah("album")
    assert done.code == 0
    paths = [line.split(": ")[0] for line in done.out.splitlines()]
    assert paths == ["album/a.png", "album/b.jpg", "album/c.webp"]
    assert done.err == "captioned 3, skipped 0, failed 0\n"
    alone = [negah(path).out.strip() for path in paths]
    assert [line.split(": ", 1)[1] for line in done.out.splitlines()] == alone


@pytest.mark.parametrize(
    ("inputs", "expected"),
    [
        (["album", "--recursive"], ["a.png", "b.jpg", "c.webp", "deep/d.png"]),
        (["album/*.png"], ["a.png"]),
        (["album/**/*.png"], ["a.png", "deep/d.png"]),
        (["album/b.jpg", "album/a.png"], ["b.jpg", "a.png"]),
        (["album/b.jpg", "album"], ["b.jpg", "a.png", "c.webp"]),
    ],
)
def test_inputs(negah, inputs: list[str], expected: list[str]) -> None:
    done = negah(*inputs)
    assert done.code == 0
    assert [line.split(": ")[0] for line in done.out.splitlines()] == [
        f"album/{name}" for name in expected
    ]


def test_a_list_on_standard_input(negah, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("album/b.jpg\nalbum/a.png\n"))
    done = negah("-")
    assert done.code == 0
    assert [line.split(": ")[0] for line in done.out.splitlines()] == ["album/b.jpg", "album/a.png"]


def test_json_lines_hold_the_evidence(negah) -> None:
    done = negah("album", "--format", "jsonl")
    rows = [json.loads(line) for line in done.out.splitlines()]
    assert [row["path"] for row in rows] == ["album/a.png", "album/b.jpg", "album/c.webp"]
    word = rows[0]["words"][0]
    assert set(word) == {"text", "logprob", "gate", "regions", "frames", "phrases"}
    assert np.array(word["regions"]).shape == (1, 2, 2)
    assert rows[0]["caption"].split()[0] == word["text"]


def test_json_is_one_array_of_the_same(negah) -> None:
    lines = negah("album", "--format", "jsonl").out.splitlines()
    assert json.loads(negah("album", "--format", "json").out) == [json.loads(row) for row in lines]


def test_json_without_a_readable_photo_is_an_empty_array(negah) -> None:
    Path("text.jpg").write_text("hello")
    done = negah("text.jpg", "--format", "json")
    assert (done.code, json.loads(done.out)) == (1, [])


def test_evidence_can_be_left_out(negah) -> None:
    done = negah("album/a.png", "--format", "jsonl", "--no-evidence", "--n-best", "2")
    row = json.loads(done.out)
    assert set(row) == {"path", "caption", "score", "logprob", "alternatives"}
    assert set(row["alternatives"][0]) == {"caption", "score", "logprob"}


def test_csv_has_quotes_where_they_are_needed(negah) -> None:
    Path("album/a.png").rename('album/a, "b".png')
    done = negah("album", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(done.out)))
    assert list(rows[0]) == ["path", "caption", "score"]
    assert rows[0]["path"] == 'album/a, "b".png'
    assert float(rows[0]["score"]) < 0


def test_n_best_in_csv_and_text(negah) -> None:
    rows = list(csv.DictReader(io.StringIO(negah("album", "-f", "csv", "--n-best", "2").out)))
    assert [row["rank"] for row in rows] == ["1", "2"] * 3
    lines = negah("album", "--n-best", "2").out.splitlines()
    assert lines == [f"{row['path']}: {row['caption']}" for row in rows]


def test_decoding_options_reach_the_decoder(negah) -> None:
    assert len(negah("album/a.png", "--max-length", "2").out.split()) <= 2
    one = json.loads(negah("album/a.png", "-f", "jsonl", "--beam", "1").out)
    ten = json.loads(negah("album/a.png", "-f", "jsonl", "--beam", "10").out)
    assert ten["score"] >= one["score"]
    assert json.loads(negah("album/a.png", "-f", "jsonl", "--decoding", "beam=10").out) == ten


def test_alternative_text_is_a_sentence(negah) -> None:
    plain = negah("album/a.png").out.strip()
    long = ("--max-chars", "2000")  # made-up models find no end
    done = negah("album/a.png", "--alt", *long, "--n-best", "2", "-f", "jsonl")
    assert (done.code, done.err) == (0, "")
    row = json.loads(done.out)
    assert row["caption"] == f"{plain[0].upper()}{plain[1:]}."
    assert row["alternatives"][0]["caption"].endswith(".")
    assert " ".join(word["text"] for word in row["words"]) == plain  # what the model said


def test_a_caption_that_does_not_fit_is_a_failure(negah, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("negah.text.alt.alt_text", lambda text, **options: None)
    done = negah("album/a.png", "--alt", "--max-chars", "30")
    assert (done.code, done.out) == (1, "")
    assert "album/a.png: its caption has no sentence of 30 characters or fewer" in done.err


def test_wording_of_a_caption_and_its_alternatives() -> None:
    words = ("a man and his dog", "a man with a very long story of his dog and of his cat")
    captions = [Caption(text, -1.0, -5.0, ()) for text in words]
    caption = replace(captions[0], alternatives=(captions[1],), warnings=("read in part",))
    worded = Wording(alt=True, max_chars=40, neutral_people=True).of(Path("a.jpg"), caption)
    assert worded.text == "A person and their dog."
    assert worded.alternatives == ()  # no sentence of it fits
    assert worded.warnings == ("read in part",)
    assert Wording().of(Path("a.jpg"), caption) is caption


def test_a_limit_without_alternative_text_is_refused(negah) -> None:
    done = negah("album/a.png", "--max-chars", "40")
    assert done.code == 2
    assert "--max-chars is for alternative text: add --alt" in done.err


def test_output_goes_to_the_file(negah) -> None:
    expected = negah("album", "--format", "csv").out
    done = negah("album", "--format", "csv", "--output", "new/captions.csv")
    assert (done.code, done.out) == (0, "")
    assert Path("new/captions.csv").read_text() == expected
    assert {path.name for path in Path("new").iterdir()} == {"captions.csv", "captions.csv.job"}


def test_a_bad_file_is_reported_and_skipped(negah) -> None:
    Path("album/bad.jpg").write_text("hello")
    done = negah("album")
    assert done.code == 1
    assert len(done.out.splitlines()) == 3
    assert done.err.splitlines() == [
        "failed: album/bad.jpg: is not an image (looks like text)",
        "captioned 3, skipped 0, failed 1",
    ]


class TestSidecars:
    def test_a_text_file_stands_beside_each_photo(self, negah) -> None:
        captions = dict(line.split(": ", 1) for line in negah("album").out.splitlines())
        done = negah("album", "--sidecar")
        assert (done.code, done.out) == (0, "")
        for path, text in captions.items():
            assert Path(path).with_suffix(".txt").read_text() == text + "\n"

    def test_existing_ones_are_left_alone_so_that_a_run_can_go_on(self, negah) -> None:
        Path("album/b.txt").write_text("mine\n")
        done = negah("album", "--sidecar")
        reason = "skipped: album/b.jpg: album/b.txt exists (--overwrite replaces it)\n"
        assert (done.code, done.err) == (0, f"{reason}captioned 2, skipped 1, failed 0\n")
        assert Path("album/b.txt").read_text() == "mine\n"
        again = negah("album", "--sidecar").err.splitlines()
        assert again[-1] == "captioned 0, skipped 3, failed 0"
        assert [line.split(": ")[1] for line in again[:-1]] == [
            *("album/a.png", "album/b.jpg", "album/c.webp"),
        ]

    def test_overwrite_replaces_them(self, negah) -> None:
        Path("album/b.txt").write_text("mine\n")
        assert (
            negah("album", "--sidecar", "--overwrite").err == "captioned 3, skipped 0, failed 0\n"
        )
        assert Path("album/b.txt").read_text() != "mine\n"

    def test_two_photos_never_share_one(self, negah) -> None:
        shutil.copy("album/a.png", "album/a.webp")
        done = negah("album", "--sidecar")
        assert done.code == 1
        assert "failed: album/a.webp: its sidecar album/a.txt" in done.err
        assert "captioned 3, skipped 0, failed 1" in done.err

    def test_a_photo_is_never_its_own(self, negah) -> None:
        shutil.copy("album/a.png", "photo.txt")
        before = Path("photo.txt").read_bytes()
        assert negah("photo.txt", "--sidecar", "--overwrite").code == 1
        assert Path("photo.txt").read_bytes() == before

    def test_one_that_cannot_be_written_is_a_failure_of_its_photo(self, negah) -> None:
        Path("album/b.txt").mkdir()
        done = negah("album", "--sidecar", "--overwrite")
        assert done.code == 1
        assert "failed: album/b.jpg: cannot write to its sidecar album/b.txt" in done.err
        assert Path("album/c.txt").is_file()

    def test_links_are_followed_modes_kept_and_what_is_read_only_is_left(self, negah) -> None:
        Path("shared").mkdir()
        for name, mode in {"a": 0o664, "b": 0o444}.items():
            Path("shared", f"{name}.txt").write_text("old\n")
            Path("shared", f"{name}.txt").chmod(mode)
            Path("album", f"{name}.txt").symlink_to(f"../shared/{name}.txt")
        done = negah("album", "--sidecar", "--overwrite")
        assert done.code == 1
        assert done.err.startswith(
            "failed: album/b.jpg: cannot write to its sidecar album/b.txt: is"
        )
        assert Path("shared/b.txt").read_text() == "old\n"
        assert Path("shared/a.txt").read_text() != "old\n"
        assert Path("shared/a.txt").stat().st_mode & 0o777 == 0o664
        assert Path("album/a.txt").is_symlink()

    def test_two_spellings_of_a_folder_are_one(self, negah) -> None:
        Path("album/a.webp").write_bytes(Path("album/c.webp").read_bytes())
        Path("same").symlink_to("album")
        done = negah("album/a.png", "same/a.webp", "same/a.png", "--sidecar")
        assert done.code == 1
        assert "failed: same/a.webp: its sidecar same/a.txt would be the file or" in done.err
        assert "skipped: same/a.png: is album/a.png, whose sidecar is same/a.txt\n" in done.err
        assert "captioned 1, skipped 1, failed 1" in done.err

    def test_a_folder_is_no_sidecar(self, negah) -> None:
        Path("album/b.txt").mkdir()
        done = negah("album", "--sidecar")
        assert (
            "failed: album/b.jpg: cannot write to its sidecar album/b.txt: is a folder" in done.err
        )
        assert "captioned 2, skipped 0, failed 1" in done.err

    def test_one_in_the_place_of_an_input_is_a_failure_of_its_photo(self, negah) -> None:
        Path("album/a.txt").symlink_to("b.jpg")
        before = Path("album/b.jpg").read_bytes()
        done = negah("album", "--sidecar", "--overwrite")
        assert "failed: album/a.png: its sidecar album/a.txt would replace album/b.jpg" in done.err
        assert (done.code, Path("album/b.jpg").read_bytes()) == (1, before)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (["nowhere.jpg"], "no such file or folder: nowhere.jpg"),
        (["album/a.pgn"], "Did you mean album/a.png?"),
        (["empty"], "no photos or clips in empty"),
        (["*.jpg"], "nothing matches '*.jpg'"),
        (["album", "--format", "xml"], "'xml' is not one of"),
        (["album", "--bean", "3"], "No such option: --bean"),
        (["album", "--beam", "0"], "--beam"),
        (["album", "--beam", "2", "--n-best", "3"], "raise beam"),
        (["album", "--decoding", "beam"], "write OPTION=VALUE"),
        (["album", "--decoding", "n_best=3"], "use --n-best N"),
        (["album", "--decoding", "beem=3"], "Did you mean 'beam'"),
        (["album", "--decoding", "support=1"], "chooses captions by concepts"),
        (["album", "--overwrite"], "add --sidecar"),
        (["album", "--sidecar", "--output", "x"], "leave out --output"),
        (["album", "--sidecar", "--format", "csv"], "leave out --sidecar"),
        (["album", "--scenes"], "--scenes is for clips, but there are none"),
        (["album", "--every", "5"], "--every is for clips"),
        (["album", "--frames", "5"], "--frames is for clips"),
        (["album", "--frames", "0"], "--frames"),
        (["album", "--every", "0"], "above 0"),
        (["album", "--scenes", "--every", "5"], "leave one out"),
        (["album", "--format", "srt"], "no clips in album"),
        (["album/a.png", "--format", "vtt"], "counts as a photo"),
        (["album", "--format", "srt", "--only", "photos"], "photos have no times"),
        (["album", "--output", "captions.xlsx"], "not written as .xlsx. Name a file in .csv"),
        (["album", "--output", "captions.jsonl.gz"], "not written as .gz"),
        (["album", "--only", "clips"], "no clips in album"),
        (["album", "--only", "films"], "'films' is not one of"),
        (["album", "--format", "vtt", "--n-best", "2"], "leave out --n-best"),
        (["album", "--evidence"], "use --format json"),
        (["album", "--output", "empty"], "is a folder"),
        (["album", "--output", "album/a.png/x"], "cannot write to --output"),
        (["album/a.png", "--output", "album/b.jpg"], "would replace the photo"),
        (["album", "--picture", "album"], "holds photos, such as a.png"),
        (["album/a.png", "--picture", "album"], "holds photos, such as a.png"),
        (["album", "--picture", "p", "--output", "p/a.png"], "are one file"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage(negah, arguments: list[str], message: str) -> None:
    Path("empty").mkdir()
    done = negah(*arguments)
    assert done.code == 2
    assert message in done.err
    assert "Traceback" not in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("model", "code", "message"),
    [("nowhere", 2, "'nowhere'"), ("album", 1, "holds no file bundle.json")],
)
def test_a_model_that_is_none(negah, model: str, code: int, message: str) -> None:
    done = negah("album", "--model", model, model=False)
    assert (done.code, done.out) == (code, "")
    assert message in done.err


class TestTheCommandLineItself:
    def test_version_and_help(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["--version"]) == 0
        assert capsys.readouterr().out.startswith("negah ")
        assert run(["--help"]) == 0
        assert "caption " in capsys.readouterr().out

    def test_an_unknown_command_names_the_nearest(self, capsys: pytest.CaptureFixture[str]) -> None:
        assert run(["captoin", "x"]) == 2
        assert "Did you mean 'caption'?" in capsys.readouterr().err

    def test_a_missing_extra_gives_the_install_command(
        self, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
    ) -> None:
        group = CommandGroup("", {"train": Command("", "tests_missing_extra:train")})
        monkeypatch.setitem(sys.modules, "torch", None)
        monkeypatch.setattr("negah.cli.main.COMMANDS", group)
        folder = Path(__file__).parent / "nothing"
        monkeypatch.setattr(sys, "path", [*sys.path, str(folder)])
        module = type(sys)("tests_missing_extra")
        exec("def train():\n    import torch\n", vars(module))
        monkeypatch.setitem(sys.modules, "tests_missing_extra", module)
        assert run(["train"]) == 1
        assert "pip install 'negah[train]'" in capsys.readouterr().err

    def test_help_of_a_command_keeps_its_examples(self) -> None:
        command = build_group(
            "negah", CommandGroup("", {"caption": Command("", "negah.cli.caption:caption")})
        ).get_command(None, "caption")
        assert command.help.startswith((caption_command.__doc__ or "").split("\n")[0])
