"""Storyboards: sentences about clips that are not there, and what can be shown of them."""

from __future__ import annotations

import json
import math
import shlex
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negah.cli.main import run
from negah.data import Example, load_dataset
from negah.data.restyle import meant
from negah.data.storyboards import (
    Group,
    classes_of,
    groups_about,
    load_lexicon,
    make_storyboards,
    read_groups,
    read_storyboards,
    write_storyboards,
)
from negah.data.storyboards.lexicon import parse_lexicon
from negah.errors import DataError, UsageError
from tiny_data import make_shapes


def photo(*captions: str, name: str = "1.jpg") -> Example:
    return Example(name, Path(name), captions, "train")


# -- words and classes ---------------------------------------------------------------------

#: Words, and how ImageNet describes one of the classes that they stand for.
CLASSES = [
    ("hedgehog", "porcupine, hedgehog"),
    ("dogs", "golden retriever"),
    ("Puppy", "beagle"),
    ("cat", "tabby, tabby cat"),
    ("piano", "upright, upright piano"),
    ("guitar", "electric guitar"),
    ("violin", "violin, fiddle"),
    ("pan", "wok"),
    ("pan", "frying pan, frypan, skillet"),
    ("knife", "cleaver, meat cleaver, chopper"),
    ("slices", "cleaver, meat cleaver, chopper"),
    ("monkeys", "macaque"),
    ("panda", "giant panda, panda, panda bear, coon bear, Ailuropoda melanoleuca"),
    ("motorcycle", "motor scooter, scooter"),
    ("kangaroo", "wallaby, brush kangaroo"),
    ("cucumbers", "cucumber, cuke"),
    ("rifle", "rifle"),
    ("singing", "microphone, mike"),
]


@pytest.mark.parametrize(("word", "description"), CLASSES)
def test_words_stand_for_classes_as_imagenet_describes_them(word: str, description: str) -> None:
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    names = [info.index_to_description(index) for index in range(1000)]
    known = {name for index in classes_of(word) for name in names[index].split(", ")}
    assert known & set(description.split(", ")), [names[index] for index in classes_of(word)]


#: Names that mean another thing in a caption than in ImageNet, or a second thing of that name.
OTHERWISE = {"orang", "panda", "gong", "harp", "plane", "pot", "missile", "sunglass"}


def test_every_word_that_names_a_class_stands_for_it() -> None:
    from timm.data import ImageNetInfo

    info = ImageNetInfo()
    otherwise = {
        name
        for index in range(1000)
        for name in info.index_to_description(index).split(", ")
        if " " not in name and classes_of(name) and index not in classes_of(name)
    }
    assert otherwise == OTHERWISE


