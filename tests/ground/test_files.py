"""The one door for files: links, modes, devices, disks that are full, and nothing left behind."""

from __future__ import annotations

import csv
import json
import os
import resource
import shutil
import stat
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import PATIENCE
from negah.errors import OutputError
from negah.files import atomic_path, open_output, temporary_folder, to_csv, write_json, write_text
from negah.json_layout import to_json
from negah.targets import find_target


def listed(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


class Stop(Exception):  # noqa: N818 - any end that nobody planned
    """Something that ends a block."""


def write_rows(path: Path, *rows: str) -> None:
    with open_output(path) as file:
        for row in rows:
            file.write(row)


WRITERS = [
    pytest.param(lambda path: write_text(path, "new\n"), id="text"),
    pytest.param(lambda path: write_rows(path, "new\n"), id="rows"),
]


@pytest.mark.parametrize("write", WRITERS)
class TestWhereItGoes:
    def test_folders_that_are_missing_are_made(self, write, tmp_path: Path) -> None:
        write(tmp_path / "a" / "b" / "c.txt")
        assert (tmp_path / "a" / "b" / "c.txt").read_text() == "new\n"

    @pytest.mark.parametrize("there", [True, False], ids=["there", "dangling"])
    def test_links_are_followed(self, write, tmp_path: Path, there: bool) -> None:
        (tmp_path / "shared").mkdir()
        if there:
            (tmp_path / "shared" / "c.txt").write_text("old")
        (tmp_path / "first").symlink_to("shared/c.txt")
        (tmp_path / "second").symlink_to(tmp_path / "first")
        write(tmp_path / "second")
        assert (tmp_path / "second").readlink() == tmp_path / "first"
        assert (tmp_path / "shared" / "c.txt").read_text() == "new\n"
        assert listed(tmp_path / "shared") == ["c.txt"]

    def test_a_circle_of_links_is_an_error(self, write, tmp_path: Path) -> None:
        (tmp_path / "a").symlink_to("b")
        (tmp_path / "b").symlink_to("a")
        with pytest.raises(OutputError):
            write(tmp_path / "a")

    def test_a_step_up_behind_a_link_is_the_systems(self, write, tmp_path: Path) -> None:
        (tmp_path / "other" / "deep").mkdir(parents=True)
        (tmp_path / "link").symlink_to("other/deep")
        write(tmp_path / "link" / ".." / "a.txt")
        assert (tmp_path / "other" / "a.txt").read_text() == "new\n"
        assert not (tmp_path / "a.txt").exists()
        (tmp_path / "name").symlink_to("link/../b.txt")
        write(tmp_path / "name")
        assert (tmp_path / "other" / "b.txt").read_text() == "new\n"

    def test_a_link_into_nowhere_makes_no_folders(self, write, tmp_path: Path) -> None:
        (tmp_path / "a.txt").symlink_to("nowhere/deep/a.txt")
        with pytest.raises(OutputError, match="whose folder does not exist"):
            write(tmp_path / "a.txt")
        assert listed(tmp_path) == ["a.txt"]

    def test_a_descriptor_for_reading_is_refused(self, write, tmp_path: Path) -> None:
        (tmp_path / "a.txt").write_text("old")
        with (
            (tmp_path / "a.txt").open() as file,
            pytest.raises(OutputError, match="open for reading alone"),
        ):
            write(Path(f"/dev/fd/{file.fileno()}"))

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
    def test_a_mount_point_is_written_into(self, write, tmp_path: Path) -> None:
        """A file that a container was given cannot be replaced by a rename."""
        for name in ("host", "here"):
            (tmp_path / name).write_text("old")
        mount = ["mount", "--bind", str(tmp_path / "host"), str(tmp_path / "here")]
        if shutil.which("mount") is None or subprocess.run(mount, capture_output=True).returncode:
            pytest.skip("nothing can be mounted here")
        try:
            write(tmp_path / "here")
        finally:
            subprocess.run(["umount", str(tmp_path / "here")], check=True)
        assert (tmp_path / "host").read_text() == "new\n"
        assert sorted(listed(tmp_path)) == ["here", "host"]

    def test_an_odd_umask_does_not_keep_us_out(self, write, tmp_path: Path) -> None:
        before = os.umask(0o777)
        try:
            write(tmp_path / "a.txt")
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "a.txt").stat().st_mode) == 0o600

    @pytest.mark.parametrize("mode", [0o664, 0o600, 0o755])
    def test_the_mode_is_kept(self, write, tmp_path: Path, mode: int) -> None:
        path = tmp_path / "a.txt"
        path.write_text("old")
        path.chmod(mode)
        write(path)
        assert stat.S_IMODE(path.stat().st_mode) == mode

    def test_a_new_file_has_the_mode_of_new_files(self, write, tmp_path: Path) -> None:
        (tmp_path / "usual").touch()
        write(tmp_path / "a.txt")
        assert (tmp_path / "a.txt").stat().st_mode == (tmp_path / "usual").stat().st_mode

    @pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs root")
    def test_root_keeps_the_owner(self, write, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        path.write_text("old")
        os.chown(path, 1234, 4321)
        write(path)
        assert (path.stat().st_uid, path.stat().st_gid) == (1234, 4321)

    def test_a_read_only_file_is_refused(self, write, tmp_path: Path) -> None:
        path = tmp_path / "a.txt"
        path.write_text("old")
        path.chmod(0o444)
        with pytest.raises(OutputError, match="is read-only"):
            write(path)
        assert path.read_text() == "old"

    def test_a_pipe_is_written_into(self, write, tmp_path: Path) -> None:
        pipe = tmp_path / "pipe"
        os.mkfifo(pipe)
        read: list[str] = []
        reader = threading.Thread(target=lambda: read.append(pipe.read_text()))
        reader.start()
        write(pipe)
        reader.join(timeout=PATIENCE)
        assert read == ["new\n"]
        assert stat.S_ISFIFO(pipe.stat().st_mode)

    @pytest.mark.parametrize("name", ["/dev/fd/{}", "/proc/self/fd/{}"])
    def test_an_open_descriptor_is_written_into(self, write, tmp_path: Path, name: str) -> None:
        if not Path("/proc/self/fd").exists():
            pytest.skip("this system has no /proc")
        with (tmp_path / "log").open("a+") as log:
            log.write("before\n")
            log.flush()
            write(Path(name.format(log.fileno())))
        assert (tmp_path / "log").read_text() == "before\nnew\n"

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
    def test_a_device_is_never_replaced(self, write) -> None:
        write(Path(os.devnull))
        with pytest.raises(OutputError, match="/dev/full: No space left on device"):
            write(Path("/dev/full"))
        for device in (os.devnull, "/dev/full"):
            assert stat.S_ISCHR(Path(device).stat().st_mode)

    @pytest.mark.parametrize(
        "name",
        ["a", "ab", "x" * 20, "x" * 255, "\u5199" * 85, os.fsdecode(b"caf\xe9.txt"), "-", "🎈"],
    )
    def test_any_name_that_fits_can_be_written(self, write, tmp_path: Path, name: str) -> None:
        write(tmp_path / name)
        assert listed(tmp_path) == [name]

    def test_a_folder_is_no_file(self, write, tmp_path: Path) -> None:
        with pytest.raises(OutputError, match="is a folder"):
            write(tmp_path)

    def test_a_file_is_no_folder(self, write, tmp_path: Path) -> None:
        (tmp_path / "a").touch()
        with pytest.raises(OutputError):
            write(tmp_path / "a" / "b")


@pytest.mark.parametrize("length", [1, 2, 3, 5, 8, 17, 18, 19, 40, 255])
def test_the_temporary_name_is_no_longer_than_the_final_one(tmp_path: Path, length: int) -> None:
    path = tmp_path / ("n" * length)
    with atomic_path(path) as temporary, atomic_path(path) as another:
        assert temporary.parent == path.parent
        assert len(temporary.name) <= length
        assert another != temporary
    assert listed(tmp_path) == [path.name]


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_what_was_there(tmp_path: Path, error: type[BaseException]) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def write_half() -> None:
        with temporary_folder(path) as folder, atomic_path(path) as temporary:
            (folder / "more").touch()
            temporary.write_text("half")
            raise error

    with pytest.raises(error):
        write_half()
    assert listed(tmp_path) == ["a.txt"]
    assert path.read_text() == "old"


class TestRows:
    @pytest.mark.parametrize("error", [Stop, KeyboardInterrupt, SystemExit])
    def test_what_was_written_is_kept_whatever_ends_the_run(
        self, tmp_path: Path, error: type[BaseException]
    ) -> None:
        path = tmp_path / "a.csv"

        def write(*rows: str) -> None:
            with open_output(path) as file:
                file.begin("head\n")
                for row in rows:
                    file.write(row)
                raise error

        path.write_text("old")
        with pytest.raises(error):
            write()
        assert path.read_text() == "old"  # without a row nothing is replaced
        with pytest.raises(error):
            write("one\n")
        assert path.read_text() == "head\none\n"
        assert listed(tmp_path) == ["a.csv"]

    def test_what_has_appeared_meanwhile_is_not_replaced(self, tmp_path: Path) -> None:
        path = tmp_path / "a.csv"

        def write() -> None:
            with open_output(path) as file:
                file.write("one\n")
                path.write_text("by hand")

        with pytest.raises(
            OutputError, match=r"has appeared there meanwhile; what .* is in "
        ) as it:
            write()
        assert path.read_text() == "by hand"
        assert Path(str(it.value).rpartition(" in ")[2]).read_text() == "one\n"
        with pytest.raises(FileExistsError, match="has appeared"):
            _write_late(tmp_path / "b.txt")
        assert (tmp_path / "b.txt").read_text() == "by hand"

    def test_a_disk_with_room_for_no_whole_file_gets_none(self, tmp_path: Path) -> None:
        def write() -> None:
            with open_output(tmp_path / "a.json") as file:
                try:
                    file.write("[" + "1" * 22)
                finally:
                    file.end("]\n")

        with pytest.raises(OutputError), _at_most(23):
            write()
        assert listed(tmp_path) == []

    def test_a_run_that_ends_without_a_row_says_so(self, tmp_path: Path) -> None:
        with open_output(tmp_path / "a.csv") as file:
            file.begin("head\n")
        assert (tmp_path / "a.csv").read_text() == "head\n"

    @pytest.mark.parametrize("room", [64, 100, 101, 102, 103, 128, 1000])
    def test_a_full_disk_leaves_whole_rows(self, tmp_path: Path, room: int) -> None:
        path = tmp_path / "a.json"

        def write() -> None:
            with open_output(path) as file:
                try:
                    for number in range(100):
                        file.write(("," if number else "[") + json.dumps("x" * 20))
                finally:
                    file.end("]\n")

        with pytest.raises(OutputError, match="File too large"), _at_most(room):
            write()
        assert json.loads(path.read_text()) == ["x" * 20] * ((room - 2) // 23)
        assert listed(tmp_path) == ["a.json"]


def _write_late(path: Path) -> None:
    with atomic_path(path, fresh=True) as temporary:
        temporary.write_text("ours")
        path.write_text("by hand")


@contextmanager
def _at_most(size: int) -> Iterator[None]:
    """No file of this process grows beyond this size, in bytes: a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n", '"', ",", "\u2028", "\udce9"])
def test_cells_of_a_table_come_back(tmp_path: Path, end: str) -> None:
    rows = [["path", "caption"], [f"a{end}b.jpg", f"{end}a cat"], [end, ""]]
    write_text(tmp_path / "a.csv", to_csv(*rows))
    with (tmp_path / "a.csv").open(newline="", encoding="utf-8", errors="surrogateescape") as file:
        assert list(csv.reader(file)) == rows


#: Whatever JSON can hold.
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(alphabet=st.characters(exclude_categories=("Cs",))),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(alphabet=st.characters(exclude_categories=("Cs",))), inner),
    max_leaves=12,
)  # fmt: skip


class TestJson:
    @given(st.text(alphabet=st.characters(exclude_categories=())))
    def test_any_text_is_utf8_and_comes_back(self, text: str) -> None:
        content = to_json({"path": text}).encode("utf-8")
        back = json.loads(content)["path"]
        # two halves that meet become the character that they are halves of
        assert back.encode("utf-16", "surrogatepass") == text.encode("utf-16", "surrogatepass")

    def test_bytes_of_a_name_are_escaped(self, tmp_path: Path) -> None:
        write_json(tmp_path / "a.json", [os.fsdecode(b"caf\xe9"), "\u732b"])
        assert (tmp_path / "a.json").read_bytes() == '[\n  "caf\\udce9",\n  "猫"\n]\n'.encode()

    def test_numbers_take_one_line(self, tmp_path: Path) -> None:
        value = {"curve": [[1, 0.5], [2, 0.25]], "names": ["a", "b"], "empty": {}, "none": []}
        write_json(tmp_path / "a.json", value)
        assert (tmp_path / "a.json").read_text() == (
            '{\n  "curve": [[1, 0.5], [2, 0.25]],\n  "names": [\n    "a",\n    "b"\n  ],\n'
            '  "empty": {},\n  "none": []\n}\n'
        )

    @given(VALUES)
    def test_what_is_written_comes_back(self, value: object) -> None:
        with TemporaryDirectory() as folder:
            write_json(Path(folder) / "a.json", value)
            assert json.loads((Path(folder) / "a.json").read_text(encoding="utf-8")) == value

    def test_what_json_has_not_is_refused(self) -> None:
        with pytest.raises(ValueError, match="JSON compliant"):
            to_json(float("nan"))


def test_a_target_tells_what_stands_there(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert find_target(path).before is None
    path.touch()
    assert find_target(path).before == path.stat()
    assert not find_target(path).is_stream
    assert find_target("/dev/stderr").descriptor == 2
