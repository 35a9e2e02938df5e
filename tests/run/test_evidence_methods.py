"""Methods of evidence: that maps point where a word comes from, for every kind of backend."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import negah
from negah.backends import Encoded, Sight
from negah.errors import UnknownNameError, UsageError
from negah.evidence import EVIDENCE, Subject, default_method
from negah.evidence.closer import closer_odds
from negah.evidence.occlusion import CLOSER, FEATURES, PATCHES, concept_falls, log_odds
from negah.evidence.view import View, in_picture, view_of
from negah.evidence.windows import to_cells, windows
from negah.media import Preprocessing
from negah.runtime import Captioner
from other_packages import install
from place_backend import PlaceBackend, spotted
from tiny_photos import picture


def strongest(word: negah.Word) -> tuple[int, ...]:
    assert word.map is not None
    return tuple(map(int, np.unravel_index(word.map.argmax(), word.map.shape)))


@pytest.mark.parametrize(
    ("shape", "side", "sizes"),
    [
        ((1, 7, 7), 3, {4, 6, 9}),  # corners, edges, inside
        ((1, 7, 7), 1, {1}),
        ((1, 2, 2), 3, {1}),
        ((8, 7, 7), 3, {s * t for s in (4, 6, 9) for t in (2, 3)}),
    ],
)
def test_a_window_is_around_each_cell(
    shape: tuple[int, int, int], side: int, sizes: set[int]
) -> None:
    found = windows(shape, side)
    assert found.shape == (int(np.prod(shape)), *shape)
    own = found.reshape(len(found), -1)
    assert own.diagonal().all()
    assert (own == own.T).all()
    assert set(own.sum(1).tolist()) == sizes
    numbers = np.arange(len(found), dtype=np.float32)
    assert to_cells(numbers[:, None], shape, side).reshape(-1).tolist() == numbers.tolist()


@pytest.mark.parametrize(("shape", "size"), [((1, 4, 4), 2), ((1, 14, 14), 6)])
def test_cells_share_windows_around_their_corners(shape: tuple[int, int, int], size: int) -> None:
    found = windows(shape, 3)
    _, rows, columns = shape
    assert len(found) == (rows + 1) * (columns + 1)
    assert found.sum((1, 2, 3)).max() == size * size
    # what every window is worth alike is worth the same in every cell
    even = to_cells(np.ones((len(found), 2), np.float32), shape, 3)
    assert even.shape == (2, *shape)
    assert (even == 1).all()
    # the windows that cover the middle of a cell's corner are its own
    one = np.zeros((len(found), 1), np.float32)
    one[0] = 4
    assert np.argwhere(to_cells(one, shape, 3)[0]).tolist() == [[0, 0, 0]]


@pytest.mark.parametrize("method", ["occlusion", "patches"])
@pytest.mark.parametrize("cell", [(0, 0), (3, 3), (6, 2), (1, 6)])
def test_occlusion_lights_the_cell_that_a_word_comes_from(
    method: str, cell: tuple[int, int]
) -> None:
    caption = Captioner(PlaceBackend()).explain(spotted(cell), method=method)
    assert caption.words[0].text == f"f0c{cell[0] * 7 + cell[1]}"
    light = caption.words[0].map
    assert light is not None
    assert light.shape == (1, 7, 7)
    assert light.dtype == np.float32
    near = windows((1, 7, 7), 3)[cell[0] * 7 + cell[1]]
    # every window with the cell takes it away, and no other does
    assert light[near].min() > 2 > 0.2 > np.abs(light[~near]).max()


def test_the_maps_of_a_clip_tell_the_frame() -> None:
    backend = PlaceBackend(frames=6)
    images = [spotted((2, 2)) if frame == 4 else spotted() for frame in range(6)]
    features = backend.encode(backend.pixels(images)).features
    token = backend.tokenizer.tokens.index("f4c16")
    subject = Subject(backend, tuple(images), features, (token,))
    for method in (FEATURES, PATCHES):
        (light,) = method.maps(subject)
        assert light.shape == (6, 7, 7)
        per_frame = light.max((1, 2))
        assert per_frame[3:].min() > 1 > 0.2 > per_frame[:3].max()


def test_progress_reaches_the_end_and_may_stop() -> None:
    shares: list[float] = []
    captioner = Captioner(PlaceBackend())
    captioner.explain(spotted((1, 1)), progress=shares.append)
    assert shares[-1] == 1.0

    def stop(share: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        captioner.explain(spotted((1, 1)), progress=stop)


def test_the_default_suits_the_model() -> None:
    assert default_method(PlaceBackend()) == "occlusion"
    assert default_method(PlaceBackend(extra=1)) == "patches"
    with pytest.raises(UsageError, match="use the method patches"):
        Captioner(PlaceBackend(extra=1)).explain(spotted((1, 1)), method="occlusion")
    caption = Captioner(PlaceBackend(extra=1)).explain(spotted((1, 1)))
    assert caption.words[0].map is not None


def test_an_object_can_be_a_method() -> None:
    class Everywhere:
        signature = "everywhere"

        def check(self, backend: Any) -> None:
            pass

        def maps(self, subject: Subject) -> np.ndarray[Any, Any]:
            return np.ones((len(subject.tokens), subject.frames, 2, 3), np.float32)

    caption = Captioner(PlaceBackend()).explain(spotted((1, 1)), method=Everywhere())
    assert {word.map.shape for word in caption.words if word.map is not None} == {(1, 2, 3)}


CENTRE = '''
"""A method of another package: words come from the middle."""

import numpy as np


class Centre:
    signature = "centre"

    def check(self, backend):
        pass

    def maps(self, subject):
        y, x = np.abs(np.linspace(-1, 1, 5))[:, None], np.abs(np.linspace(-1, 1, 5))
        light_HW = (1 - np.maximum(y, x)).astype(np.float32)
        return np.tile(light_HW, (len(subject.tokens), subject.frames, 1, 1))


CENTRE = Centre()
'''


def test_another_package_brings_a_method(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    points = "[negah.evidence]\ncentre = negah_centre:CENTRE\n"
    install(tmp_path, "negah-centre", points, negah_centre=CENTRE)
    monkeypatch.syspath_prepend(str(tmp_path))
    assert "centre" in EVIDENCE.names()
    with EVIDENCE.temporary():
        caption = Captioner(PlaceBackend()).explain(spotted((1, 1)), method="centre")
    assert strongest(caption.words[0]) == (0, 2, 2)


def test_an_unknown_method_names_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="occlusion"):
        Captioner(PlaceBackend()).explain(spotted((1, 1)), method="oclusion")


def test_log_odds() -> None:
    p = np.array([0.5, 0.9, 1e-4], np.float32)
    np.testing.assert_allclose(log_odds(np.log(p)), np.log(p / (1 - p)), rtol=1e-4)
    assert np.isfinite(log_odds(np.zeros(1, np.float32))).all()


def test_concepts_fall_as_if_their_cells_were_not_there() -> None:
    rng = np.random.default_rng(0)
    p_TFR = rng.uniform(0.01, 0.5, (3, 2, 4)).astype(np.float32)
    inside = rng.random((5, 2, 2, 2)) < 0.4
    falls = concept_falls(np.log1p(-p_TFR), inside)
    for x in range(5):
        for t in range(3):
            rest = np.where(inside[x].reshape(2, 4), 0, p_TFR[t])
            whole, left = (1 - np.prod(1 - p, axis=1) for p in (p_TFR[t], rest))
            odds = [max(p.max(), 1e-6) / (1 - max(p.max(), 1e-6)) for p in (whole, left)]
            if left.max() > 0:
                assert falls[x, t] == pytest.approx(np.log(odds[0] / odds[1]), rel=1e-3)


class _Bright:
    """A concept is seen where a cell of 7 x 7 is bright."""

    def pixels(self, images: Any) -> Any:
        return np.stack([np.asarray(one, np.float32).transpose(2, 0, 1) / 255 for one in images])

    def encode(self, pixels_N3HW: Any) -> Any:
        cells_NHW = pixels_N3HW[:, 0].reshape(-1, 7, 10, 7, 10).mean((2, 4))
        return Encoded(cells_NHW.reshape(-1, 49, 1))

    def absent(self, features_NRC: Any) -> Any:
        present_NR1 = np.clip(features_NRC, 0.01, 0.99)
        return np.log1p(-np.concatenate([np.full_like(present_NR1, 0.5), present_NR1], axis=2))


@pytest.mark.parametrize("cell", [(0, 0), (3, 3), (5, 1), (6, 4)])
def test_closer_looks_find_what_is_smaller_than_a_cell(cell: tuple[int, int]) -> None:
    pixels = np.zeros((70, 70, 3), np.uint8)
    top, left = cell[0] * 10 + 3, cell[1] * 10 + 3
    pixels[top : top + 4, left : left + 4] = 255
    backend: Any = _Bright()
    found = closer_odds(backend, Image.fromarray(pixels), [1, 0], (7, 7))
    assert found is not None
    assert found.shape == (2, 7, 7)
    assert np.unravel_index(int(found[0].argmax()), (7, 7)) == cell
    # cells that are far less clear than that one are left as they are
    assert found.min() == 0
    assert 1 <= np.count_nonzero(found[0]) <= 4
    np.testing.assert_allclose(found[1], 0, atol=1e-4)  # seen everywhere alike
    assert closer_odds(PlaceBackend(), Image.fromarray(pixels), [0], (7, 7)) is None
    with pytest.raises(UsageError, match="has no concepts"):
        CLOSER.check(PlaceBackend())


@pytest.mark.parametrize(
    ("fit", "size", "expected"),
    [
        ("squash", (300, 100), (0, 0, 1, 1)),
        ("crop", (300, 100), (1 / 3, 0, 2 / 3, 1)),
        ("crop", (100, 200), (0, 0.25, 1, 0.75)),
        ("pad", (200, 100), (0, -0.5, 1, 1.5)),
        ("pad", (100, 400), (-1.5, 0, 2.5, 1)),
    ],
)
def test_what_a_model_sees_is_asked_of_it(
    fit: Any, size: tuple[int, int], expected: tuple[float, ...]
) -> None:
    even = (0.5, 0.5, 0.5)
    preprocessing = Preprocessing(height=64, width=64, mean=even, std=even, fit=fit)
    backend = PlaceBackend()
    backend.resize = preprocessing.resize  # type: ignore[method-assign]
    assert view_of(backend, size) == pytest.approx(expected, abs=0.03)


def test_a_map_of_a_part_is_laid_over_the_picture() -> None:
    own = np.zeros((1, 1, 4, 4), np.float32)
    own[0, 0, 1, 2] = 1
    assert in_picture(own, View(0, 0, 1, 1)) is own
    middle = in_picture(own, View(0.25, 0, 0.75, 1))  # of a wide picture
    assert middle.shape == (1, 1, 4, 8)
    assert np.argwhere(middle[0, 0]).tolist() == [[1, 4]]
    barred = in_picture(own, View(0, -0.5, 1, 1.5))
    assert barred.shape == (1, 1, 2, 4)
    assert np.argwhere(barred[0, 0]).tolist() == [[0, 2]]


@pytest.fixture(scope="module")
def captioner(tiny_bundle: Path) -> Captioner:
    return Captioner(tiny_bundle, threads=1)


# closer looks need concepts, which this model does not tell
@pytest.mark.parametrize("method", [name for name in EVIDENCE if name != "closer"])
def test_the_caption_is_that_of_captioning(captioner: Captioner, method: str) -> None:
    plain = captioner.caption(picture(0))
    explained = captioner.explain(picture(0), method=method)
    assert (explained.text, explained.logprob) == (plain.text, plain.logprob)
    assert [word.gate for word in explained.words] == [word.gate for word in plain.words]
    texts = [explained.text, *(other.text for other in explained.alternatives)]
    assert len(set(texts)) == len(texts) > 1
    for word in explained.words:
        assert word.map is not None
        assert word.map.shape[0] == 1
        assert np.isfinite(word.map).all()
        assert word.to_dict()["map"] == np.round(word.map.astype(float), 4).tolist()


def test_attention_is_that_of_the_words(captioner: Captioner) -> None:
    for word in captioner.explain(picture(3), method="attention").words:
        assert word.map is not None
        assert word.regions is not None
        np.testing.assert_allclose(word.map, word.regions, rtol=1e-5)


def test_the_gradient_is_the_slope_of_the_log_odds(captioner: Captioner) -> None:
    from negah.evidence.subject import teacher_forced
    from negah.runtime.explaining import caption_subject

    subject = caption_subject(captioner, picture(1)).subject
    maps_TFHW = EVIDENCE.get("gradient").maps(subject)
    mean_C = subject.features_FRC.mean((0, 1))
    # a step from the mean in one cell, so small that it seldom passes a bend of the model's ReLUs
    for cell in range(4):
        odds = []
        for step in (0.002, -0.002):
            features = subject.features_FRC.copy()
            features[0, cell] += step * (features[0, cell] - mean_C)
            odds.append(log_odds(teacher_forced(subject.backend, features[None], subject.tokens)))
        slope_T = (odds[0][0] - odds[1][0]) / 0.004
        np.testing.assert_allclose(slope_T, maps_TFHW[:, 0].reshape(-1, 4)[:, cell], atol=0.02)


def test_concepts_cell_by_cell_are_those_of_the_whole(tmp_path: Path) -> None:
    from negah.export import load_captioner
    from negah.runtime import open_backend
    from tiny_bundle import make_tiny_bundle

    folder = make_tiny_bundle(tmp_path / "bundle", concepts=("dog", "water", "ball"))
    backend: Any = open_backend(folder)
    encoded: Encoded = backend.encode(backend.pixels([picture(0), picture(1)]))
    absent_NRW = backend.absent(encoded.features)
    assert absent_NRW.shape == (2, 4, 3)
    np.testing.assert_allclose(-np.expm1(absent_NRW.sum(1)), encoded.concepts, atol=1e-5)
    layer = load_captioner(backend.bundle)[0].concepts
    assert layer is not None
    assert layer.words == backend.sight.concepts
    caption = Captioner(backend).explain(picture(0))
    assert all(word.map is not None for word in caption.words)


def test_a_model_without_concepts_has_no_layer(captioner: Captioner) -> None:
    backend: Any = captioner.backend
    assert backend.absent(np.zeros((1, 4, 256), np.float32)) is None


def test_fused_models_are_refused(tiny_bundle: Path) -> None:
    fused = Captioner(tiny_bundle, fuse=[tiny_bundle], threads=1)
    with pytest.raises(UsageError, match="of one model"):
        fused.explain(picture(0))


def test_a_captioner_of_hugging_face_is_explained_by_patches(tmp_path: Path) -> None:
    pytest.importorskip("transformers", reason="captioners of Hugging Face need the extra hf")
    import tiny_hf

    tiny_hf.BUILDERS["blip"](tmp_path / "blip", 0)
    caption = negah.explain(picture(0, (90, 60)), tmp_path / "blip", max_length=3)
    assert caption.words
    for word in caption.words:
        assert word.map is not None
        assert word.map.shape == (1, 7, 7)
        assert np.ptp(word.map) > 0


def test_a_clip_is_explained_over_time(tiny_bundle: Path, tmp_path: Path) -> None:
    from tiny_clips import make_clip, walking_bar

    path = tmp_path / "clip.mp4"
    path.write_bytes(make_clip(walking_bar(24)))
    caption = Captioner(tiny_bundle, threads=1).explain(path, frames=3)
    assert len(caption.times) == 3
    assert {word.map.shape for word in caption.words if word.map is not None} == {(3, 2, 2)}


def test_nothing_said_is_nothing_to_explain() -> None:
    blank = Image.new("RGB", (56, 56), (90, 90, 90))
    assert Captioner(PlaceBackend()).explain(blank, min_length=0).words == ()


def test_sight_of_the_made_backend() -> None:
    assert isinstance(PlaceBackend().sight, Sight)