def test_words_that_no_class_shows() -> None:
    assert classes_of("onion") == ()
    assert classes_of("the") == ()
    assert all(classes for classes in load_lexicon().values())
    assert len(load_lexicon()) > 300


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (["dog"], "words with lists"),
        ({"dog": 3}, "a word with a list"),
        ({"dog": []}, "a word with a list"),
        ({3: [1]}, "a word with a list"),
        ({"dog": ["a"]}, "'a' is neither a class"),
        ({"dog": ["3-"]}, "'3-' is neither a class"),
        ({"dog": ["7-3"]}, "'7-3' is neither a class"),
        ({"dog": [1000]}, "1000 is neither a class"),
        ({"dog": ["990-1000"]}, "nor a range of classes"),
    ],
)
def test_a_list_of_words_that_is_wrong(values: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        parse_lexicon(values, where="words.yaml")


def test_no_word_stands_twice_in_the_list() -> None:
    import negah.data.storyboards.lexicon as module

    lines = (Path(module.__file__).parent / "classes.yaml").read_text(encoding="utf-8").splitlines()
    names = Counter(line.split(":")[0] for line in lines if line and not line.startswith("#"))
    assert [name for name, count in names.items() if count > 1] == []


# -- sentences ------------------------------------------------------------------------------


def test_sentences_by_clip(tmp_path: Path) -> None:
    path = tmp_path / "sentences.txt"
    path.write_text("v1\ta  dog runs\nv2\ta cat\n\nv1\tthe dog\nv3\t \n", encoding="utf-8-sig")
    assert read_groups(path) == [Group("v1", ("a dog runs", "the dog")), Group("v2", ("a cat",))]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no sentences"),
        (b"v1\t\n", "no sentences"),
        (b"a dog runs\n", "line 1: expected a clip's name, a tab"),
        (b"v1\ta\n\ta dog\n", "line 2: expected a clip's name"),
        (b"v1\t\xff\xfe\n", "not UTF-8"),
    ],
)
def test_sentences_that_cannot_be_read(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "sentences.txt"
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_groups(path)


def test_groups_are_about_a_picture_if_half_of_their_sentences_are_its_captions() -> None:
    groups = [
        Group("all", ("a dog runs", "the dog")),
        Group("half", ("a dog runs", "a cat")),
        Group("less", ("a dog runs", "a cat", "a cow")),
        Group("none", ("a cow",)),
    ]
    said = [["A dog  runs.", "the dog", "dogs"], ["a bird"]]
    assert groups_about(groups, said) == {"all", "half"}
    assert groups_about(groups, []) == set()


# -- photos for sentences -------------------------------------------------------------------

PHOTOS = [
    photo("A man rides a horse.", "Somebody on a horse.", name="horse.jpg"),
    photo("A dog runs over the grass.", "A brown dog.", name="dog.jpg"),
    photo("Two dogs and a horse.", "Dogs beside a horse.", name="both.jpg"),
    photo("A red car.", "The car is parked.", name="car.jpg"),
]


def test_the_closest_photos_come_first_and_words_know_what_bears_them_out() -> None:
    (board,) = make_storyboards(
        [Group("v", ("a man is riding a horse", "a horse", "a hedgehog"))], PHOTOS, split="dev"
    )
    assert (board.name, board.split) == ("v", "dev")
    assert [PHOTOS[shown.photo].name for shown in board.photos] == ["horse.jpg", "both.jpg"]
    words = {word.stem: word for word in board.words}
    assert words["hors"].borne_out == (0, 1)
    assert words["hors"].share == pytest.approx(2 / 3)
    assert words["hedgehog"].classes == (334,)
    assert words["hedgehog"].borne_out == ()


def test_a_storyboard_has_at_most_so_many_photos_and_only_some_groups_have_any() -> None:
    groups = [Group("v", ("a dog and a horse",)), Group("w", ("nothing of the kind",))]
    (board,) = make_storyboards(groups, PHOTOS, split="train", most=2)
    assert len(board.photos) == 2
    with pytest.raises(DataError, match="none of the 1 clips"):
        make_storyboards(groups[1:], PHOTOS, split="train")
    with pytest.raises(UsageError, match="1 photo or more, not 0"):
        make_storyboards(groups, PHOTOS, split="train", most=0)


VOCABULARY = ("man", "dog", "horse", "red", "car", "runs", "grass", "jumps")
SENTENCES = st.lists(
    st.lists(st.sampled_from(VOCABULARY), min_size=1, max_size=4).map(" ".join),
    min_size=1,
    max_size=4,
)


@given(photos=st.lists(SENTENCES, min_size=2, max_size=6), sentences=SENTENCES)
def test_fits_are_cosines_computed_by_brute_force(
    photos: list[list[str]], sentences: list[str]
) -> None:
    def shares(captions: list[str]) -> dict[str, float]:
        stems = {stem for caption in captions for stem in meant(caption)}
        return {s: sum(s in meant(c) for c in captions) / len(captions) for s in stems}

    said = [shares(captions) for captions in photos]
    wanted = {stem: share for stem, share in shares(sentences).items() if share >= 0.1}
    rarity = {
        stem: math.log(len(said) / sum(stem in one for one in said))
        for stem in {stem for one in said for stem in one}
    }

    def cosine(one: dict[str, float]) -> float:
        a = {stem: share * rarity[stem] for stem, share in one.items()}
        b = {stem: share * rarity.get(stem, 0.0) for stem, share in wanted.items()}
        norms = math.hypot(*a.values()) * math.hypot(*b.values())
        return sum(a[stem] * b.get(stem, 0.0) for stem in a) / norms if norms else 0.0

    expected = sorted((cosine(one) for one in said), reverse=True)
    expected = [value for value in expected if value > 0]
    examples = [photo(*captions, name=f"{i}.jpg") for i, captions in enumerate(photos)]
    if not expected:
        with pytest.raises(DataError):
            make_storyboards([Group("v", tuple(sentences))], examples, split="train")
        return
    (board,) = make_storyboards([Group("v", tuple(sentences))], examples, split="train")
    assert [shown.fit for shown in board.photos] == pytest.approx(expected)
    assert [cosine(said[shown.photo]) for shown in board.photos] == pytest.approx(expected)


# -- files ------------------------------------------------------------------------------------


def test_what_is_written_is_read_again(tmp_path: Path) -> None:
    groups = [Group("v", ("a man is riding a horse",)), Group("w", ("a dog and a hedgehog",))]
    boards = make_storyboards(groups, PHOTOS, split="train")
    path = tmp_path / "boards.jsonl"
    write_storyboards(path, boards, [example.name for example in PHOTOS])
    found = read_storyboards(path)
    for board, again in zip(boards, found.boards, strict=True):
        assert (again.name, again.split, again.captions) == (
            board.name, board.split, board.captions,
        )  # fmt: skip
        names = [PHOTOS[shown.photo].name for shown in board.photos]
        assert [found.photos[shown.photo] for shown in again.photos] == names
        assert [s.fit for s in again.photos] == pytest.approx(
            [s.fit for s in board.photos], abs=1e-4
        )
        assert [(w.stem, w.classes, w.borne_out) for w in again.words] == [
            (w.stem, w.classes, w.borne_out) for w in board.words
        ]


GOOD: dict[str, Any] = {
    "name": "v",
    "split": "train",
    "captions": ["a dog"],
    "photos": [["a/dog.jpg", 0.5]],
    "words": [{"stem": "dog", "share": 1.0, "classes": [151], "borne_out": [0]}],
}
HEADER = '{"format": "negah-storyboards", "version": 1}'


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"photos": [["../dog.jpg", 0.5]]}, "outside the folder"),
        ({"photos": [["/etc/passwd", 0.5]]}, "outside the folder"),
        ({"photos": [["a\\..\\dog.jpg", 0.5]]}, "outside the folder"),
        ({"photos": [["C:/Windows/win.ini", 0.5]]}, "outside the folder"),
        ({"photos": [["C:x.jpg", 0.5]]}, "outside the folder"),
        ({"photos": [["//server/share/x.jpg", 0.5]]}, "outside the folder"),
        ({"photos": [["a\0.jpg", 0.5]]}, "cannot be shown"),
        ({"photos": [["\ud800.jpg", 0.5]]}, "cannot be shown"),
        ({"photos": [["x" * 5000, 0.5]]}, "outside the folder"),
        ({"photos": [[3, 0.5]]}, "a photo is text"),
        ({"photos": [["dog.jpg", math.nan]]}, "from 0 to 1"),
        ({"photos": [["dog.jpg", True]]}, "from 0 to 1"),
        ({"photos": [["dog.jpg"]]}, "no storyboard"),
        ({"photos": []}, "has captions and photos"),
        ({"captions": [" "]}, "a caption is text"),
        ({"captions": ["a \ud800"]}, "cannot be shown"),
        ({"captions": "dog"}, "expected a list"),
        ({"words": {}}, "expected a list"),
        ({"captions": []}, "has captions and photos"),
        ({"split": "test"}, "train or dev, not 'test'"),
        ({"words": [{**GOOD["words"][0], "classes": [1000]}]}, "class 1000 is not"),
        ({"words": [{**GOOD["words"][0], "classes": [-1]}]}, "class -1 is not"),
        ({"words": [{**GOOD["words"][0], "classes": []}]}, "a word has classes"),
        ({"words": [{**GOOD["words"][0], "borne_out": [1]}]}, "photo 1 is not"),
        ({"words": [{**GOOD["words"][0], "share": 2}]}, "share is a number"),
        ({"words": [{"stem": "dog"}]}, "no storyboard"),
        ({"words": "dog"}, "expected a list"),
    ],
)
def test_a_file_that_somebody_else_has_written(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "boards.jsonl"
    path.write_text(f"{HEADER}\n{json.dumps(GOOD)}\n", encoding="utf-8")
    assert len(read_storyboards(path).boards) == 1
    path.write_text(f"{HEADER}\n{json.dumps({**GOOD, **change})}\n", encoding="utf-8")
    with pytest.raises(DataError, match=message):
        read_storyboards(path)


@pytest.mark.parametrize(
    "content", ["", "image,caption\n", "[]\n", f"{HEADER}\n", f"{HEADER}\n3\n"]
)
def test_a_file_of_something_else(tmp_path: Path, content: str) -> None:
    path = tmp_path / "boards.jsonl"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(DataError, match="storyboard"):
        read_storyboards(path)


# -- the command --------------------------------------------------------------------------------


def test_the_command_leaves_out_what_is_said_of_clips_that_are_there(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_shapes(tmp_path / "shapes")
    known = load_dataset(data)
    sentences, output = tmp_path / "said.txt", tmp_path / "boards.jsonl"
    lines = [
        f"v{number}\t{caption}\n"
        for number, example in enumerate(known.split("train"))
        for caption in example.captions
    ]
    sentences.write_text("".join(lines), encoding="utf-8")
    command = ["data", "storyboards", str(data), "--sentences", str(sentences)]
    assert run([*command, "-o", str(output), "--photos", "3"]) == 0
    found = read_storyboards(output)
    assert len(found.boards) == len(known.split("train"))
    train = {example.path.resolve() for example in known.split("train")}
    said = capsys.readouterr().out
    assert "0 clips left out" in said
    told = [word.partition("=") for word in shlex.split(said.splitlines()[-1]) if "=" in word]
    named = {option: value for option, _, value in told}
    assert set(named) == {"clips.storyboards.file", "clips.storyboards.images"}
    assert Path(named["clips.storyboards.file"]) == output
    folder = Path(named["clips.storyboards.images"])
    assert {(folder / name).resolve() for name in found.photos} <= train
    assert max(len(board.photos) for board in found.boards) == 3

    assert run([*command, "-o", str(output)]) == 2
    assert "--overwrite" in capsys.readouterr().err
    assert run([*command, "-o", str(tmp_path / "boards.csv")]) == 2
    assert "name a .jsonl file" in capsys.readouterr().err
    # all of them are said of photos of this very data set
    assert run([*command, "-o", str(output), "--overwrite", "--leave-out", str(data)]) == 1
    assert "every clip of the part train is left out" in capsys.readouterr().err
    assert run([*command, "-o", str(output), "--overwrite", "--leave-out", "nowhere"]) == 2
    assert "no such file or folder" in capsys.readouterr().err
    other = make_shapes(tmp_path / "other")
    table = (other / "captions.csv").read_text()
    (other / "captions.csv").write_text(table.replace("white", "grey").replace("one", "two"))
    assert run([*command, "-o", str(output), "--overwrite", "--leave-out", str(other)]) == 2
    assert "nothing would be left out" in capsys.readouterr().err
    assert run([*command, "-o", str(output), "--overwrite", "--dev", str(sentences)]) == 1
    assert "are both about v0" in capsys.readouterr().err


@pytest.mark.data
def test_storyboards_of_msvd(data_root: Path) -> None:
    msvd = data_root / "msvd"
    groups = read_groups(msvd / "sents_train_lc_nopunc.txt")
    assert len(groups) == 1200
    clips = load_dataset(msvd).examples
    assert len(groups_about(groups, [clip.captions for clip in clips])) == len(clips) == 16
    photos = load_dataset(data_root / "coco" / "captions.csv").examples
    boards = make_storyboards(groups[:60], photos, split="train")
    fits = [board.photos[0].fit for board in boards]
    assert sum(fits) / len(fits) > 0.3
