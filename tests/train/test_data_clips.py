"""Captioned clips: MSVD, MSR-VTT and people's own tables, and what inspecting them says."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from negah.cli.main import run
from negah.data import (
    Dataset,
    Example,
    Missing,
    SplitPolicy,
    check_no_leak,
    inspect,
    load_dataset,
    load_datasets,
)
from negah.data.caption_files import read_hypotheses, read_references
from negah.data.caption_pairs import pair
from negah.data.clips import ClipCounts, count_clips
from negah.data.examples import nouns, with_span
from negah.data.formats import FORMATS, Reading, Source
from negah.errors import DataError
from tiny_clips import make_clip, walking_bar


def make_files(folder: Path, *names: str) -> None:
    """Files of different content and equal size; readers never decode them."""
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"clip %5d" % number)


def found(dataset: Dataset) -> dict[str, tuple[str, tuple[str, ...]]]:
    return {example.name: (example.split, example.captions) for example in dataset.examples}


def kinds(dataset: Dataset) -> dict[str, int]:
    return dict(Counter(problem.kind for problem in dataset.problems))


# One's own tables

TABLES = {
    "video": "video,caption,start,end\na.mp4,x,,\nb.mov,y,0,2.5\nb.mov,z,2.5,9\nb.mov,w,0.0,2.50\n",
    "clip": "clip;end;start;caption\na.mp4;;;x\nb.mov;2.5;0;y\nb.mov; 9;2.5;z\nb.mov;2.5;0;w\n",
    "image": "image\tcaption\tSTART\tEnd\na.mp4\tx\t \t\nb.mov\ty\t0\t25e-1\nb.mov\tz\t2.5\t9\n"
    "b.mov\tw\t0\t2.5\n",
    "JSON lines": '{"video": "a.mp4", "caption": "x", "start": null}\n'
    '{"clip": "b.mov", "captions": ["y", "w"], "start": 0, "end": 2.5}\n'
    '{"image": "b.mov", "caption": "z", "start": 2.5, "end": 9.0}\n',
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES.keys())
@pytest.mark.parametrize("folder", [".", "clips", "videos", "images"])
def test_tables(tmp_path: Path, text: str, folder: str) -> None:
    make_files(tmp_path / folder, "a.mp4", "b.mov")
    path = tmp_path / "mine.csv"
    path.write_text(text)
    dataset = load_dataset(path)
    assert found(dataset) == {
        "a.mp4": ("train", ("x",)),
        "b.mov#t=0,2.5": ("train", ("y", "w")),
        "b.mov#t=2.5,9": ("train", ("z",)),
    }
    assert [example.span for example in dataset.examples] == [None, (0.0, 2.5), (2.5, 9.0)]
    assert all(example.is_clip and example.path.is_file() for example in dataset.examples)
    assert nouns(dataset.examples) == "clips"
    # the parts are by content, so all spans of a file fall together
    for number in range(8):
        (tmp_path / folder / "b.mov").write_text(f"content {number}")
        halves = load_dataset(path, split=SplitPolicy(dev_fraction=0.5))
        assert len({example.split for example in halves.examples[1:]}) == 1


ERRORS: dict[str, tuple[str, str]] = {
    "only start": ("video,caption,start\na.mp4,x,3\n", r"line 2: start '3' and end None must be"),
    "only end": ("video,caption,start,end\na.mp4,x,,3\n", r"start '' and end '3' must be seconds"),
    "words": ("video,caption,start,end\na.mp4,x,0:10,0:20\n", r"start '0:10'"),
    "backwards": ("video,caption,start,end\na.mp4,x,5,4\n", "the end after it"),
    "no time": ("video,caption,start,end\na.mp4,x,5,5\n", "the end after it"),
    "negative": ("video,caption,start,end\na.mp4,x,-1,4\n", "0 or more"),
    "endless": ("video,caption,start,end\na.mp4,x,1,inf\n", "must be seconds"),
    "nan": ("video,caption,start,end\na.mp4,x,nan,1\n", "must be seconds"),
    "bool": ('{"clip": "a.mp4", "caption": "x", "start": false, "end": true}', "must be seconds"),
    "huge": ('{"clip": "a.mp4", "caption": "x", "start": 0, "end": 1%s}' % ("0" * 400), "seconds"),
    "photo": ("image,caption,start,end\na.jpg,x,0,4\n", "'a.jpg' does not have the suffix"),
    "two columns": ("image,video,caption\na.jpg,a.mp4,x\n", "image and video both name a file"),
    "two keys": ('{"clip": "a.mp4", "image": "a.jpg", "caption": "x"}', "line 1: image and clip"),
    "two parts": ("video,caption,split\na.mp4,x,train\na.mp4,y,dev\n", "clip 'a.mp4' is in two"),
    "nothing there": ("video,caption\nb.mp4,x\nc.mp4,y\n", r"none of the clips that it lists was "
                      r"found \('b.mp4', ...\): 2 with 2 captions"),
    "no caption": ("video,caption\na.mp4, \n", r"no clip can be used.*empty caption \(1\)"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_tables_that_are_refused(tmp_path: Path, text: str, message: str) -> None:
    make_files(tmp_path, "a.mp4", "a.jpg")
    path = tmp_path / "mine.jsonl"
    path.write_text(text)
    with pytest.raises(DataError, match=message) as raised:
        load_dataset(path)
    assert len(str(raised.value)) < 1000


def test_the_few_files_of_many_are_found_wherever_they_stand(tmp_path: Path) -> None:
    make_files(tmp_path / "videos", "777.mp4")
    (tmp_path / "clips").mkdir()
    (tmp_path / "captions.csv").write_text(
        "video,caption,split\n"
        + "".join(f"{n}.mp4,a {n},test\n{n}.mp4,b,test\n" for n in range(999))
    )
    dataset = load_dataset(tmp_path)
    assert found(dataset) == {"777.mp4": ("test", ("a 777", "b"))}
    assert kinds(dataset) == {"missing clip": 998}
    assert dataset.missing == {"test": Missing(998, 2 * 998)}


def test_joined_data_sets_keep_spans_and_what_is_missing(tmp_path: Path) -> None:
    for name in ("one", "two"):
        make_files(tmp_path / name, "a.mp4")
        (tmp_path / name / "captions.csv").write_text(
            "clip,caption,start,end,split\na.mp4,x,0,1,train\nghost.mp4,y,,,dev\nno.mp4,z,,,\n"
        )
    joined = load_datasets([tmp_path / "one", tmp_path / "two"])
    assert [(example.name, example.span) for example in joined.examples] == [
        ("one/a.mp4#t=0,1", (0.0, 1.0)),
        ("two/a.mp4#t=0,1", (0.0, 1.0)),
    ]
    assert joined.missing == {"dev": Missing(2, 2)}
    assert kinds(joined) == {"missing clip": 4}


@pytest.mark.parametrize(
    ("span", "expected"),
    [
        (None, "a.mp4"),
        ((0.0, 10.0), "a.mp4#t=0,10"),
        ((1 / 3, 1e6), "a.mp4#t=0.333333333333333,1000000"),
    ],
)
def test_with_span(span: tuple[float, float] | None, expected: str) -> None:
    assert with_span("a.mp4", span) == expected


# MSVD


def make_msvd(folder: Path) -> Path:
    """Four of five clips, called as in one's copy: by name, by number, in two containers."""
    make_files(folder / "YouTubeClips", "aa_1_2.avi", "vid2.mp4", "-cc_5_6.mp4", "ee_9_10.avi")
    lines = ["aa_1_2 vid1", "b_b_3_4 vid2", "-cc_5_6 vid1201", "dd_7_8 vid1301", "ee_9_10 vid1302"]
    (folder / "youtube_video_to_id_mapping.txt").write_text("\n".join(lines) + "\n")
    for part, text in {
        "train": "vid1\ta man runs\nvid2\ta dog barks\nvid1\tsomebody runs\n\n",
        "val": "vid1201\ta woman sings\n",
        "test": "vid1301\ta cat\nvid1302\ta bird flies\nno tab\n",
    }.items():
        (folder / f"sents_{part}_lc_nopunc.txt").write_text(text)
    return folder


