"""``negah caption --picture``: what is drawn, under which name, and what is refused."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from common import REPOSITORY
from negah.cli.main import run

PHOTO = REPOSITORY / "examples" / "photos" / "cat.jpg"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of two photos with the same stem."""
    folder = tmp_path / "photos"
    folder.mkdir()
    shutil.copy(PHOTO, folder / "cat.jpg")
    Image.open(PHOTO).resize((60, 90)).save(folder / "cat.png")
    return folder


def test_one_photo_gives_one_file(tiny_bundle: Path, photos: Path, tmp_path: Path) -> None:
    target = tmp_path / "new" / "evidence.png"
    arguments = ["caption", str(photos / "cat.jpg"), "--model", str(tiny_bundle)]
    assert run([*arguments, "--picture", str(target)]) == 0
    with Image.open(target) as picture:
        assert picture.format == "PNG"
        assert picture.width > 200


def test_several_photos_give_a_folder(tiny_bundle: Path, photos: Path, tmp_path: Path) -> None:
    target = tmp_path / "pictures"
    arguments = ["caption", str(photos), "--model", str(tiny_bundle), "--picture", str(target)]
    assert run(arguments) == 0
    assert sorted(path.name for path in target.iterdir()) == ["cat-2.png", "cat.png"]


@pytest.mark.parametrize(
    ("photo", "target", "message"),
    [
        ("photos", "one.png", "name a folder"),
        ("photos/cat.jpg", "one.jpg", "pictures are PNG"),
        ("photos/cat.png", "photos/cat.png", "would replace"),
        ("photos/cat.jpg", "photos/cat.png", "would replace the photo"),
    ],
)
def test_wrong_targets(
    photo: str,
    target: str,
    message: str,
    tiny_bundle: Path,
    photos: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    base = photos.parent
    before = (photos / "cat.png").read_bytes()
    arguments = ["caption", str(base / photo), "--model", str(tiny_bundle)]
    assert run([*arguments, "--picture", str(base / target)]) == 2
    assert message in capsys.readouterr().err
    assert (photos / "cat.png").read_bytes() == before
