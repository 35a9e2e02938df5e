"""Made clips: what captions say is true, what truth says is in the pixels, files are lossless."""

from __future__ import annotations

import csv
import itertools
import json
from pathlib import Path

import numpy as np
import pytest

from negah.cli.main import run
from negah.data.synth import (
    SynthOptions,
    cells_of,
    draw_scene,
    judge,
    make_clip,
    read_caption,
    thing_boxes,
    truth_record,
    word_truth,
    write_dataset,
)
from negah.data.synth.grammar import FUNCTION_WORDS, true_captions
from negah.data.synth.scene import COLOURS
from negah.errors import UsageError
from negah.media.videos import open_clip

OPTIONS = SynthOptions()
CLIPS = [make_clip(3, number, OPTIONS) for number in range(20)]


def test_every_true_caption_is_read_back_and_judged_true() -> None:
    for clip in CLIPS:
        for statement in true_captions(clip.scene):
            assert read_caption(statement.text) == statement
            judgement = judge(statement, clip.scene)
            assert judgement.exact
            assert judgement.right == judgement.stated


def test_captions_of_a_clip_differ() -> None:
    for clip in CLIPS:
        assert len({one.text for one in clip.captions}) == OPTIONS.captions


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a red circle stays",
        "a red circle stays and",
        "a red circle stays and a blue",
        "a circle red stays and a blue square appears",
        "a red circle stays and a blue square appears and a white cross stays",
        "there is a red circle stays and a blue square appears",
        "a red circle moves and a blue square appears",
        "a red circle that stays and a blue square that appears",
    ],
)
def test_what_is_not_of_the_grammar_is_not_read(text: str) -> None:
    assert read_caption(text) is None


def test_wrong_words_are_counted_and_refuse_exactness() -> None:
    clip = CLIPS[0]
    first, second = clip.scene.things
    other = next(c for c in COLOURS if c not in (first.colour, second.colour))
    told = [f"a {t.colour} {t.shape} {t.action}" for t in (first, second)]
    wrong = f"a {other} {first.shape} {first.action}"
    statement = read_caption(f"{wrong} and {told[1]}")
    assert statement is not None
    judgement = judge(statement, clip.scene)
    assert (judgement.exact, judgement.stated) == (False, 6)
    assert judgement.right >= 5
    # one thing told twice leaves the other out
    twice = read_caption(f"{told[0]} and {told[0]}")
    assert twice is not None
    assert not judge(twice, clip.scene).exact


def test_the_linking_word_must_fit_layout_and_order() -> None:
    for clip in CLIPS:
        told = [f"a {t.colour} {t.shape} {t.action}" for t in clip.scene.things]
        exact = {}
        for link, order in itertools.product(("and", "while", "before", "after"), ((0, 1), (1, 0))):
            statement = read_caption(f"{told[order[0]]} {link} {told[order[1]]}")
            assert statement is not None
            exact[link, order] = judge(statement, clip.scene).exact
        together = clip.scene.layout == "together"
        assert exact == {
            ("and", (0, 1)): True,
            ("and", (1, 0)): True,
            ("while", (0, 1)): together,
            ("while", (1, 0)): together,
            ("before", (0, 1)): not together,
            ("before", (1, 0)): False,
            ("after", (0, 1)): False,
            ("after", (1, 0)): not together,
        }


def test_the_first_colour_is_told_first() -> None:
    for clip in CLIPS:
        for statement in clip.captions:
            places = [list(COLOURS).index(mention.colour) for mention in statement.mentions]
            assert places[0] < places[1]


def test_a_colour_is_where_its_truth_says_and_nowhere_else() -> None:
    for clip in CLIPS:
        for number, thing in enumerate(clip.scene.things):
            colour = np.array(COLOURS[thing.colour])
            seen = dict(thing_boxes(clip.scene, clip.rendered, number, acting=False))
            for frame, pixels in enumerate(clip.rendered.pixels_FHW3):
                if clip.scene.kinds[frame] != "scene":
                    assert frame not in seen
                    continue
                alike_HW = (np.abs(pixels.astype(int) - colour) < 20).all(-1)
                if frame not in seen:
                    hidden = thing.centres[frame] is not None
                    assert hidden or not alike_HW.any()
                    continue
                left, top, right, bottom = (round(x * OPTIONS.size) for x in seen[frame])
                assert alike_HW[top:bottom, left:right].sum() == alike_HW.sum() > 0


