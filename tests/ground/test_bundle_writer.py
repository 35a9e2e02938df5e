"""Bundles are written whole or not at all, and never over something else."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from negah.bundle import Bundle, BundleConfig, Score, TrainingData, read_bundle, write_bundle
from negah.bundle.card import model_card
from negah.errors import BundleError, UsageError

WRITTEN = ("encoder.onnx", "start.onnx", "step.onnx", "tokenizer.json", "weights.safetensors")


@pytest.fixture
def bundle(tiny_bundle: Path) -> Bundle:
    return read_bundle(tiny_bundle)


def write(bundle: Bundle, folder: Path, name: str = "copy") -> Bundle:
    """The same bundle again, under another name."""
    config = bundle.config.model_copy(update={"name": name, "files": {}})

    def write_files(target: Path) -> None:
        for file in WRITTEN:
            shutil.copyfile(bundle.path / file, target / file)

    return write_bundle(folder, config, write_files)


def test_what_is_written_is_what_is_read(bundle: Bundle, tmp_path: Path) -> None:
    written = write(bundle, tmp_path / "a" / "bundle")
    again = read_bundle(tmp_path / "a" / "bundle")
    assert again.config == written.config
    assert written.path == tmp_path / "a" / "bundle"
    assert set(again.config.files) == {*WRITTEN, "README.md"}
    assert again.config.files["step.onnx"] == bundle.config.files["step.onnx"]
    assert [file.name for file in (tmp_path / "a").iterdir()] == ["bundle"]


def test_a_bundle_replaces_a_bundle(bundle: Bundle, tmp_path: Path) -> None:
    write(bundle, tmp_path / "bundle", "first")
    write(bundle, tmp_path / "bundle", "second")
    assert read_bundle(tmp_path / "bundle").config.name == "second"
    assert [file.name for file in tmp_path.iterdir()] == ["bundle"]


def test_what_somebody_put_beside_a_bundle_stays(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "bundle"
    write(bundle, folder, "first")
    (folder / "notes.txt").write_text("mine")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("mine too")
    (folder / "link").symlink_to("nowhere")
    (tmp_path / "named").symlink_to("bundle")
    write(bundle, tmp_path / "named", "second")
    assert read_bundle(folder).config.name == "second"
    assert (folder / "notes.txt").read_text() == "mine"
    assert (folder / ".git" / "config").read_text() == "mine too"
    assert (folder / "link").is_symlink()
    assert (tmp_path / "named").is_symlink()
    (folder / "bundle.json").write_text("{}")  # no description, so no telling what is the bundle's
    with pytest.raises(UsageError, match="is not a bundle"):
        write(bundle, folder)
    assert sorted(file.name for file in tmp_path.iterdir()) == ["bundle", "named"]


def test_anything_else_is_not_overwritten(bundle: Bundle, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    write(bundle, folder)
    shutil.rmtree(folder)
    folder.mkdir()
    (folder / "wedding.jpg").write_bytes(b"")
    with pytest.raises(UsageError, match="is not a bundle, so it is not overwritten"):
        write(bundle, folder)
    assert [file.name for file in folder.iterdir()] == ["wedding.jpg"]
    with pytest.raises(UsageError, match="not overwritten"):
        write(bundle, folder / "wedding.jpg")


def test_a_failure_leaves_the_old_bundle_and_nothing_else(bundle: Bundle, tmp_path: Path) -> None:
    write(bundle, tmp_path / "bundle", "first")

    def fail(target: Path) -> None:
        (target / "step.onnx").write_bytes(b"half")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_bundle(tmp_path / "bundle", bundle.config, fail)
    with pytest.raises(BundleError, match="must list"):
        write_bundle(tmp_path / "bundle", bundle.config, lambda target: None)
    assert read_bundle(tmp_path / "bundle").config.name == "first"
    assert [file.name for file in tmp_path.iterdir()] == ["bundle"]


def card_of(config: BundleConfig, **changes: object) -> str:
    return model_card(config.model_copy(update=changes))


def test_the_card_says_what_one_should_know(bundle: Bundle) -> None:
    config = bundle.config
    score = Score(
        dataset="Flickr8k", split="test", metric="CIDEr-D", value=58.04, low=55.5, high=60.49,
        n=1000, signature="CIDEr-D|tok:ptb|refs:5",
    )  # fmt: skip
    source = TrainingData(name="Flickr8k, train", licence="non-commercial", images=6000, note="So.")
    provenance = config.provenance.model_copy(
        update={
            "training_data": (source,),
            "seeds": (1, 2),
            "encoder_weights": "efficientnet-lite0",
            "encoder_weights_sha256": "abc",
        }
    )
    card = card_of(config, scores=(score,), provenance=provenance, limits=("Only English.",))
    for expected in (
        "# tiny cam-rnn",
        "64 x 64 pixels, 2 x 2 regions",
        "Licence of the weights: CC0-1.0",
        "- Flickr8k, train, 6,000 images. Licence: non-commercial. So.",
        "| Flickr8k | test | CIDEr-D | 58.04 | 55.50 to 60.49 | 1,000 | "
        "`CIDEr-D&#124;tok:ptb&#124;refs:5` |",
        "- Only English.",
        "Seeds: 1, 2.",
        "Encoder initialised from efficientnet-lite0 (SHA-256 abc)",
        "regions, frames, gate, phrases",
        '"kind": "cam-rnn"',
        "negah caption photo.jpg --model FOLDER",
    ):
        assert expected in card
    assert (bundle.path / "README.md").read_text() == model_card(config)


def test_the_card_of_a_bundle_that_says_little(bundle: Bundle) -> None:
    provenance = bundle.config.provenance.model_copy(update={"training_data": (), "seeds": ()})
    card = card_of(bundle.config, scores=(), provenance=provenance, limits=(), evidence=())
    for expected in ("Not measured.", "Not recorded.", "not recorded", "None were written down."):
        assert expected in card
    assert "Evidence with every word" not in card
