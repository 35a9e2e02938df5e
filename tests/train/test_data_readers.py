"""Reading captioned data sets: every layout, and what people and crooks do to them."""

from __future__ import annotations

import csv
import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negah.data import Dataset, SplitPolicy, check_no_leak, load_dataset, load_datasets
from negah.errors import DataError, UnknownNameError, UsageError


def make_images(folder: Path, *names: str) -> None:
    """Files of different content; readers never decode them."""
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(f"image {name}".encode())


def splits(dataset: Dataset) -> dict[str, str]:
    return {example.name: example.split for example in dataset.examples}


def captions(dataset: Dataset) -> dict[str, tuple[str, ...]]:
    return {example.name: example.captions for example in dataset.examples}


def kinds(dataset: Dataset) -> dict[str, int]:
    return dict(Counter(problem.kind for problem in dataset.problems))


# Flickr8k


def make_flickr8k(folder: Path, images: str = "Images") -> None:
    make_images(folder / images, "a.jpg", "b.jpg", "c.jpg", "d.jpg")
    lines = [f"{name}.jpg#{k}\tA dog {name}, running {k} ." for name in "abcd" for k in range(2)]
    lines.append("e.jpg.1#0\tThe known typo .")
    (folder / "Flickr8k.token.txt").write_text("\n".join(lines) + "\n")
    for split, name in (("train", "a"), ("dev", "b"), ("test", "c")):
        (folder / f"Flickr_8k.{split}Images.txt").write_text(f"{name}.jpg\n")


@pytest.mark.parametrize("images", ["Images", "images", "Flicker8k_Dataset", "."])
@pytest.mark.parametrize("given", ["", "Flickr8k.token.txt"])
def test_flickr8k(tmp_path: Path, images: str, given: str) -> None:
    folder = tmp_path / "flickr8k"
    make_flickr8k(folder, images)
    dataset = load_dataset(folder / given, split=SplitPolicy(dev_fraction=0.5))
    assert dataset.name == "flickr8k"
    assert splits(dataset) == {"a.jpg": "train", "b.jpg": "dev", "c.jpg": "test", "d.jpg": "none"}
    assert captions(dataset)["a.jpg"] == ("A dog a, running 0 .", "A dog a, running 1 .")
    (problem,) = dataset.problems
    assert (problem.kind, problem.name) == ("missing image", "e.jpg.1")
    assert "1 caption unused" in problem.message
    assert dataset.examples[0].path.read_bytes() == b"image a.jpg"
    assert [example.name for example in dataset.split("val")] == ["b.jpg"]
    assert len(dataset.captions("train")) == 2


def test_flickr8k_malformed_lines_and_unknown_list_names_are_problems(tmp_path: Path) -> None:
    make_flickr8k(tmp_path)
    with (tmp_path / "Flickr8k.token.txt").open("a") as file:
        file.write("no tab here\n\na.jpg#5\t \n")
    with (tmp_path / "Flickr_8k.testImages.txt").open("a") as file:
        file.write("ghost.jpg\n")
    dataset = load_dataset(tmp_path)
    assert kinds(dataset) == {
        "missing image": 1,
        "malformed line": 1,
        "empty caption": 1,
        "no caption": 1,
    }


def test_flickr8k_lists_that_overlap_are_refused(tmp_path: Path) -> None:
    make_flickr8k(tmp_path)
    (tmp_path / "Flickr_8k.testImages.txt").write_text("a.jpg\n")
    with pytest.raises(DataError, match=r"'a.jpg' is also in the train list"):
        load_dataset(tmp_path)


# Tables


def test_csv_layout_of_flickr8k_uses_the_official_lists(tmp_path: Path) -> None:
    make_flickr8k(tmp_path)
    expected = load_dataset(tmp_path)
    (tmp_path / "Flickr8k.token.txt").unlink()
    with (tmp_path / "captions.txt").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["image", "caption"])
        for example in expected.examples:
            writer.writerows([example.name, caption] for caption in example.captions)
    assert load_dataset(tmp_path).examples == expected.examples


