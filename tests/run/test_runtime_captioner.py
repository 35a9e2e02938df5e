"""Photos to captions with a tiny bundle: what is given, in what order, with what evidence."""

from __future__ import annotations

import io
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from negah.decoding import DecodingOptions, Hypothesis, sequence_score
from negah.errors import BundleError, MediaError, UsageError
from negah.media import open_image
from negah.runtime import Captioner, OnnxEncoder, OnnxStepModel, find_bundle
from negah.runtime.models import DEFAULT_BUNDLE
from negah.runtime.stages import see_photo, to_caption
from negah.text import EOS, SOS
from tiny_photos import picture


@pytest.fixture(scope="module")
def photos(tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("photos")
    paths = [folder / f"{seed}.png" for seed in range(7)]
    for seed, path in enumerate(paths):
        picture(seed).save(path)
    return paths


@pytest.fixture(scope="module")
def captioner(tiny_bundle: Path) -> Captioner:
    return Captioner(tiny_bundle, threads=1)


def test_a_photo_gives_the_same_caption_in_every_form(
    captioner: Captioner, photos: list[Path]
) -> None:
    with Image.open(photos[0]) as unread:
        caption = captioner.caption(unread)
    forms: list[Any] = [
        photos[0],
        str(photos[0]),
        photos[0].read_bytes(),
        picture(0),
        np.asarray(picture(0)),
    ]
    assert {captioner.caption(form).text for form in forms} == {caption.text}
    assert caption.text


def test_a_pillow_image_is_turned_upright_as_a_file_is(captioner: Captioner) -> None:
    lying, exif = picture(1), Image.Exif()
    exif[0x0112] = 6
    file = io.BytesIO()
    lying.save(file, "jpeg", exif=exif, quality=95)
    upright = captioner.caption(open_image(file.getvalue()))
    with Image.open(file) as image:
        assert captioner.caption(image).to_dict() == upright.to_dict()
    assert captioner.caption(file.getvalue()).to_dict() == upright.to_dict()


@pytest.mark.parametrize(
    ("photo", "reason"),
    [
        (3, "int"),
        (None, "NoneType"),
        (np.zeros((4, 4, 3), np.float32), "float32"),
        (np.zeros((4, 4, 4), np.uint8), r"\(4, 4, 4\)"),
        (np.zeros((0, 4, 3), np.uint8), r"\(0, 4, 3\)"),
    ],
)
def test_what_is_no_photo_is_refused(captioner: Captioner, photo: Any, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        captioner.caption(photo)


def test_a_cut_pillow_image_is_a_media_error(captioner: Captioner, tmp_path: Path) -> None:
    path = tmp_path / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 90, 3), dtype=np.uint8)).save(
        path
    )
    path.write_bytes(path.read_bytes()[:5000])
    with Image.open(path) as image, pytest.raises(MediaError, match=r"cut\.png"):
        captioner.caption(image)


@pytest.mark.parametrize("batch_size", [1, 2, 3, 16])
def test_batches_give_what_single_photos_give(
    captioner: Captioner, photos: list[Path], batch_size: int
) -> None:
    alone = [captioner.caption(photo) for photo in photos]
    together = list(captioner.caption_many(photos, batch_size=batch_size))
    assert [result.photo for result in together] == photos
    for one, result in zip(alone, together, strict=True):
        assert result.caption is not None
        assert result.error is None
        assert result.caption.text == one.text
        assert result.caption.score == pytest.approx(one.score, abs=1e-4)
    assert len({caption.text for caption in alone}) > 1, "the photos do not matter"


def test_unreadable_photos_are_reported_in_their_places(
    captioner: Captioner, photos: list[Path], tmp_path: Path
) -> None:
    text = tmp_path / "text.jpg"
    text.write_text("hello")
    mixed = [text, photos[0], tmp_path / "missing.jpg", photos[1], photos[2], text, text]
    results = list(captioner.caption_many(mixed, batch_size=2, on_error="report"))
    assert [result.photo for result in results] == mixed
    assert [result.error is None for result in results] == [
        False, True, False, True, True, False, False,
    ]  # fmt: skip
    assert [result.caption is None for result in results] == [
        result.error is not None for result in results
    ]
    assert "missing.jpg: no such file" in str(results[2].error)


def test_raising_comes_after_the_results_before_it(
    captioner: Captioner, photos: list[Path], tmp_path: Path
) -> None:
    results = captioner.caption_many([photos[0], tmp_path / "missing.jpg", photos[1]])
    assert next(results).photo == photos[0]
    with pytest.raises(MediaError, match=r"missing\.jpg"):
        next(results)


