"""Captions chosen by the CIDEr that is expected of them, against CIDEr itself."""

from __future__ import annotations

import csv
import itertools
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from decoding_models import TableModel, decode
from negah.bundle import read_bundle
from negah.bundle.expected_cider import (
    EXPECTED_CIDER_FILE,
    read_expected_cider,
    write_expected_cider,
)
from negah.bundle.revise import change_decoding, revise_bundle
from negah.bundle.tensors import read_tensors, write_tensors
from negah.cli.main import run
from negah.decoding import DecodingOptions, ExpectedCider, Support
from negah.errors import BundleError, DataError, UsageError
from negah.metrics.cider import Consensus, prepared
from negah.reranking import RerankOptions, fit_expected_cider, fit_reranking, save_reranking
from negah.runtime import Captioner, OnnxBackend

pytest.importorskip("torch", reason="making a bundle needs the train extra")
from tiny_bundle import CAPTIONS, make_tiny_bundle

WORDS = ("dog", "ball", "man")
Captions = list[list[list[int]]]


def captions_of(photos: int, *, words: int = 9, seed: int = 0) -> Captions:
    """Two captions of each photo, of 3 to 9 words with ids from 4 on."""
    random = np.random.default_rng(seed)
    return [
        [random.integers(4, 4 + words, random.integers(3, 10)).tolist() for _ in range(2)]
        for _ in range(photos)
    ]


def fitted(captions: Captions, probabilities_NW: Any = None, **options: Any) -> ExpectedCider:
    """By default each photo has a concept of its own, so that everything about it is known."""
    if probabilities_NW is None:
        probabilities_NW = np.eye(len(captions), dtype=np.float32)
    values = {"min_photos": 1, "ridge": 1e-9, "rank": 4096, **options}
    parsed = RerankOptions.parse(values, where="test")
    return fit_expected_cider(captions, probabilities_NW, parsed)


def cider_of(captions: Captions, candidates: list[list[int]], photo: int) -> np.ndarray:
    """CIDEr of candidates of one photo, 0 to 10, without stems, clipping and length penalty."""
    as_words = [[" ".join(f"w{token}" for token in one) for one in some] for some in captions]
    tokens = [[text.split() for text in some] for some in as_words]
    consensus = Consensus(prepared(tokens, None, 4))
    rows = [[f"w{token}" for token in one] for one in candidates]
    places = np.full(len(rows), photo)
    return 10 * consensus.means(consensus.references.match(rows, places))


def test_what_is_fully_known_has_its_cider() -> None:
    captions = captions_of(12)
    expected = fitted(captions)
    random = np.random.default_rng(1)
    for photo in range(12):
        candidates = [some[0] for some in captions[:5]]
        candidates += [random.integers(4, 15, size).tolist() for size in (1, 2, 4, 9)]
        candidates.append(captions[photo][1])
        latent_L = expected.latents(np.eye(12, dtype=np.float32)[[photo]])[0]
        found = expected.scores(latent_L, candidates)
        # eight bits for each number
        np.testing.assert_allclose(found, cider_of(captions, candidates, photo), atol=0.1)


def test_without_concepts_it_is_the_mean_over_the_photos() -> None:
    captions = captions_of(12)
    expected = fitted(captions, np.full((12, 3), 0.25, np.float32), ridge=1.0)
    latent_L = expected.latents(np.full((1, 3), 0.25, np.float32))[0]
    mean = np.mean([cider_of(captions, captions[3], photo) for photo in range(12)], axis=0)
    np.testing.assert_allclose(expected.scores(latent_L, captions[3]), mean, atol=0.05)


def test_a_lower_rank_and_fewer_grams_predict_nearly_the_same() -> None:
    random = np.random.default_rng(2)
    kinds = random.integers(0, 3, 60)
    captions = [[[4 + 3 * kind, 5 + 3 * kind, 6 + 3 * kind, 13]] for kind in kinds.tolist()]
    probabilities_NW = (np.eye(3)[kinds] * 0.9 + random.random((60, 3)) * 0.1).astype(np.float32)
    whole = fitted(captions, probabilities_NW, ridge=0.1)
    small = fitted(captions, probabilities_NW, ridge=0.1, rank=2, min_photos=5)
    assert small.mixing_LW.shape == (2, 3)
    for photo, caption in itertools.product(range(5), ([4, 5, 6, 13], [7, 8, 9, 13], [4, 8, 13])):
        one, other = (
            model.scores(model.latents(probabilities_NW[[photo]])[0], [caption])[0]
            for model in (whole, small)
        )
        assert one == pytest.approx(other, abs=0.1)
        if len(caption) == 4:
            assert (one > 5) == (caption[0] == captions[photo][0][0])