TABLES = {
    "comma": 'image,caption\na.jpg,"A dog, a ball"\na.jpg,"He said ""no"""\nb.jpg,x\n',
    "tab": 'image\tcaption\na.jpg\tA dog, a ball\na.jpg\tHe said "no"\nb.jpg\tx\n',
    "semicolon": 'image;caption\na.jpg;A dog, a ball\na.jpg;"He said ""no"""\nb.jpg;x\n',
    "byte order mark": '\ufeffimage,caption\na.jpg,"A dog, a ball"\n'
    'a.jpg,"He said ""no"""\nb.jpg,x',
    "CRLF and blank lines": '\r\nimage,caption\r\n\r\na.jpg,"A dog, a ball"\r\n'
    'a.jpg,"He said ""no"""\r\nb.jpg,x\r\n\r\n',
    "order, case, further columns": 'ID, Caption ,IMAGE\n1,"A dog, a ball",./a.jpg\n'
    '2,"He said ""no""",./a.jpg\n3,  x ,b.jpg\n',
    "JSON lines": '{"image": "a.jpg", "captions": ["A dog, a ball", "He said \\"no\\""]}\n\n'
    '{"image": "b.jpg", "caption": "x"}\n',
}


@pytest.mark.parametrize("text", TABLES.values(), ids=TABLES.keys())
@pytest.mark.parametrize("suffix", ["csv", "txt", "tsv", "jsonl", "json"])
def test_tables(tmp_path: Path, text: str, suffix: str) -> None:
    if suffix == "json":
        text = TABLES["JSON lines"]  # what else a .json file may be is tested below
    make_images(tmp_path, "a.jpg", "b.jpg")
    path = tmp_path / f"mine.{suffix}"
    path.write_bytes(text.encode())
    dataset = load_dataset(path)
    assert captions(dataset) == {"a.jpg": ("A dog, a ball", 'He said "no"'), "b.jpg": ("x",)}
    assert splits(dataset) == {"a.jpg": "train", "b.jpg": "train"}
    assert dataset.name == "mine"
    assert dataset.problems == ()


@pytest.mark.parametrize(
    ("word", "split"),
    [
        ("train", "train"),
        ("Training", "train"),
        ("restval", "train"),
        ("dev", "dev"),
        ("val", "dev"),
        ("VALID", "dev"),
        ("validation", "dev"),
        ("test ", "test"),
        ("none", "none"),
        ("", "train"),
    ],
)
def test_split_words(tmp_path: Path, word: str, split: str) -> None:
    make_images(tmp_path, "a.jpg")
    (tmp_path / "captions.csv").write_text(f"image,split,caption\na.jpg,{word},x\n")
    assert splits(load_dataset(tmp_path)) == {"a.jpg": split}


def test_a_split_column_wins_over_official_lists(tmp_path: Path) -> None:
    make_images(tmp_path, "a.jpg")
    (tmp_path / "Flickr_8k.testImages.txt").write_text("a.jpg\n")
    (tmp_path / "captions.csv").write_text("image,split,caption\na.jpg,dev,x\n")
    assert splits(load_dataset(tmp_path)) == {"a.jpg": "dev"}


def test_images_elsewhere(tmp_path: Path) -> None:
    make_images(tmp_path / "photos", "deep/a.jpg")
    (tmp_path / "captions.csv").write_text("image,caption\ndeep/a.jpg,x\n")
    with pytest.raises(DataError, match=r"none of the images.*--images"):
        load_dataset(tmp_path)
    dataset = load_dataset(tmp_path, images=tmp_path / "photos")
    assert splits(dataset) == {"deep/a.jpg": "train"}
    with pytest.raises(UsageError, match="no such folder"):
        load_dataset(tmp_path, images=tmp_path / "nowhere")


# JSON annotations


def karpathy(*images: dict[str, Any]) -> dict[str, Any]:
    return {"dataset": "coco", "images": list(images)}


def sentences(*texts: str) -> list[dict[str, Any]]:
    return [{"raw": text, "tokens": text.split()} for text in texts]