MSVD = {
    "aa_1_2.avi": ("train", ("a man runs", "somebody runs")),
    "vid2.mp4": ("train", ("a dog barks",)),
    "-cc_5_6.mp4": ("dev", ("a woman sings",)),
    "ee_9_10.avi": ("test", ("a bird flies",)),
}


@pytest.mark.parametrize("given", ["", "youtube_video_to_id_mapping.txt"])
def test_msvd_sentences(tmp_path: Path, given: str) -> None:
    dataset = load_dataset(
        make_msvd(tmp_path / "msvd") / given, split=SplitPolicy(dev_fraction=0.5)
    )
    assert dataset.name == "msvd"
    assert found(dataset) == MSVD
    assert {example.span for example in dataset.examples} == {None}
    assert kinds(dataset) == {"missing clip": 1, "malformed line": 1}
    assert dataset.missing == {"test": Missing(1, 1)}
    check_no_leak(dataset)


def test_msvd_one_part(tmp_path: Path) -> None:
    path = make_msvd(tmp_path) / "sents_train_lc_nopunc.txt"
    assert found(load_dataset(path)) == {name: MSVD[name] for name in ("aa_1_2.avi", "vid2.mp4")}
    (tmp_path / "youtube_video_to_id_mapping.txt").unlink()
    assert found(load_dataset(path)) == {"vid2.mp4": MSVD["vid2.mp4"]}


