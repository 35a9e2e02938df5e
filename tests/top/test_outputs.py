"""No output takes the place of an input: every command, every option that names a file."""

from __future__ import annotations

import inspect
import os
import shutil
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import typer
from PIL import Image
from PIL.PngImagePlugin import PngInfo
from typer.models import ArgumentInfo

from negah.cli.lazy import Command, CommandGroup, load_function
from negah.cli.main import COMMANDS, run
from negah.cli.paths import READS_CAPTIONS, Reads, Writes, label_of, marked
from negah.errors import UsageError
from negah.outputs import PNG_MARK, OutputKind, Outputs, check_picture_folder

Function = Callable[..., None]

#: One of these stands in the line that a refusal is.
REFUSALS = ("would replace", "could replace", "that this run reads")


def commands(
    group: CommandGroup, above: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Function]]:
    for name, command in group.commands.items():
        if isinstance(command, Command):
            yield (*above, name), load_function(command)
        else:
            yield from commands(command, (*above, name))


EVERY_COMMAND = [
    pytest.param(words, function, id=" ".join(words)) for words, function in commands(COMMANDS)
]
EVERY_PAIR = [
    pytest.param(words, function, output, given, id=f"{' '.join(words)}-{output}-{given}")
    for words, function in commands(COMMANDS)
    for output, writes in marked(function).items()
    for given, reads in marked(function).items()
    if isinstance(writes.mark, Writes) and isinstance(reads.mark, Reads)
]


def command_line(
    words: tuple[str, ...], function: Function, values: Mapping[str, str], filler: str
) -> list[str]:
    """A call of the command with these values, and with the filler for what else it must have."""
    hints = typing.get_type_hints(function, include_extras=True)
    line = list(words)
    for name, parameter in inspect.signature(function).parameters.items():
        needed = parameter.default is inspect.Parameter.empty
        if (name not in values and not needed) or hints[name] is typer.Context:
            continue
        notes = hints[name].__metadata__
        if not any(isinstance(note, ArgumentInfo) for note in notes):
            line.append(label_of(name, notes))
        line.append(values.get(name, filler))
    return line


@pytest.mark.parametrize(("words", "function"), EVERY_COMMAND)
def test_every_path_is_marked(words: tuple[str, ...], function: Function) -> None:
    """A new option that names a file says whether it reads or writes, and is tested below."""
    hints = typing.get_type_hints(function)
    assert {name for name, hint in hints.items() if "Path" in str(hint)} <= set(marked(function))


#: Folders that a command keeps its own files in.
CACHES = {"features", "root", "work"}


@pytest.mark.parametrize(("words", "function"), EVERY_COMMAND)
def test_every_output_is_reported(words: tuple[str, ...], function: Function) -> None:
    """By what its annotation says, or by the command, in the same words."""
    quiet = {
        name
        for name, one in marked(function).items()
        if isinstance(one.mark, Writes) and not one.mark.what and name not in CACHES
    }
    by_itself = "say_written(" in inspect.getsource(inspect.getmodule(function) or function)
    # a training names its folder in its last lines, and exports a bundle, which is reported
    assert not quiet or by_itself or words == ("train",)