def test_a_thing_acts_in_the_frames_that_truth_says() -> None:
    for clip, (number, thing) in itertools.product(CLIPS, enumerate([0, 1])):
        thing = clip.scene.things[number]
        seen = [f for f, _ in thing_boxes(clip.scene, clip.rendered, number, acting=False)]
        acts = thing_boxes(clip.scene, clip.rendered, number, acting=True)
        if thing.action == "appears":
            assert acts[1][0] == seen[0] == acts[0][0] + 1
        elif thing.action == "disappears":
            assert acts[0][0] == seen[-1] == acts[1][0] - 1
        else:
            assert [f for f, _ in acts] == seen
        boxes = [box for _, box in acts]
        if thing.action in ("moves left", "moves up"):
            axis = 0 if thing.action == "moves left" else 1
            assert boxes[0][axis + 2] > boxes[-1][axis + 2]


def test_truth_of_words() -> None:
    for clip in CLIPS:
        for statement in clip.captions:
            record = truth_record("x.mkv", statement, clip.scene, clip.rendered, OPTIONS.grid)
            assert [one["word"] for one in record["words"]] == statement.text.split()
            for one in record["words"]:
                assert one["visual"] == (one["word"] not in FUNCTION_WORDS)
                assert bool(one["frames"]) == one["visual"]
                assert len(one["frames"]) == len(one["boxes"]) == len(one["cells"])
                kinds = {clip.scene.kinds[frame] for frame in one["frames"]}
                assert kinds <= {"scene"}
                for boxes, cells in zip(one["boxes"], one["cells"], strict=True):
                    assert cells == sorted(set(cells))
                    assert set(cells) <= set(range(OPTIONS.grid**2))
                    for left, top, right, bottom in boxes:
                        assert 0 <= left < right <= 1
                        assert 0 <= top < bottom <= 1


def test_the_truth_of_a_linking_word_is_both_things() -> None:
    clip = next(c for c in CLIPS if c.scene.layout == "together")
    statement = next(s for s in true_captions(clip.scene) if s.link == "while")
    word = next(w for w in statement.words if w.role == "relation")
    truth = word_truth(word, (0, 1), clip.scene, clip.rendered, 5)
    seen = [dict(thing_boxes(clip.scene, clip.rendered, i, acting=False)) for i in (0, 1)]
    assert set(truth.frames) == set(seen[0]) | set(seen[1])


@pytest.mark.parametrize(
    ("box", "cells"),
    [
        ((0.0, 0.0, 0.2, 0.2), [0]),
        ((0.1, 0.1, 0.3, 0.3), [0, 1, 5, 6]),
        ((0.0, 0.0, 0.21, 0.2), [0]),  # a twentieth of the second cell
        ((0.9, 0.9, 1.0, 1.0), [24]),
        ((0.39, 0.5, 0.41, 0.52), [12]),  # small, but its centre lies there
        ((0.0, 0.4, 1.0, 0.6), [10, 11, 12, 13, 14]),
    ],
)
def test_cells(box: tuple[float, float, float, float], cells: list[int]) -> None:
    assert cells_of(box, 5) == cells


def test_in_turn_means_never_together() -> None:
    for clip in CLIPS:
        both = set.intersection(
            *(
                {f for f, _ in thing_boxes(clip.scene, clip.rendered, i, acting=False)}
                for i in (0, 1)
            )
        )
        assert clip.scene.layout == "together" or not both


def test_a_clip_depends_on_seed_and_number_alone() -> None:
    again = make_clip(3, 7, OPTIONS)
    assert again.captions == CLIPS[7].captions
    assert (again.rendered.pixels_FHW3 == CLIPS[7].rendered.pixels_FHW3).all()
    assert make_clip(4, 7, OPTIONS).scene != CLIPS[7].scene
    more = OPTIONS.model_copy(update={"captions": 8})
    assert make_clip(3, 7, more).scene == CLIPS[7].scene