CORPUS = """,VideoID,Start,End,WorkerID,Source,AnnotationTime,Language,Description
0,aa,1,2,7,clean,9,English,A man runs.
1,aa,1,2,7,clean,9,German,Ein Mann rennt.
2,b_b,3,4,7,clean,9,English,"A dog ""barks"", loudly.
Again."
3,b_b,3
4,-cc,5,6,7,clean,9,English,A woman sings.
5,ee,9,10,7,unverified,9,English,A "bird" flies
6,gone,1,9,7,clean,9,English,x
7,aa,1,2,7,clean,9,English,
"""


def test_msvd_corpus(tmp_path: Path) -> None:
    path = make_msvd(tmp_path) / "video_corpus.csv"
    path.write_text(CORPUS)
    expected = {
        "aa_1_2.avi": ("train", ("A man runs.",)),
        "vid2.mp4": ("train", ('A dog "barks", loudly.\nAgain.',)),
        "-cc_5_6.mp4": ("dev", ("A woman sings.",)),
        "ee_9_10.avi": ("test", ('A "bird" flies',)),
    }
    dataset = load_dataset(path)
    assert found(dataset) == expected
    assert kinds(dataset) == {"malformed line": 1, "missing clip": 1, "empty caption": 1}
    assert dataset.missing == {"none": Missing(1, 1)}
    for name in ("youtube_video_to_id_mapping.txt", *(f.name for f in tmp_path.glob("sents_*"))):
        (tmp_path / name).unlink()
    (tmp_path / "YouTubeClips" / "vid2.mp4").unlink()
    alone = load_dataset(tmp_path)
    assert found(alone) == {
        name: ("train", captions) for name, (_, captions) in expected.items() if name != "vid2.mp4"
    }


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("youtube_video_to_id_mapping.txt", "aa_1_2 vid1 x\n", "every line must read"),
        ("sents_val_lc_nopunc.txt", "vid1\tx\n", r"sents_val_lc_nopunc.txt, line 1: clip 'vid1' "
                                                  "is in two parts"),
    ],
)  # fmt: skip
def test_msvd_errors(tmp_path: Path, name: str, text: str, message: str) -> None:
    make_msvd(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(DataError, match=message):
        load_dataset(tmp_path)


def test_msvd_errors_of_what_is_not_msvd(tmp_path: Path) -> None:
    (tmp_path / "youtube_video_to_id_mapping.txt").write_text("aa_1_2 vid1\n")
    with pytest.raises(DataError, match="no sentence files beside it"):
        load_dataset(tmp_path)
    (tmp_path / "x.csv").write_text("image,caption\na,b\n")
    with pytest.raises(DataError, match="must name the columns VideoID, Start, End"):
        load_dataset(tmp_path / "x.csv", format="msvd")
    (tmp_path / "x.csv").write_text(CORPUS + "9," * 8 + "x" * 200_000)
    with pytest.raises(DataError, match="malformed CSV"):
        load_dataset(tmp_path / "x.csv")


# MSR-VTT


def msrvtt(**changes: Any) -> dict[str, Any]:
    times = {"start time": 137.7, "end time": 149.4, "url": "https://example.org"}
    parts = ("train", "validate", "test", "test")
    return {
        "info": {},
        "videos": [
            {"video_id": f"video{n}", "split": split, "id": n, **times}
            for n, split in enumerate(parts)
        ],
        "sentences": [
            {"video_id": f"video{n}", "caption": f"{word} {n}", "sen_id": n}
            for word in ("a", "the")
            for n in range(4)
        ],
        **changes,
    }


def test_msrvtt(tmp_path: Path) -> None:
    make_files(tmp_path / "TrainValVideo", "video0.mp4", "video1.mp4", "video2.webm")
    content = msrvtt()
    content["sentences"].append({"video_id": "video9", "caption": "lost"})
    (tmp_path / "videodatainfo.json").write_text(json.dumps(content))
    dataset = load_dataset(tmp_path)
    assert found(dataset) == {
        "video0.mp4": ("train", ("a 0", "the 0")),
        "video1.mp4": ("dev", ("a 1", "the 1")),
        "video2.webm": ("test", ("a 2", "the 2")),
    }
    # the files that are distributed are cut already
    assert {example.span for example in dataset.examples} == {None}
    assert kinds(dataset) == {"missing clip": 1, "unknown name": 1}
    assert dataset.missing == {"test": Missing(1, 2)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (msrvtt(videos=[{"video_id": "a", "split": "x"}]), r"videos\[0\]: unknown split 'x'"),
        (msrvtt(videos=[{"video_id": "a", "split": "test"}] * 2), "video 'a' is listed twice"),
        (msrvtt(videos=[{"video_id": 3, "split": "test"}]), "needs the text 'video_id'"),
        (msrvtt(videos=[7]), "must be an object"),
        (msrvtt(sentences=[{"video_id": "video0"}]), r"sentences\[0\]: needs the text 'caption'"),
        (msrvtt(sentences=[], videos=[]), "no image can be used"),
        (msrvtt(sentences={}), "unknown layout.*MSR-VTT's layout has videos"),
        (msrvtt(), "none of the clips that it lists was found .*: 4 with 8 captions"),
    ],
)
def test_msrvtt_errors(tmp_path: Path, content: dict[str, Any], message: str) -> None:
    path = tmp_path / "test_videodatainfo.json"
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=message):
        load_dataset(path)