@pytest.mark.parametrize(("words", "function", "output", "given"), EVERY_PAIR)
def test_no_output_replaces_an_input(
    words: tuple[str, ...],
    function: Function,
    output: str,
    given: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Named alike, by another spelling, by either kind of link: refused, and nothing is touched."""
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("filler.png")
    shutil.copy("filler.png", "input.png")
    Path("inputs").mkdir()
    mark = marked(function)[output].mark
    name = "inputs" if isinstance(mark, Writes) and mark.kind is OutputKind.FOLDER else "input.png"
    Path("soft").symlink_to(name)
    Path("soft.png").symlink_to(name)
    os.link("input.png", "hard.png")
    spellings = [name, f"./inputs/../{name}", str(Path(name).absolute())]
    spellings += ["soft"] if name == "inputs" else ["soft.png", "hard.png"]
    before = contents(tmp_path)
    for spelling in spellings:
        values = {given: name, output: spelling}
        line = command_line(words, function, values, "filler.png")
        assert run(line) == 2, line
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1), line
        assert any(words in said.err for words in REFUSALS), (line, said.err)
    assert contents(tmp_path) == before


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else b""
        for path in folder.rglob("*")
    }


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    Image.new("RGB", (8, 8)).save("photo.png")
    Image.new("RGB", (8, 8)).save("photo.jpg")
    Path("clip.mp4").write_bytes(b"\0\0\0\x20ftypisom")
    Path("model.onnx").write_bytes(b"\x08\x0a\x12\0")
    Path("notes.txt").write_text("old\n")
    Path("empty.jpg").touch()
    mark = PngInfo()
    mark.add_text(*PNG_MARK)
    Image.new("RGB", (8, 8)).save("drawn.png", pnginfo=mark)
    return tmp_path


class TestWhatMayBeReplaced:
    """Also what this run does not read: `--output *.jpg` names a photo by accident."""

    @pytest.mark.parametrize(
        ("name", "kind", "lost"),
        [
            ("photo.jpg", OutputKind.TEXT, "the photo"),
            ("photo.png", OutputKind.TEXT, "the photo"),
            ("clip.mp4", OutputKind.TEXT, "the clip"),
            ("model.onnx", OutputKind.TEXT, "which is no text"),
            ("drawn.png", OutputKind.TEXT, "the photo"),
            ("photo.png", OutputKind.PICTURE, "the photo"),
            ("clip.mp4", OutputKind.PICTURE, "the clip"),
            ("model.onnx", OutputKind.PICTURE, "no picture"),
            ("notes.txt", OutputKind.TEXT, None),
            ("empty.jpg", OutputKind.TEXT, None),
            ("drawn.png", OutputKind.PICTURE, None),
            ("new.png", OutputKind.PICTURE, None),
        ],
    )
    def test_by_kind(self, here: Path, name: str, kind: OutputKind, lost: str | None) -> None:
        if lost is None:
            Outputs().write(name, f"--x {name}", kind)
            return
        with pytest.raises(UsageError, match=rf"--x {name} would replace .*{lost}"):
            Outputs().write(name, f"--x {name}", kind)

    def test_a_folder_for_pictures_holds_no_photos(self, here: Path) -> None:
        with pytest.raises(UsageError, match=r"holds photos, such as empty\.jpg"):
            check_picture_folder(here, "--picture .")
        for name in ("photo.jpg", "photo.png", "empty.jpg"):
            Path(name).unlink()
        check_picture_folder(here, "--picture .")
        check_picture_folder(here / "new", "--picture new")


class TestTwoOutputs:
    @pytest.mark.parametrize("other", ["a.csv", "./a.csv", "x/../a.csv", "link"])
    @pytest.mark.parametrize("there", [True, False])
    def test_of_one_name_are_refused(self, here: Path, other: str, there: bool) -> None:
        Path("x").mkdir()
        Path("link").symlink_to("a.csv")
        if there:
            Path("a.csv").write_text("old")
        outputs = Outputs()
        outputs.write("a.csv", "--json a.csv")
        with pytest.raises(UsageError, match=r"--per-image .* and --json a\.csv are one file"):
            outputs.write(other, f"--per-image {other}")

    def test_may_be_one_device(self) -> None:
        outputs = Outputs()
        outputs.write(os.devnull, "--json")
        outputs.write(os.devnull, "--per-image")

    def test_may_not_be_one_pipe(self, here: Path) -> None:
        os.mkfifo("pipe")
        outputs = Outputs()
        outputs.write("pipe", "--json pipe")
        with pytest.raises(UsageError, match="--per-image pipe and --json pipe are one file"):
            outputs.write("pipe", "--per-image pipe")

    def test_are_not_in_each_other(self, here: Path) -> None:
        outputs = Outputs()
        outputs.write("out", "--output out")
        with pytest.raises(UsageError, match="is in --output out, which is no folder"):
            outputs.write("out/a.csv", "--json out/a.csv")
        with pytest.raises(UsageError, match="is in --output out"):
            outputs.write("out", "--picture out", OutputKind.FOLDER)
        outputs.write("pics", "--picture pics", OutputKind.FOLDER)
        with pytest.raises(UsageError, match="is the folder of --picture pics"):
            outputs.write("pics", "--json pics")

    def test_a_descriptor_of_an_input_is_that_input(self, here: Path) -> None:
        outputs = Outputs()
        outputs.read(["notes.txt"])
        with (
            Path("notes.txt").open("a") as file,
            pytest.raises(UsageError, match=r"would replace notes\.txt"),
        ):
            outputs.write(f"/dev/fd/{file.fileno()}", "--json")

    def test_an_input_that_is_read_only_is_an_input_first(self, here: Path) -> None:
        Path("notes.txt").chmod(0o444)
        outputs = Outputs()
        outputs.read(["notes.txt"])
        with pytest.raises(UsageError, match=r"would replace notes\.txt"):
            outputs.write("notes.txt", "--json")

    def test_lists_beside_a_file_are_inputs(self, here: Path) -> None:
        for name in ("Flickr8k.token.txt", "Flickr_8k.testImages.txt", "scores.json"):
            Path(name).touch()
        found = [path.name for path in READS_CAPTIONS.files(Path("Flickr8k.token.txt"))]
        assert found == ["Flickr8k.token.txt", "Flickr_8k.testImages.txt"]

    def test_standard_output_counts(self, here: Path) -> None:
        with Path("log.txt").open("a") as log:
            outputs = Outputs()
            outputs.write_descriptor(log.fileno(), "standard output")
            with pytest.raises(UsageError, match="and standard output are one file"):
                outputs.write("log.txt", "--output log.txt")
            with pytest.raises(UsageError, match=r"standard output would replace log\.txt"):
                outputs.read(["log.txt"])

    def test_the_list_on_standard_input_is_an_input(self, here: Path) -> None:
        with Path("notes.txt").open() as given:
            outputs = Outputs()
            outputs.read_descriptor(given.fileno())
            with pytest.raises(UsageError, match="would replace standard input"):
                outputs.write("notes.txt", "--output notes.txt")


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        (".", "is a folder"),
        ("notes.txt/a.csv", "is no folder|Not a directory"),
        ("n" * 256, "File name too long"),
        ("a\0b", "null byte"),
        ("read-only.txt", "is read-only"),
    ],
)
def test_what_cannot_be_written_is_refused_before_work_starts(
    here: Path, path: str, reason: str
) -> None:
    Path("read-only.txt").write_text("old")
    Path("read-only.txt").chmod(0o444)
    with pytest.raises(UsageError, match=f"cannot write to --x: .*({reason}); choose another"):
        Outputs().write(path, "--x")
    assert Path("read-only.txt").read_text() == "old"