@pytest.mark.parametrize("frames", [6, 12, 32])
def test_any_length(frames: int) -> None:
    options = SynthOptions(frames=frames, size=96, grid=6, distractors=3)
    for number in range(5):
        clip = make_clip(0, number, options)
        assert clip.rendered.pixels_FHW3.shape == (frames, 96, 96, 3)
        for thing in clip.scene.things:
            for centre in filter(None, thing.centres):
                assert all(thing.half <= x <= 1 - thing.half for x in centre)


def test_no_distractors_and_one_layout() -> None:
    options = SynthOptions(distractors=0, in_turn=0)
    scenes = [draw_scene(0, number, options) for number in range(20)]
    assert {kind for scene in scenes for kind in scene.kinds} == {"scene"}
    assert {scene.layout for scene in scenes} == {"together"}


def test_the_data_set_on_disk(tmp_path: Path) -> None:
    output = tmp_path / "made"
    steps: list[tuple[int, int]] = []
    assert write_dataset(
        output, clips=10, seed=3, options=OPTIONS, progress=lambda *done: steps.append(done)
    )
    assert steps == [(n, 10) for n in range(1, 11)]
    table = (output / "captions.csv").read_text(encoding="utf-8")
    rows = list(csv.DictReader(table.splitlines()))
    truth = (output / "truth.jsonl").read_text(encoding="utf-8")
    records = [json.loads(line) for line in truth.splitlines()]
    assert [(r["video"], r["caption"]) for r in rows] == [
        (r["video"], r["caption"]) for r in records
    ]
    assert [r["split"] for r in rows[:: OPTIONS.captions]] == ["train"] * 8 + ["dev", "test"]
    for number in range(10):
        frames = [frame.image for frame in open_clip(output / f"videos/{number:05}.mkv").frames()]
        decoded_FHW3 = np.stack([np.asarray(frame) for frame in frames])
        assert (decoded_FHW3 == CLIPS[number].rendered.pixels_FHW3).all()


def test_writing_goes_on_and_can_be_stopped(tmp_path: Path) -> None:
    output, asked = tmp_path / "made", iter([False, False, True])
    assert not write_dataset(output, clips=4, seed=1, options=OPTIONS, stop=lambda: next(asked))
    kept = output / "videos/00000.mkv"
    before = kept.stat().st_mtime_ns
    assert not (output / "captions.csv").exists()
    assert write_dataset(output, clips=4, seed=1, options=OPTIONS)
    assert kept.stat().st_mtime_ns == before
    whole = tmp_path / "whole"
    write_dataset(whole, clips=4, seed=1, options=OPTIONS)
    names = sorted(p.relative_to(whole) for p in whole.rglob("*") if p.is_file())
    assert names == sorted(p.relative_to(output) for p in output.rglob("*") if p.is_file())
    assert all((whole / n).read_bytes() == (output / n).read_bytes() for n in names)


def test_another_folder_is_refused(tmp_path: Path) -> None:
    write_dataset(tmp_path / "made", clips=1, seed=1, options=OPTIONS)
    with pytest.raises(UsageError, match="another seed"):
        write_dataset(tmp_path / "made", clips=1, seed=2, options=OPTIONS)
    with pytest.raises(UsageError, match="not empty"):
        write_dataset(tmp_path, clips=1, seed=2, options=OPTIONS)


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    output = tmp_path / "made"
    arguments = ["data", "synth", str(output), "--clips", "3", "--frames", "6", "--captions", "2"]
    assert run(arguments) == 0
    assert "(3 clips with captions.csv and truth.jsonl)\n" in capsys.readouterr().err
    assert len((output / "truth.jsonl").read_text(encoding="utf-8").splitlines()) == 6
    assert run(["data", "synth", str(tmp_path / "other"), "--frames", "4"]) == 2
    assert "frames" in capsys.readouterr().err