def test_an_empty_caption_and_unknown_words() -> None:
    expected = fitted(captions_of(4))
    latent_L = expected.latents(np.eye(4, dtype=np.float32)[[0]])[0]
    assert expected.scores(latent_L, [[], [90, 91]]) == [0, 0]
    assert expected.scores(latent_L, []) == []
    with pytest.raises(UsageError, match=r"4 concepts, and the encoder has 5.*negah rerank"):
        expected.latents(np.zeros((1, 5), np.float32))


def test_captions_without_a_common_gram_are_refused() -> None:
    with pytest.raises(DataError, match="no n-gram occurs in the captions of 2 photos"):
        fitted([[[4, 5]], [[6, 7]]], min_photos=2)


@pytest.mark.parametrize("support", [0.0, 0.75])
def test_candidates_are_ranked_as_the_formula_says(support: float) -> None:
    model = TableModel.random(3)
    words = tuple(model.tokens[index] for index in (4, 6, 8))
    probabilities = np.random.default_rng(3).uniform(0, 1, (3, 3)).astype(np.float32)
    training = captions_of(20, words=len(model.tokens) - 4)
    inputs = np.random.default_rng(4).random((20, 3)).astype(np.float32)
    expected = fitted(training, inputs, ridge=1.0)
    given = Support(words, probabilities, expected)
    shared = {"method": "beam", "beam": 6, "max_length": 5, "n_best": 6}
    plain = DecodingOptions.parse(shared, where="test")
    options = plain.changed({"expected_cider": 1.5, "support": support})
    candidates = decode(model, range(3), plain, tokens=model.tokens)
    found = decode(model, range(3), options, tokens=model.tokens, support=given)
    for photo, (ours, those) in enumerate(zip(found, candidates, strict=True)):
        latent_L = expected.latents(probabilities)[photo]

        def score(one, photo=photo, latent_L=latent_L):
            said = [place for place, index in enumerate((4, 6, 8)) if index in one.tokens]
            total = sum(one.logprobs) + support * np.log(probabilities[photo, said]).sum()
            length = len(one.logprobs) ** plain.length_normalisation
            return one.finished, total / length + 1.5 * expected.scores(latent_L, [one.tokens])[0]

        ranked = sorted(those, key=score, reverse=True)
        assert [one.tokens for one in ours] == [one.tokens for one in ranked]
    with pytest.raises(UsageError, match="needs a bundle that was fitted with negah rerank"):
        decode(model, range(3), options, tokens=model.tokens, support=Support(words, probabilities))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reranking")


@pytest.fixture(scope="module")
def bundle(folder: Path) -> Path:
    """A bundle with three concepts."""
    return make_tiny_bundle(folder / "bundle", concepts=WORDS)


@pytest.fixture(scope="module")
def table(folder: Path) -> Path:
    """Sixteen photos with captions, and one file that is none."""
    random = np.random.default_rng(0)
    rows = []
    for number in range(16):
        small = random.integers(0, 256, (4, 4, 3), dtype=np.uint8)
        Image.fromarray(small).resize((64, 64)).save(folder / f"{number}.png")
        part = "train" if number < 12 else "dev"
        rows += [(f"{number}.png", CAPTIONS[(number + more) % 4], part) for more in (0, 1)]
    (folder / "broken.png").write_bytes(b"no picture")
    rows.append(("broken.png", CAPTIONS[0], "train"))
    with (folder / "captions.csv").open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("image", "caption", "split"), *rows])
    return folder / "captions.csv"


@pytest.fixture(scope="module")
def reranked(bundle: Path, table: Path, folder: Path) -> Path:
    """The bundle, fitted by the command."""
    output = folder / "reranked"
    arguments = ["--data", str(table), "--min-photos", "3", "--output", str(output)]
    assert run(["rerank", str(bundle), *arguments]) == 1  # a photo could not be read
    return output


