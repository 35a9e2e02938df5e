"""Photos captioned in the style of other sentences."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from negah.cli.main import run
from negah.data import Example, SplitPolicy, load_dataset
from negah.data.restyle import content, restyle
from negah.errors import DataError, UsageError
from tiny_data import make_shapes


def photo(*captions: str, name: str = "1.jpg") -> Example:
    return Example(name, Path(name), captions, "train")


HORSE = photo("A man in a red shirt rides a brown horse.", "Somebody at the beach.")
OTHERS = [photo("A dog runs.", name="2.jpg"), photo("Two men sit on a horse.", name="3.jpg")]

CASES = [
    pytest.param("a man is riding a horse", True, id="all of it in one caption, by stems"),
    pytest.param("a person rides the horse", True, id="a man is a person"),
    pytest.param("a woman is riding a horse", False, id="but no woman"),
    pytest.param("a man is riding a horse at the beach", False, id="from two captions"),
    pytest.param("a man", False, id="too little"),
    pytest.param("a man is riding a zebra", False, id="a word that no photo has"),
    pytest.param("it is what it is", False, id="function words alone"),
]


@pytest.mark.parametrize(("sentence", "fits"), CASES)
def test_a_sentence_is_said_of_a_photo_whose_caption_bears_it_out(
    sentence: str, fits: bool
) -> None:
    always = "a dog is running"  # so that some photo is always found
    found = restyle([HORSE, *OTHERS], [sentence, always], support=1)
    captions = {example.name: example.captions for example in found.examples}
    assert captions.pop("2.jpg") == (always,)
    assert captions == ({"1.jpg": (sentence,)} if fits else {})


def test_different_contents_come_first_then_other_wordings_of_the_most_telling() -> None:
    sentences = [
        "a man sits", "the man is on a horse", "a man on a horse", "a man on a horse",
    ]  # fmt: skip
    examples = [photo("A man sits on a horse."), photo("A man sits."), photo("A dog.", name="d")]
    captions = restyle(examples, sentences, per_photo=3, shortest=3, support=1).examples[0].captions
    assert captions == ("a man on a horse", "a man sits", "the man is on a horse")
    found = restyle(examples, sentences, per_photo=1, own=3)
    assert [example.captions for example in found.examples] == [
        ("a man on a horse",), ("A man sits.",), ("A dog.",),
    ]  # fmt: skip
    assert found.sentences == 1
    with pytest.raises(DataError, match="no style"):
        restyle(examples, sentences, support=4)


@pytest.mark.data
def test_every_caption_is_borne_out_by_one_of_the_photos_own(data_root: Path) -> None:
    photos = load_dataset(data_root / "coco" / "captions.csv", split=SplitPolicy()).examples[:400]
    lines = (data_root / "msvd" / "sents_val_lc_nopunc.txt").read_text().splitlines()
    seen = []
    found = restyle(
        photos, [line.rpartition("\t")[2] for line in lines], progress=lambda *at: seen.append(at)
    )
    own = {example.path: example for example in photos}
    assert len(found.examples) > 15
    assert seen[-1] == (400, 400)
    person = content("person someone somebody")
    for example in found.examples:
        for caption in example.captions:
            before = [content(text) for text in own[example.path].captions]
            assert any(content(caption) - person <= text for text in before), caption
            assert example.split == own[example.path].split


def test_nothing_to_say() -> None:
    with pytest.raises(UsageError, match="per_photo is 1 or more, not 0"):
        restyle([HORSE], ["a man rides"], per_photo=0)
    with pytest.raises(DataError, match="none has 4 words or more"):
        restyle([HORSE], ["", "  "])
    with pytest.raises(DataError, match="same language"):
        restyle([HORSE], ["ein Mann reitet ein Pferd"] * 2)


def test_the_command_writes_a_table_that_can_be_read(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = make_shapes(tmp_path / "shapes")
    known = load_dataset(data)
    sentences = tmp_path / "sentences.txt"
    sentences.write_text("".join(f"v1\t{example.captions[0]}\n" for example in known.examples))
    output = tmp_path / "restyled.csv"
    sure = ["--support", "1", "--shortest", "1", "--sentences", str(sentences)]
    command = ["data", "restyle", str(data), *sure, "-o", str(output)]
    assert run(command) == 0
    assert "different sentences; read it with --images" in capsys.readouterr().err
    read = load_dataset(output, images=data / "images")
    assert not read.problems
    splits = {example.path.resolve(): example.split for example in known.examples}
    assert all(example.split == splits[example.path.resolve()] for example in read.examples)
    with output.open(newline="") as file:
        assert set(next(csv.reader(file))) == {"image", "caption", "split"}
    assert run(command) == 2
    assert "add --overwrite" in capsys.readouterr().err
    assert run([*command, "--overwrite"]) == 0
    assert run([*command[:-1], str(tmp_path / "restyled.txt")]) == 2
    absent = ["--sentences", str(tmp_path / "absent.txt")]
    assert run([*command[:3], *absent, "-o", str(tmp_path / "x.csv")]) == 2
    assert "cannot be read" in capsys.readouterr().err
