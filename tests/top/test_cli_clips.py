"""``negah caption`` on clips: formats, sidecars, pictures, odd files, and films of ten minutes."""

from __future__ import annotations

import csv
import io
import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from common import PATIENCE
from negah.cli.main import run
from odd_clips import ODD, REFUSED
from tiny_clips import blocks, film, make_clip


class Outcome:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err


@pytest.fixture(scope="module")
def originals(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    (folder / "a.mkv").write_bytes(film(3, 4))
    (folder / "b.mp4").write_bytes(make_clip([blocks(3)] * 10, rate=5))
    Image.fromarray(blocks(4)).save(folder / "c.png")
    return folder


@pytest.fixture
def clips(originals: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of its own for each test: two scenes, one scene, a photo."""
    shutil.copytree(originals, tmp_path / "clips")
    monkeypatch.chdir(tmp_path)
    return Path("clips")


@pytest.fixture
def negah(tiny_bundle: Path, clips: Path, capsys: pytest.CaptureFixture[str]):
    def call(*arguments: str | Path) -> Outcome:
        capsys.readouterr()
        code = run(["caption", *map(str, arguments), "--model", str(tiny_bundle), "--threads", "1"])
        return Outcome(code, *capsys.readouterr())

    return call


def test_one_clip_gives_its_caption_alone(negah) -> None:
    done = negah("clips/a.mkv")
    assert (done.code, done.err) == (0, "")
    assert re.fullmatch(r"[a-z ]+\n", done.out)


def test_scenes_are_lines_with_times(negah) -> None:
    done = negah("clips/a.mkv", "--scenes")
    assert (done.code, done.err) == (0, "")
    first, second = done.out.splitlines()
    assert re.fullmatch(r"0:00\.0 - 0:03\.0  [a-z ]+", first)
    assert re.fullmatch(r"0:03\.0 - 0:07\.0  [a-z ]+", second)


def test_a_folder_of_photos_and_clips(negah) -> None:
    done = negah("clips")
    assert [line.split(": ")[0] for line in done.out.splitlines()] == [
        "clips/a.mkv", "clips/b.mp4", "clips/c.png",
    ]  # fmt: skip
    assert done.err == "captioned 3, skipped 0, failed 0\n"
    only = negah("clips", "--only", "clips")
    assert only.out == "".join(done.out.splitlines(keepends=True)[:2])
    scenes = negah("clips", "--scenes")
    assert [line.split("  ")[0] for line in scenes.out.splitlines()[:3]] == [
        "clips/a.mkv: 0:00.0 - 0:03.0",
        "clips/a.mkv: 0:03.0 - 0:07.0",
        "clips/b.mp4: 0:00.0 - 0:02.0",
    ]
    assert scenes.out.splitlines()[3] == done.out.splitlines()[2]
    assert scenes.err == "captioned 3, skipped 0, failed 0; scenes written: 3\n"


def test_json_has_times_and_evidence_over_them(negah) -> None:
    (row,) = json.loads(negah("clips/a.mkv", "-f", "json", "--frames", "4").out)
    assert (row["path"], row["start"], row["end"]) == ("clips/a.mkv", 0, 7)
    assert row["times"] == [0.8, 2.6, 4.2, 6.0]
    for word in row["words"]:
        assert np.array(word["regions"]).shape == (4, 2, 2)
        assert sum(word["frames"]) == pytest.approx(1, abs=1e-3)
    lines = negah("clips", "-f", "jsonl", "--scenes", "--no-evidence").out.splitlines()
    rows = [json.loads(line) for line in lines]
    assert [(r["path"][6], r.get("start"), r.get("end")) for r in rows] == [
        ("a", 0, 3), ("a", 3, 7), ("b", 0, 2), ("c", None, None),
    ]  # fmt: skip
    assert not any("words" in r or "times" in r for r in rows)


def test_csv_has_columns_for_times(negah) -> None:
    rows = list(csv.DictReader(io.StringIO(negah("clips", "-f", "csv", "--scenes").out)))
    assert list(rows[0]) == ["path", "start", "end", "caption", "score"]
    assert [(r["start"], r["end"]) for r in rows] == [
        ("0.000", "3.000"), ("3.000", "7.000"), ("0.000", "2.000"), ("", ""),
    ]  # fmt: skip
    plain = list(csv.DictReader(io.StringIO(negah("clips", "-f", "csv").out)))
    assert list(plain[0]) == ["path", "caption", "score"]


def test_parts_of_equal_length(negah) -> None:
    lines = negah("clips/a.mkv", "--every", "2.5").out.splitlines()
    assert [line.split("  ")[0] for line in lines] == [
        "0:00.0 - 0:02.5", "0:02.5 - 0:05.0", "0:05.0 - 0:07.0",
    ]  # fmt: skip


def test_joined_recordings_are_captioned_to_their_end(negah) -> None:
    parts = [
        make_clip([blocks(seed)] * 15, rate=5, container="mpegts", options={"g": "5"})
        for seed in (1, 2)
    ]
    Path("joined.ts").write_bytes(b"".join(parts))
    scenes = negah("joined.ts", "--scenes").out.splitlines()
    assert [line.split("  ")[0] for line in scenes] == ["0:00.0 - 0:03.0", "0:03.0 - 0:06.0"]
    every = negah("joined.ts", "--every", "2").out.splitlines()
    assert [line.split("  ")[0] for line in every] == [
        "0:00.0 - 0:02.0", "0:02.0 - 0:04.0", "0:04.0 - 0:06.0",
    ]  # fmt: skip
    (row,) = json.loads(negah("joined.ts", "-f", "json", "--frames", "4").out)
    assert row["times"] == pytest.approx([0.6, 2.2, 3.6, 5.2], abs=0.2)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("--every", value) for value in ("nan", "inf", "-1", "0", "1e-9", "1e12")),
        *(("--frames", value) for value in ("0", "-1", "1001", "1000000000")),
        *((option, "1000000000") for option in ("--beam", "--n-best", "--max-length")),
        ("--batch-size", "1000000000"),
    ],
)
def test_absurd_numbers_are_refused_with_their_range(negah, option: str, value: str) -> None:
    done = negah("clips/a.mkv", option, value)
    assert (done.code, done.out) == (2, "")
    assert option in done.err
    assert re.search(r"from 0\.1 to 2592000|<=|(less|greater) than or equal", done.err)


class TestTracks:
    @pytest.mark.parametrize("form", ["srt", "vtt"])
    @pytest.mark.parametrize("scenes", [True, False])
    def test_a_player_loads_them(self, negah, form: str, scenes: bool) -> None:
        extra = ["--scenes"] if scenes else []
        texts = [line.split("  ")[-1] for line in negah("clips/a.mkv", *extra).out.splitlines()]
        done = negah("clips/a.mkv", *extra, "--format", form, "--output", f"track.{form}")
        assert (done.code, done.out) == (0, "")
        assert done.err == f"written: track.{form} (captions)\n"
        assert negah("clips/a.mkv", *extra, "-f", form).out == Path(f"track.{form}").read_text()
        with av.open(f"track.{form}") as file:
            stream = file.streams.subtitles[0]
            cues = [
                (float(p.pts * p.time_base), float(p.duration * p.time_base), bytes(p).decode())
                for p in file.demux(stream)
                if p.size
            ]
        spans = [(0, 3), (3, 4)] if scenes else [(0, 7)]
        assert cues == [(*span, text) for span, text in zip(spans, texts, strict=True)]

    def test_one_stands_beside_each_clip(self, negah) -> None:
        done = negah("clips", "--scenes", "--format", "vtt", "--sidecar")
        assert (done.code, done.out) == (0, "")
        assert done.err == "captioned 2, skipped 0, failed 0; scenes written: 3\n"
        assert sorted(path.name for path in Path("clips").glob("*.vtt")) == ["a.vtt", "b.vtt"]
        assert Path("clips/a.vtt").read_text() == negah("clips/a.mkv", "--scenes", "-f", "vtt").out
        assert Path("clips/b.vtt").read_text().count("-->") == 1

    def test_existing_ones_are_left_alone(self, negah) -> None:
        Path("clips/a.srt").write_text("mine\n")
        done = negah("clips", "-f", "srt", "--sidecar")
        assert done.code == 0
        assert done.err.splitlines() == [
            "skipped: clips/a.mkv: clips/a.srt exists (--overwrite replaces it)",
            "captioned 1, skipped 1, failed 0",
        ]
        assert Path("clips/a.srt").read_text() == "mine\n"
        assert negah("clips", "-f", "srt", "--sidecar", "--overwrite").code == 0
        assert Path("clips/a.srt").read_text() != "mine\n"

    def test_several_clips_do_not_share_one(self, negah) -> None:
        done = negah("clips", "-f", "srt")
        assert (done.code, done.out) == (2, "")
        assert "add --sidecar" in done.err
        assert not list(Path("clips").glob("*.srt"))

    def test_text_sidecars_have_the_scenes(self, negah) -> None:
        assert negah("clips/a.mkv", "--scenes", "--sidecar").code == 0
        assert Path("clips/a.txt").read_text() == negah("clips/a.mkv", "--scenes").out


class TestPictures:
    def test_of_a_clip(self, negah) -> None:
        assert negah("clips/a.mkv", "--frames", "4", "--picture", "new/a.png").code == 0
        with Image.open("new/a.png") as picture:
            assert picture.format == "PNG"
            assert picture.width > 600
        # of a model for photos, one frame, drawn as a photo
        assert negah("clips/a.mkv", "--picture", "one.png").code == 0

    def test_of_scenes_and_of_everything(self, negah) -> None:
        assert negah("clips", "--scenes", "--frames", "2", "--picture", "out").code == 0
        assert sorted(path.name for path in Path("out").iterdir()) == [
            "a-001.png", "a-002.png", "b-001.png", "c.png",
        ]  # fmt: skip

    def test_scenes_need_a_folder(self, negah) -> None:
        done = negah("clips/a.mkv", "--scenes", "--picture", "a.png")
        assert done.code == 2
        assert "name a folder" in done.err


@pytest.mark.parametrize("extra", [[], ["--scenes"]], ids=["whole", "scenes"])
def test_odd_and_broken_files_give_a_caption_or_a_line(negah, extra: list[str]) -> None:
    """Thirty-seven kinds in one folder: what can be read is captioned, the rest is named."""
    folder = Path("odd")
    folder.mkdir()
    made = {**{n: make for n, (make, _) in REFUSED.items()}, **{n: m for n, (m, _) in ODD.items()}}
    names = {}
    for number, (name, make) in enumerate(made.items()):
        path = folder / f"{number:02}.mp4"
        path.write_bytes(make())
        names[str(path)] = name
    done = negah(folder, *extra, "--format", "jsonl", "--no-evidence")
    assert done.code == 1
    captioned = {json.loads(line)["path"] for line in done.out.splitlines()}
    failures = [line for line in done.err.splitlines() if line.startswith("failed: ")]
    failed = {line.split(": ")[1]: line for line in failures}
    assert {names[path] for path in captioned - set(failed)} == set(ODD)
    assert {names[path] for path in failed} == set(REFUSED)
    for path, line in failed.items():
        assert re.search(REFUSED[names[path]][1], line)
    assert f"captioned {len(ODD)}, skipped 0, failed {len(REFUSED)}" in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize("name", ["no bytes", "a JPEG", "sound alone"])
def test_one_broken_file_alone(negah, name: str) -> None:
    Path("clip.mp4").write_bytes(REFUSED[name][0]())
    done = negah("clip.mp4")
    assert (done.code, done.out) == (1, "")
    assert re.match(rf"failed: clip\.mp4: .*{REFUSED[name][1]}", done.err.splitlines()[0])


CUTS = [0.0, 1 / 6, 0.35, 0.5, 0.8, 1.0]

MEASURED = """
import resource, sys
from negah.cli.main import run
code = run(sys.argv[1:])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, file=sys.stderr)
raise SystemExit(code)
"""


def long_film(path: Path, minutes: int) -> list[float]:
    """Five scenes, 160 x 120, two frames a second; when they begin and end."""
    count = minutes * 60 * 2
    starts = [round(cut * count) for cut in CUTS]
    pictures = [
        np.kron(blocks(seed)[::4, ::4], np.ones((10, 10, 1), np.uint8)) for seed in range(5)
    ]

    def frames():
        for picture, start, end in zip(pictures, starts, starts[1:], strict=False):
            for _ in range(start, end):
                yield picture

    make_clip(frames(), container="avi", codec="mpeg4", rate=2, path=path, options={"g": "50"})
    return [start / 2 for start in starts]


def test_a_film_of_ten_minutes(tiny_bundle: Path, tmp_path: Path) -> None:
    """The scenes stand at their times, and ten minutes need no more memory than one."""
    peaks = []
    for minutes in (1, 10):
        path = tmp_path / f"{minutes}.avi"
        cuts = long_film(path, minutes)
        done = subprocess.run(
            [
                *(sys.executable, "-c", MEASURED, "caption", str(path), "--scenes", "-f", "jsonl"),
                *("--model", str(tiny_bundle), "--threads", "1", "--frames", "8"),
            ],
            capture_output=True, text=True, timeout=PATIENCE,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        assert [row["start"] for row in rows] == pytest.approx(cuts[:-1], abs=0.2)
        assert [row["end"] for row in rows] == pytest.approx(cuts[1:], abs=0.2)
        assert all(len(row["times"]) == 8 and row["caption"] for row in rows)
        peaks.append(int(done.stderr))
    # In KiB. The frames that lie between would take 68,000.
    assert peaks[1] < peaks[0] + 8_000


def test_ctrl_c_keeps_the_scenes_that_were_found(tiny_bundle: Path, tmp_path: Path) -> None:
    path = tmp_path / "film.mkv"
    texture = [blocks(seed) for seed in range(2)]
    frames = (texture[number // 50 % 2] for number in range(5_000))
    make_clip(frames, container="matroska", codec="mpeg4", rate=25, path=path)
    process = subprocess.Popen(
        [
            *(sys.executable, "-m", "negah", "caption", str(path), "--scenes", "--threads", "1"),
            *("--model", str(tiny_bundle), "--format", "jsonl", "--no-evidence"),
        ],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    first = process.stdout.readline()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    rows = [json.loads(line) for line in (first + out).splitlines()]
    assert process.returncode == 130
    assert 0 < len(rows) < 100
    assert [row["start"] for row in rows[:2]] == pytest.approx([0, 2][: len(rows)])
    assert err == (
        "interrupted: captioned 0, skipped 0, failed 0, of 1; "
        f"scenes written: {len(rows)}\n"
    )  # fmt: skip


@pytest.mark.data
def test_a_real_clip(data_root: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = data_root / "msvd" / "clips" / "1RchFBCT9JU_43_53.avi"
    assert run(["caption", str(path), "--scenes", "--threads", "1"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["0:00.0 - 0:08.7", "0:08.7 - 0:10.0"]
    assert all(len(line.split("  ")[1].split()) >= 3 for line in lines)