def test_a_fitted_bundle_chooses_by_it(
    reranked: Path, bundle: Path, table: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    photo = table.parent / "13.png"
    plain, fit = Captioner(bundle), Captioner(reranked)
    wide = {"n_best": 6, "beam": 6}
    assert read_bundle(reranked).config.scores == read_bundle(bundle).config.scores
    before, unchanged = plain.caption(photo, **wide), fit.caption(photo, **wide)
    assert before.text == unchanged.text  # until it is asked for
    backend = fit.backend
    assert isinstance(backend, OnnxBackend)
    expected = backend.sight.expected_cider
    assert expected is not None
    chosen = fit.caption(photo, **wide, expected_cider=100.0)
    seen = backend.encode(backend.pixels([Image.open(photo)]))
    assert seen.concepts is not None
    latent_L = expected.latents(seen.concepts)[0]
    texts = [one.text for one in (chosen, *chosen.alternatives)]
    assert sorted(texts) == sorted(one.text for one in (before, *before.alternatives))
    scores = expected.scores(latent_L, [backend.tokenizer.encode(text) for text in texts])
    assert scores == sorted(scores, reverse=True)
    assert scores[0] > scores[-1]
    assert fit.caption(photo, method="greedy").text
    with pytest.raises(UsageError, match=r"expected_cider 2 chooses .* negah rerank"):
        plain.check(expected_cider=2.0)

    capsys.readouterr()
    arguments = ["--data", str(table), "--beams", "4", "--exponents", "1", "--supports", "0"]
    assert run(["tune", str(reranked), *arguments, "--expected-ciders", "0,3"]) == 0
    assert "expected_cider" in capsys.readouterr().out
    assert run(["export", str(reranked), "--decoding", "expected_cider=3"]) == 0
    assert read_bundle(reranked).config.decoding.expected_cider == 3
    assert not read_bundle(reranked).config.scores  # they were those of other options
    scores = read_bundle(bundle).config.scores
    scored = revise_bundle(read_bundle(reranked), table.parent / "scored", scores=scores)
    assert scored.config.scores
    refitted = save_reranking(scored, expected, table.parent / "refitted")
    assert not refitted.config.scores  # they were those of the prediction before
    again = Captioner(reranked).caption(photo, **wide, expected_cider=100.0)
    assert again.text == chosen.text
    capsys.readouterr()


def test_the_file_is_the_prediction_and_opens_elsewhere(reranked: Path, table: Path) -> None:
    safetensors = pytest.importorskip("safetensors.numpy")
    file = reranked / EXPECTED_CIDER_FILE
    stored = safetensors.load_file(file)
    kinds = {"grams": "int32", "vectors": "int8", "mixing": "float16", "photos": "int32"}
    assert {name: str(stored[name].dtype) for name in kinds} == kinds
    model = read_bundle(reranked)
    read = model.expected_cider
    assert read is not None
    np.testing.assert_array_equal(stored["grams"], read.grams_G4)
    np.testing.assert_array_equal(stored["vectors"], read.vectors_GL)
    assert read.photos == 12
    copy = table.parent / "copy.safetensors"
    write_expected_cider(read, copy)
    assert copy.read_bytes() == file.read_bytes()
    own = {name: np.array(stored[name]) for name in stored}
    safetensors.save_file(own, copy)  # written by the library of the format
    again = read_expected_cider(copy, vocabulary=len(model.tokenizer), concepts=3)
    np.testing.assert_array_equal(again.mixing_LW, read.mixing_LW)
    assert math.isclose(again.idf_G[0], read.idf_G[0])


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("grams", lambda old: old + 1_000, "names tokens that are not among the"),
        ("grams", lambda old: old - 1_000, "names tokens that are not among the"),
        ("idf", lambda old: old * np.float32("nan"), "not finite"),
        ("photos", lambda old: old * 0, "no photos"),
        ("mixing", lambda old: old[:, :2], "mixing has the shape"),
        ("vectors", lambda old: old[1:], "vectors has the shape"),
        ("usual", lambda old: old.astype(np.int32), "other dtypes"),
        ("scales", lambda old: None, "lacks one of the tensors"),
    ],
)
def test_a_hostile_file_is_refused(
    name: str, change: Any, message: str, reranked: Path, tmp_path: Path
) -> None:
    names = ("grams", "idf", "usual", "vectors", "scales", "mixing", "photos")
    model = read_bundle(reranked)
    stored = read_tensors(reranked / EXPECTED_CIDER_FILE, names)
    assert stored is not None
    tensors = dict(zip(names, stored, strict=True))
    changed = change(tensors.pop(name))
    tensors |= {} if changed is None else {name: changed}
    file = tmp_path / EXPECTED_CIDER_FILE
    write_tensors(file, tensors)
    with pytest.raises(BundleError, match=message):
        read_expected_cider(file, vocabulary=len(model.tokenizer), concepts=3)


def test_what_cannot_be_fitted(
    bundle: Path, table: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    blind = make_tiny_bundle(tmp_path / "blind")
    with pytest.raises(UsageError, match="has no concepts to predict CIDEr from"):
        fit_reranking(OnnxBackend(read_bundle(blind)), [])
    with pytest.raises(DataError, match="0 photos with captions can be read"):
        fit_reranking(OnnxBackend(read_bundle(bundle)), [])
    with pytest.raises(BundleError, match=f"it has no {EXPECTED_CIDER_FILE}"):
        change_decoding(bundle, {"expected_cider": 1.0})
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    arguments = ["--data", str(table), "--output", str(tmp_path / "mine")]
    assert run(["rerank", str(bundle), *arguments]) == 2
    assert "is not a bundle, so it is not overwritten" in capsys.readouterr().err
    foreign = fitted(captions_of(5))
    with pytest.raises(BundleError, match="of another model"):
        save_reranking(read_bundle(bundle), foreign, tmp_path / "foreign")