def test_an_endless_supply_is_read_three_batches_ahead(
    captioner: Captioner, photos: list[Path]
) -> None:
    taken = 0

    def supply() -> Any:
        nonlocal taken
        for photo in itertools.cycle(photos):
            taken += 1
            yield photo

    results = captioner.caption_many(supply(), batch_size=2)
    next(results)
    assert taken <= 2 + 2 + 2 * 2
    results.close()  # type: ignore[attr-defined]


def test_no_photos_give_no_results(captioner: Captioner) -> None:
    assert list(captioner.caption_many([])) == []


def test_evidence_has_the_shapes_and_sums_of_its_documentation(
    captioner: Captioner, photos: list[Path]
) -> None:
    caption = captioner.caption(photos[0])
    encoder = captioner.backend.bundle.config.encoder
    assert caption.times == (0.0,)
    assert len(caption.words) > 3
    for t, word in enumerate(caption.words):
        assert word.logprob <= 0
        assert word.gate is not None
        assert 0 <= word.gate <= 1
        assert word.regions is not None
        assert word.regions.shape == (1, encoder.rows, encoder.columns)
        assert word.regions.sum() == pytest.approx(1, abs=1e-5)
        assert word.frames is not None
        assert word.frames.tolist() == [1.0]
        assert word.phrases is not None
        assert word.phrases.shape == (min(t + 1, 3),)
        assert word.phrases.sum() == pytest.approx(1, abs=1e-5)
    assert " ".join(word.text for word in caption.words) == caption.text


def test_log_probabilities_and_evidence_are_those_of_the_words_read_again(
    captioner: Captioner, photos: list[Path]
) -> None:
    """The oracle: feed the words of a beam-searched caption one by one, and compare."""
    bundle = captioner.backend.bundle
    caption = captioner.caption(photos[3], beam=4)
    pixels_13HW = captioner.backend.pixels(see_photo(photos[3], [captioner.backend]).images)
    model = OnnxStepModel(bundle, threads=1)
    state = model.start(OnnxEncoder(bundle, threads=1).encode(pixels_13HW).features[:, None])
    ids = [bundle.tokenizer.tokens.index(word.text) for word in caption.words]
    logprobs = []
    for t, token in enumerate([SOS, *ids]):
        step = model.step(state, np.array([[token]]))
        state = step.state
        logprobs.append(float(step.logprobs[0, 0, [*ids, EOS][t]]))
        if t < len(ids):
            word = caption.words[t]
            assert word.regions is not None
            assert word.logprob == pytest.approx(logprobs[t], abs=1e-5)
            assert word.gate == pytest.approx(float(step.evidence["gate"][0, 0]), abs=1e-5)
            np.testing.assert_allclose(
                word.regions.ravel(), step.evidence["regions"][0, 0].ravel(), atol=1e-5
            )
    finished = len(ids) < bundle.config.decoding.max_length
    counted = tuple(logprobs if finished else logprobs[:-1])
    assert caption.logprob == pytest.approx(sum(counted), abs=1e-4)
    alpha = bundle.config.decoding.length_normalisation
    assert caption.score == pytest.approx(sequence_score(counted, alpha), abs=1e-4)


def test_hypotheses_do_not_mix(captioner: Captioner) -> None:
    """Rows that are swapped, doubled and dropped go on as they would have alone."""
    model = OnnxStepModel(captioner.backend.bundle, threads=1)
    config = captioner.backend.bundle.config.encoder
    features = np.random.default_rng(0).random((2, 1, config.regions, config.channels), np.float32)
    first = model.start(features)
    opened = model.step(first, np.full((2, 1), SOS))
    state = model.reorder(opened.state, np.zeros((2, 3), np.int64))
    state = model.step(state, np.array([[4, 5, 6], [7, 8, 9]])).state
    mixed = model.reorder(state, np.array([[2, 0], [1, 1]]))
    together = model.step(mixed, np.array([[10, 11], [12, 13]])).logprobs
    histories = [[(6, 10), (4, 11)], [(8, 12), (8, 13)]]
    for photo, k in itertools.product(range(2), range(2)):
        alone = model.start(features[photo : photo + 1])
        for token in (SOS, *histories[photo][k]):
            step = model.step(alone, np.array([[token]]))
            alone = step.state
        np.testing.assert_allclose(together[photo, k], step.logprobs[0, 0], atol=1e-4)