def test_karpathy(tmp_path: Path) -> None:
    make_images(tmp_path, "val2014/a.jpg", "b.jpg", "c.jpg", "d.jpg")
    content = karpathy(
        {
            "filepath": "val2014",
            "filename": "a.jpg",
            "split": "restval",
            "sentences": sentences("x"),
        },
        {
            "filepath": "val2014",
            "filename": "b.jpg",
            "split": "val",
            "sentences": sentences("y", "z"),
        },
        {"filename": "c.jpg", "split": "test", "sentences": sentences("w")},
        {"filename": "d.jpg", "split": "train", "sentences": []},
        {"filename": "e.jpg", "split": "train", "sentences": sentences("v")},
    )
    (tmp_path / "dataset_coco.json").write_text(json.dumps(content))
    dataset = load_dataset(tmp_path)
    assert splits(dataset) == {"val2014/a.jpg": "train", "b.jpg": "dev", "c.jpg": "test"}
    assert captions(dataset)["b.jpg"] == ("y", "z")
    assert kinds(dataset) == {"empty caption": 1, "no caption": 1, "missing image": 1}


@pytest.mark.parametrize(
    ("file_name", "split"),
    [
        ("captions_train2014.json", "train"),
        ("captions_val2017.json", "dev"),
        ("captions_mine.json", "train"),
    ],
)
@pytest.mark.parametrize("folder", ["{}", "images/{}", "annotations/../{}", "images"])
def test_coco(tmp_path: Path, file_name: str, split: str, folder: str) -> None:
    part = file_name.removeprefix("captions_").removesuffix(".json")
    make_images(tmp_path / folder.format(part), "a.jpg", "b.jpg")
    content = {
        "images": [{"id": 7, "file_name": "a.jpg"}, {"id": 9, "file_name": "b.jpg"}],
        "annotations": [
            {"image_id": 9, "id": 1, "caption": "y\n"},
            {"image_id": 7, "id": 2, "caption": "x"},
            {"image_id": 9, "id": 3, "caption": "z"},
            {"image_id": 11, "id": 4, "caption": "lost"},
        ],
    }
    (tmp_path / "annotations").mkdir(exist_ok=True)
    (tmp_path / "annotations" / file_name).write_text(json.dumps(content))
    dataset = load_dataset(tmp_path)
    assert captions(dataset) == {"a.jpg": ("x",), "b.jpg": ("y", "z")}
    assert set(splits(dataset).values()) == {split}
    assert kinds(dataset) == {"unknown name": 1}


# What is refused, and how it is said

ERRORS: dict[str, tuple[str, str, str]] = {
    "no column": ("x.csv", "file,text\na.jpg,x\n", r"no column 'image' and no column 'caption'.*"
                  r"found: 'file', 'text'"),
    "one column": ("x.csv", "image,text\na.jpg,x\n", r"no column 'caption'"),
    "empty": ("x.csv", "", "the file is empty"),
    "header only": ("x.csv", "image,caption\n", "no image"),
    "loose comma": ("x.csv", "image,caption\na.jpg,x, y\n", r"line 2: 3 cells.*double quotes"),
    "open quote": ("x.csv", 'image,caption\na.jpg,"x\nb.jpg,y\n', "malformed CSV"),
    "huge field": ("x.csv", f"image,caption\na.jpg,{'x' * 200_000}\n", "line 2: malformed CSV"),
    "unknown split": ("x.csv", "image,caption,split\na.jpg,x,both\n", "line 2: unknown split"),
    "two splits": ("x.csv", "image,caption,split\na.jpg,x,train\na.jpg,y,test\n",
                   r"line 3: image 'a.jpg' is in two parts, train and test"),
    "two spellings": ("x.csv", "image,caption\na.jpg,x\n./a.jpg,y\n", "two spellings"),
    "all unsafe": ("x.csv", "image,caption\n../a.jpg,x\n", r"no image can.*unsafe name \(1\)"),
    "all empty": ("x.csv", "image,caption\na.jpg, \n", r"no image can.*empty caption \(1\)"),
    "bad line": ("x.jsonl", '{"image": "a.jpg", "caption": "x"}\n{"image": \n', "2: not valid"),
    "not an object": ("x.jsonl", '{"image": "a.jpg", "caption": "x"}\n[1]\n', "line 2: each line"),
    "no key": ("x.jsonl", '{"image": "a.jpg", "text": "x"}\n', r"found: 'image', 'text'"),
    "number": ("x.jsonl", '{"image": "a.jpg", "caption": 3}\n', r"must be text \(given: 3\)"),
    "split list": ("x.jsonl", '{"image": "a.jpg", "caption": "x", "split": [1]}', "unknown split"),
    "JSON list": ("x.json", '["a.jpg"]', "entry 1: must be an object with image"),
    "JSON other": ("x.json", '{"videos": []}', "unknown layout"),
    "JSON null": ("x.json", "null", "holds a JSON null, not an object"),
    "JSON text": ("x.json", '"x"', "holds a JSON str, not an object"),
    "JSON broken": ("x.json", '{"images": [', r"not valid JSON.*line 1"),
    "JSON deep": ("x.json", "[" * 200_000, "not usable JSON"),
    "JSON number": ("x.json", '{"image": ' + "9" * 5000 + "}", "not usable JSON"),
    "no images": ("x.json", '{"images": [], "annotations": []}', "no image can be used"),
    "coco id": ("x.json", '{"images": [{"file_name": "a.jpg"}], "annotations": []}', "number 'id'"),
    "coco twice": ("x.json", '{"images": [{"id": 1, "file_name": "a.jpg"}, {"id": 1, '
                   '"file_name": "b.jpg"}], "annotations": []}', "id 1 is listed twice"),
    "karpathy split": ("x.json", '{"images": [{"filename": "a.jpg", "sentences": [], '
                       '"split": "x"}]}', r"images\[0\]: unknown split 'x'"),
    "karpathy raw": ("x.json", '{"images": [{"filename": "a.jpg", "sentences": [3], '
                     '"split": "val"}]}', "must be an object"),
    "tokens": ("Flickr8k.token.txt", "image,caption\n", r"no line reads"),
}  # fmt: skip


