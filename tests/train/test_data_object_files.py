"""Files that say what is to be seen in each image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from negah.data.object_files import ObjectFile, read_objects
from negah.errors import DataError

PLAIN = [
    {"image": "a.jpg", "width": 9, "objects": [["dog", 1, 2, 3, 4], "cat", ["dog", 0, 0, 1, 1]]},
    {"file_name": "b.jpg", "image_id": 2, "objects": []},
]
COCO: dict[str, Any] = {
    "images": [{"id": 1, "file_name": "a.jpg"}, {"id": 2, "file_name": "b.jpg"}, {"id": 3}],
    "annotations": [
        {"image_id": 1, "category_id": 18, "bbox": [1, 2, 3, 4]},
        {"image_id": 1, "category_id": 17},
        {"image_id": 1, "category_id": 18},
        {"image_id": 3, "category_id": 17},
    ],
    "categories": [{"id": 17, "name": "cat"}, {"id": 18, "name": "dog"}],
}


def _read(folder: Path, content: str | object) -> ObjectFile:
    path = folder / "objects.json"
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return read_objects(path)


def test_layouts(tmp_path: Path) -> None:
    seen = {"a.jpg": ("dog", "cat"), "b.jpg": ()}
    lines = "".join(json.dumps(one) + "\n" for one in PLAIN)
    for content in (PLAIN, lines):
        found = _read(tmp_path, content)
        assert found.objects == seen
        assert found.aliases == {"2": "b.jpg"}
    assert _read(tmp_path, PLAIN[0]).objects == {"a.jpg": ("dog", "cat")}
    coco = _read(tmp_path, COCO)
    assert coco.objects == {"1": ("dog", "cat"), "2": (), "3": ("cat",)}
    images = {"train/a.jpg": (), "x": ("0002",), "3": (), "unknown": ()}
    assert coco.of(images) == {"train/a.jpg": ("dog", "cat"), "x": (), "3": ("cat",)}
    with pytest.raises(DataError, match="has none of the 1 scored images"):
        coco.of({"unknown": ()})


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no", "not valid JSON"),
        ("[]", "holds no images"),
        ([3], "entry 1: has no list 'objects'"),
        ([{"image": "a", "objects": "dog"}], "entry 1: has no list 'objects'"),
        ([{"objects": ["dog"]}], "entry 1: names no image"),
        ([{"image": "a", "objects": [""]}], "an object is a name"),
        ([{"image": "a", "objects": [[1, 2]]}], "an object is a name"),
        ([{"image": "a", "objects": ["x" * 201]}], "an object is a name"),
        ([{"image": "a", "objects": []}, {"image": "a", "objects": []}], "repeats image"),
        ({"captions": []}, "unknown layout"),
        ({**COCO, "annotations": 3}, "annotations: is not a list of objects"),
        ({**COCO, "annotations": [{"image_id": 1, "category_id": 5}]}, r"annotations\[0\]: has no"),
        ({**COCO, "images": [{}]}, r"images\[0\]: has no id"),
        ({**COCO, "categories": [{"id": 1}]}, r"categories\[0\]: an object is a name"),
        ({**COCO, "images": [], "annotations": []}, "holds no images"),
        ({**COCO, "categories": [{"name": "dog"}]}, r"categories\[0\]: has no id"),
        ({**COCO, "annotations": [{"image_id": 1}]}, r"annotations\[0\]: has no image_id"),
        (
            {**COCO, "categories": [{"id": 1, "name": "dog"}, {"id": "1", "name": "cat"}]},
            r"categories\[1\]: repeats category id '1'",
        ),
    ],
)
def test_what_is_no_such_file_is_refused(tmp_path: Path, content: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        _read(tmp_path, content)