# One clip, one part


def clip_example(path: Path, split: str, span: tuple[float, float] | None = None) -> Example:
    return Example(with_span(path.name, span), path, ("x",), split, span)


def test_two_spans_of_a_file_in_two_parts_leak(tmp_path: Path) -> None:
    make_files(tmp_path, "a.mp4", "b.mp4")
    a, b = tmp_path / "a.mp4", tmp_path / "b.mp4"
    alike = (clip_example(a, "train", (0, 5)), clip_example(a, "train", (5, 9)))
    check_no_leak(Dataset("mine", (*alike, clip_example(b, "test"), clip_example(a, "none"))))
    with pytest.raises(DataError) as raised:
        check_no_leak(Dataset("mine", (*alike, clip_example(a, "test", (6, 7)))))
    assert str(raised.value) == (
        "mine: 1 clip stands in more than one part: a.mp4#t=0,5 (train) = a.mp4#t=5,9 (train) = "
        "a.mp4#t=6,7 (test). Put all spans and copies of a clip into one part: its scenes are "
        "similar."
    )
    b.write_bytes(a.read_bytes())
    with pytest.raises(DataError, match=r"a\.mp4 \(train\) = b\.mp4 \(test\).*copies of a clip"):
        check_no_leak(Dataset("mine", (clip_example(a, "train"), clip_example(b, "test"))))