def test_the_memory_of_a_photo_is_not_copied(captioner: Captioner) -> None:
    model = OnnxStepModel(captioner.backend.bundle, threads=1)
    config = captioner.backend.bundle.config.encoder
    state = model.start(np.zeros((1, 1, config.regions, config.channels), np.float32))
    later = model.reorder(model.step(state, np.array([[SOS]])).state, np.zeros((1, 5), np.int64))
    assert later.memory is state.memory


def test_n_best_gives_alternatives_and_widens_the_beam(
    captioner: Captioner, photos: list[Path]
) -> None:
    wanted = captioner.backend.bundle.config.decoding.beam + 2
    caption = captioner.caption(photos[0], n_best=wanted)
    captions = [caption, *caption.alternatives]
    assert len(captions) == wanted
    assert len({one.text for one in captions}) == wanted
    assert all(not one.alternatives for one in caption.alternatives)
    assert caption.to_dict()["alternatives"][0]["caption"] == captions[1].text
    with pytest.raises(UsageError, match="raise beam"):
        captioner.caption(photos[0], n_best=3, beam=2)


def test_samples_do_not_depend_on_the_batch(captioner: Captioner, photos: list[Path]) -> None:
    def texts(batch_size: int) -> list[str]:
        results = captioner.caption_many(
            photos, batch_size=batch_size, method="sample", seed=3, temperature=1.5
        )
        return [result.caption.text for result in results if result.caption is not None]

    assert texts(1) == texts(3) == texts(16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"beem": 3}, "beam"),
        ({"beam": 0}, "beam"),
        ({"max_length": 2, "min_length": 5}, "min_length"),
        ({"batch_size": 0}, "batch_size"),
        ({"on_error": "ignore"}, "on_error"),
    ],
)
def test_wrong_options_are_refused_before_work_starts(
    captioner: Captioner, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        captioner.caption_many([], **options)


def test_banned_words_are_looked_up_in_the_bundle(captioner: Captioner, photos: list[Path]) -> None:
    word = captioner.caption(photos[0]).words[0].text
    assert word not in captioner.caption(photos[0], banned=(word,)).text.split()
    with pytest.raises(UsageError, match="xylophone"):
        captioner.caption(photos[0], banned=("xylophone",))


def test_a_model_without_attention_gives_words_without_evidence(captioner: Captioner) -> None:
    hypothesis = Hypothesis((4, 5), (-1.0, -2.0, -0.5), -2.0, evidence={}, finished=True)
    caption = to_caption([hypothesis], captioner.backend)
    assert caption.logprob == -3.5
    for word in caption.words:
        assert (word.gate, word.regions, word.frames, word.phrases) == (None, None, None, None)
        assert set(word.to_dict()) == {"text", "logprob"}


@pytest.mark.parametrize(
    ("options", "message"), [({"threads": 0}, "threads"), ({"treads": 1}, "threads")]
)
def test_wrong_runtime_options_are_refused(
    tiny_bundle: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        Captioner(tiny_bundle, **options)


def test_a_damaged_graph_is_a_bundle_error(captioner: Captioner) -> None:
    model = OnnxStepModel(captioner.backend.bundle, threads=1)
    with pytest.raises(BundleError, match="start graph"):
        model.start(np.zeros((1, 1, 3, 7), np.float32))


class TestFindBundle:
    def test_a_path_is_taken_as_it_is(self, tiny_bundle: Path) -> None:
        assert find_bundle(tiny_bundle) == tiny_bundle
        assert find_bundle(str(tiny_bundle)) == tiny_bundle

    @pytest.mark.parametrize("name", ["nowhere/at/all", "negah-foto"])
    def test_what_is_neither_name_nor_folder_is_refused(self, name: str) -> None:
        with pytest.raises(UsageError, match=name):
            find_bundle(name)

    def test_the_default_is_a_bundle_in_the_package(self) -> None:
        folder = find_bundle()
        assert folder.name == DEFAULT_BUNDLE
        assert (folder / "bundle.json").is_file()
        assert find_bundle(DEFAULT_BUNDLE) == folder

    def test_without_a_default_the_error_says_what_to_do(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("negah.bundle.packaged.FOLDER", "no-such-folder")
        with pytest.raises(BundleError, match="--model"):
            find_bundle()


def test_decoding_defaults_come_from_the_bundle(captioner: Captioner) -> None:
    assert captioner.decoding_options({}) == captioner.backend.bundle.config.decoding
    assert captioner.decoding_options({"beam": 7}).beam == 7
    assert isinstance(captioner.decoding_options({"method": "greedy"}), DecodingOptions)