@pytest.mark.parametrize(("file_name", "text", "message"), ERRORS.values(), ids=ERRORS.keys())
def test_errors(tmp_path: Path, file_name: str, text: str, message: str) -> None:
    make_images(tmp_path, "a.jpg", "b.jpg")
    path = tmp_path / file_name
    path.write_text(text)
    with pytest.raises(DataError, match=message) as raised:
        load_dataset(path)
    assert str(path) in str(raised.value)
    assert len(str(raised.value)) < 2000


def test_errors_of_paths_and_options(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no such file or folder"):
        load_dataset(tmp_path / "nowhere")
    with pytest.raises(DataError, match=r"no caption file.*captions\.csv"):
        load_dataset(tmp_path)
    with pytest.raises(UnknownNameError, match="Did you mean 'karpathy'"):
        load_dataset(tmp_path, format="karpaty")
    with pytest.raises(UsageError, match="no data set"):
        load_datasets([])
    (tmp_path / "captions.csv").write_bytes("image,caption\na.jpg,caf\u00e9\n".encode("latin-1"))
    with pytest.raises(DataError, match="not UTF-8"):
        load_dataset(tmp_path)
    (tmp_path / "captions.csv").unlink()
    for part in ("train", "val"):
        (tmp_path / f"captions_{part}2014.json").write_text("{}")
    with pytest.raises(DataError, match=r"several data sets: captions_train2014\.json"):
        load_dataset(tmp_path)


def test_a_named_format_is_taken_at_its_word(tmp_path: Path) -> None:
    make_images(tmp_path, "a.jpg")
    (tmp_path / "results.token").write_text("a.jpg#0\tx\n")
    assert captions(load_dataset(tmp_path / "results.token", format="flickr8k")) == {
        "a.jpg": ("x",)
    }
    (tmp_path / "x.json").write_text('{"images": []}')
    with pytest.raises(DataError, match="COCO's layout has"):
        load_dataset(tmp_path / "x.json", format="coco")


@pytest.mark.parametrize(
    "name",
    ["../x.jpg", "a/../../x.jpg", "/etc/passwd", "..\\x.jpg", "C:\\x.jpg", "C:x.jpg",
     "\\\\host\\x.jpg", "a\0b.jpg"],
)  # fmt: skip
def test_names_that_lead_out_of_the_images_folder_are_left_out(tmp_path: Path, name: str) -> None:
    make_images(tmp_path, "x.jpg", "data/Images/a.jpg")
    table = [{"image": name, "caption": "secret"}, {"image": "a.jpg", "caption": "x"}]
    path = tmp_path / "data" / "captions.jsonl"
    path.write_text("\n".join(map(json.dumps, table)))
    dataset = load_dataset(path)
    assert captions(dataset) == {"a.jpg": ("x",)}
    assert kinds(dataset) == {"unsafe name": 1}


@pytest.mark.parametrize("name", ["n" * 5000, "a/" * 3000, "\ud800.jpg", ".", "Images"])
def test_absurd_names_are_missing_images(tmp_path: Path, name: str) -> None:
    make_images(tmp_path / "Images", "a.jpg")
    table = [{"image": name, "caption": "x"}, {"image": "a.jpg", "caption": "\ud800 y"}]
    (tmp_path / "captions.jsonl").write_text("\n".join(map(json.dumps, table)))
    dataset = load_dataset(tmp_path)
    assert captions(dataset) == {"a.jpg": ("\ufffd y",)}
    assert sum(kinds(dataset).values()) == 1
    assert all(len(str(problem).encode()) < 1000 for problem in dataset.problems)


@given(
    rows=st.lists(
        st.tuples(
            st.sampled_from(["a.jpg", "b.jpg", "sub/c.jpg"]),
            st.text(st.characters(codec="utf-8", exclude_characters="\r"), max_size=30),
        ),
        min_size=1,
        max_size=12,
    )
)
@pytest.mark.parametrize("layout", ["csv", "jsonl"])
def test_any_text_survives_a_table(
    tmp_path_factory: pytest.TempPathFactory, layout: str, rows: list[tuple[str, str]]
) -> None:
    folder = tmp_path_factory.mktemp("table")
    make_images(folder / "Images", "a.jpg", "b.jpg", "sub/c.jpg")
    rows.append(("a.jpg", "always one"))
    path = folder / f"captions.{layout}"
    with path.open("w", newline="", encoding="utf-8") as file:
        if layout == "csv":
            csv.writer(file).writerows([("image", "caption"), *rows])
        else:
            file.writelines(json.dumps({"image": i, "caption": c}) + "\n" for i, c in rows)
    expected: dict[str, list[str]] = {}
    for image, caption in rows:
        if caption.strip():
            expected.setdefault(image, []).append(caption.strip())
    assert captions(load_dataset(path)) == {k: tuple(v) for k, v in expected.items()}


# Several data sets


def test_names_of_joined_data_sets_do_not_collide(tmp_path: Path) -> None:
    folders = [tmp_path / "one" / "photos", tmp_path / "two" / "photos", tmp_path / "cats"]
    for folder in folders:
        make_images(folder, "a.jpg")
        (folder / "captions.csv").write_text("image,caption\na.jpg,x\nghost.jpg,y\n")
    joined = load_datasets(folders)
    assert joined.name == "photos+photos-2+cats"
    assert [example.name for example in joined.examples] == [
        "photos/a.jpg", "photos-2/a.jpg", "cats/a.jpg",
    ]  # fmt: skip
    assert [problem.name for problem in joined.problems] == [
        "photos/ghost.jpg", "photos-2/ghost.jpg", "cats/ghost.jpg",
    ]  # fmt: skip
    alone = load_datasets(folders[:1], name="mine")
    assert (alone.name, splits(alone)) == ("mine", {"a.jpg": "train"})


# Real data


@pytest.mark.data
def test_real_flickr8k_in_both_layouts(data_root: Path) -> None:
    tokens = load_dataset(data_root / "flickr8k")
    table = load_dataset(data_root / "flickr8k" / "captions.txt")
    assert tokens.examples == table.examples
    assert tokens.name == table.name == "flickr8k"
    assert Counter(splits(tokens).values()) == {
        "train": 6000, "dev": 1000, "test": 1000, "none": 91,
    }  # fmt: skip
    assert {len(example.captions) for example in tokens.examples} == {5}
    assert [problem.name for problem in tokens.problems] == ["2258277193_586949ec62.jpg.1"]
    assert table.problems == ()


@pytest.mark.data
def test_real_data_sets_together_do_not_leak(data_root: Path) -> None:
    dataset = load_datasets([data_root / "flickr8k", data_root / "coco"], split=SplitPolicy())
    photos = sum(example.name.startswith("coco/") for example in dataset.examples)
    assert len(dataset) == 8091 + photos
    held_out = sum(example.name.startswith("coco/") for example in dataset.split("dev"))
    assert 0.08 < held_out / photos < 0.12
    check_no_leak(dataset)