# Inspection


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips of 1 and 2 seconds, one that is none, and a photo."""
    folder = tmp_path_factory.mktemp("clips")
    make_clip(walking_bar(25), path=folder / "one.mp4")
    make_clip(walking_bar(50, height=64, width=96), path=folder / "two.mp4")
    (folder / "bad.mp4").write_text("no clip")
    (folder / "photo.jpg").write_text("no photo")
    return folder


def test_count_clips(folder: Path) -> None:
    seen: list[tuple[int, int]] = []
    two = folder / "two.mp4"
    examples = [
        clip_example(folder / "one.mp4", "train"),
        clip_example(two, "train", (0, 0.5)),
        clip_example(two, "train", (1.75, 60)),
        clip_example(two, "train", (2, 3)),
        clip_example(folder / "bad.mp4", "train"),
    ]
    counts = count_clips(examples, lambda *done: seen.append(done))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    span, bad = counts.unreadable
    assert span == "two.mp4#t=2,3: the span begins after the clip's 2.0 s"
    assert bad.startswith("bad.mp4: ")
    assert counts == ClipCounts(
        3, 1.75, 0.25, 0.5, 1.0, {"64x48": 1, "96x64": 1}, counts.unreadable
    )
    assert count_clips(examples[-1:]) == ClipCounts(1, 0, 0, 0, 0, {}, (bad,))


def test_inspection_of_clips(folder: Path) -> None:
    examples = (
        clip_example(folder / "one.mp4", "train"),
        clip_example(folder / "two.mp4", "train", (0, 1)),
        clip_example(folder / "two.mp4", "train", (1, 2)),
        clip_example(folder / "two.mp4", "dev", (1, 2)),
    )
    missing = {"train": Missing(7, 80)}
    result = inspect(Dataset("mine", examples, missing=missing))
    assert (result.splits["train"].images, result.splits["train"].clips) == (0, 3)
    assert result.unreadable is None
    assert not result.mixed
    assert not result.sound
    # spans of one file are not copies, unless they are the same
    assert result.duplicates == ()
    assert len(result.leaks) == 1
    assert json.loads(json.dumps(result.to_dict()))["clips"]["total_seconds"] == 4.0
    text = result.to_text()
    for expected in (
        "mine\n  train: 3 clips, 3 captions (2 repeat another)\n         captions per clip: 1 to 1",
        "  captioned, but missing: 7 of train, with 80 captions\n",
        "  clips: 4.0 s in 2 files; 1.0 to 1.0 s each, median 1.0 s\n"
        "         frames: 64x48 (1), 96x64 (1) pixels\n  unreadable clips: none\n",
        "equal clips within a part: none\n  LEAKS, equal clips in different parts: 1\n",
    ):
        assert expected in text
    assert "images" not in text
    only_dev = inspect(Dataset("mine", examples[3:]))
    assert "the part train has no clip" in only_dev.to_text()


def test_photos_and_clips_together_are_both_counted(folder: Path) -> None:
    examples = (
        clip_example(folder / "one.mp4", "train"),
        clip_example(folder / "photo.jpg", "train"),
    )
    result = inspect(Dataset("mine", examples), open_images=True)
    assert result.mixed
    assert result.sound
    assert result.unreadable is not None
    assert [line.partition(":")[0] for line in result.unreadable] == ["photo.jpg"]
    assert nouns(examples, "photo") == "photos and clips"
    text = result.to_text()
    assert "train: 1 images and 1 clips, 2 captions" in text
    assert "captions per image or clip" in text
    assert "photos and clips: a training sees the middle frame of each clip" in text


def test_inspect_command(folder: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text(
        "clip,caption,start,end\none.mp4,x,,\ntwo.mp4,y,0,1\nbad.mp4,z,,\nno.mp4,w,,\n"
    )
    arguments = ["data", "inspect", str(table), "--images", str(folder), "--dev-fraction", "0"]
    assert run(arguments) == 0
    out, err = capsys.readouterr()
    assert "train: 3 clips" in out
    assert "unreadable clips: 1\n    bad.mp4: " in out
    assert "missing clip: 1\n    no.mp4: no such file in " in out
    assert "opening clips: 1 of 3" in err


# References to score by


def test_references_of_clips(tmp_path: Path) -> None:
    make_msvd(tmp_path)
    (tmp_path / "video_corpus.csv").write_text(CORPUS.replace("3,b_b,3\n", ""))
    (tmp_path / "mine.csv").write_text("video,caption,start,end\naa_1_2.avi,x,,\nv.mp4,y,0,5.0\n")
    said = tmp_path / "said.csv"
    for references, names in {
        "sents_train_lc_nopunc.txt": ("vid1", "b_b_3_4.avi"),
        "video_corpus.csv": ("out/aa_1_2.mkv", "b_b_3_4", "-cc_5_6.mp4", "vid1302", "gone_1_9"),
        "mine.csv": ("aa_1_2", "v.mp4,0,5"),
    }.items():
        rows = "".join(f"{name if ',' in name else name + ',,'},a\n" for name in names)
        said.write_text("clip,start,end,caption\n" + rows)
        pairs = pair(read_hypotheses(said), read_references([tmp_path / references]))
        assert len(pairs.hypotheses) == len(names)
    assert list(pairs.references) == ["aa_1_2.avi", "v.mp4#t=0,5"]
    assert set(read_references([tmp_path / "sents_val_lc_nopunc.txt"]).splits.values()) == {"dev"}
    (problem,) = read_references([tmp_path / "sents_test_lc_nopunc.txt"]).left_out
    assert problem.name == "sents_test_lc_nopunc.txt, line 3"


# Real data


def by_part(reading: Reading) -> dict[str | None, tuple[int, int]]:
    """Clips and captions of each part."""
    clips = Counter({record.name: record.split for record in reading.records}.values())
    captions = Counter(record.split for record in reading.records for _ in record.captions)
    return {split: (clips[split], captions[split]) for split in clips}


@pytest.mark.data
def test_real_msvd(data_root: Path) -> None:
    folder = data_root / "msvd"
    msvd = FORMATS.get("msvd")
    reading = msvd.read(Source([folder / "youtube_video_to_id_mapping.txt"]))
    assert by_part(reading) == {"train": (1200, 48774), "dev": (100, 4290), "test": (661, 27432)}
    assert reading.problems == []
    corpus = msvd.read(Source([folder / "video_corpus_val.csv"]))
    assert by_part(corpus) == {"dev": (100, 4291)}
    assert corpus.problems == []
    assert {record.names for record in corpus.records} == {
        record.names for record in reading.records if record.split == "dev"
    }


@pytest.mark.data
def test_real_msvd_clips(data_root: Path) -> None:
    dataset = load_dataset(data_root / "msvd")
    assert len(dataset) == 16
    assert kinds(dataset) == {"missing clip": 1961 - 16}
    result = inspect(dataset)
    assert result.sound
    train = result.splits["train"]
    assert (train.clips, train.captions) == (16, 665)
    assert sum(missing.captions for missing in result.missing.values()) == 80_496 - 665
    assert result.clips is not None
    assert result.clips.unreadable == ()
    assert 156 < result.clips.total_seconds < 158
    assert result.clips.sizes == {
        "320x240": 9, "480x360": 3, "640x360": 2, "640x480": 1, "1280x720": 1,
    }  # fmt: skip
    # the clip's name tells how long it is, to the second
    for example in dataset.examples[:4]:
        start, end = example.path.stem.split("_")[-2:]
        seconds = count_clips([example]).total_seconds
        assert abs(seconds - (int(end) - int(start))) < 1.1


@pytest.mark.data
def test_real_msrvtt(data_root: Path) -> None:
    path = data_root / "msrvtt" / "val_videodatainfo.json"
    reading = FORMATS.get("msrvtt").read(Source([path]))
    assert by_part(reading) == {"dev": (497, 9940)}
    counts = Counter(record.name for record in reading.records for _ in record.captions)
    assert set(counts.values()) == {20}
    assert {record.span for record in reading.records} == {None}
    with pytest.raises(DataError, match=r"none of the clips .*: 497 with 9,940 captions"):
        load_dataset(data_root / "msrvtt")
