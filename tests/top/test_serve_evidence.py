"""What the service tells of how far captions can be believed, and of where words come from."""

from __future__ import annotations

import base64
import json
import re
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("fastapi", reason="the service needs the extra serve")

from browser import Visit, chromium
from common import PATIENCE
from negah.arrays import FloatArray
from negah.backends import Backend
from negah.bundle import read_bundle
from negah.calibration import CollectOptions, Collector, fit, save_calibration
from negah.data import Example
from negah.evidence import Subject
from negah.evidence.light import light_of_maps, maps_of
from negah.runtime import Captioner, CaptionQueue
from negah.runtime.onnx import OnnxBackend
from serving import Client, clip_file, photo_file, service

PHOTOS = [photo_file(seed) for seed in range(8)]


@pytest.fixture(scope="module")
def captioner(tiny_bundle: Path) -> Captioner:
    """It has not been calibrated."""
    return Captioner(tiny_bundle, threads=1)


@pytest.fixture(scope="module")
def calibrated(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Captioner:
    """The same model, calibrated on photos of which it is right every second time."""
    folder = tmp_path_factory.mktemp("calibrated")
    model = Captioner(tiny_bundle, threads=1)
    examples = []
    for number, photo in enumerate(PHOTOS):
        path = folder / f"{number}.png"
        path.write_bytes(photo)
        said = model.caption(photo).text if number % 2 else "a man rides a bicycle"
        examples.append(("tiny", Example(path.name, path, (said, "two dogs"), "dev")))
    bundle = read_bundle(tiny_bundle)
    options = CollectOptions(references=2, others=6)
    fitted = fit(
        Collector(OnnxBackend(bundle), examples, [], options).collect({}, lambda: None), "tiny"
    )
    saved = save_calibration(bundle, fitted.calibration, folder / "bundle", ())
    return Captioner(saved.path, threads=1)


@pytest.fixture(scope="module")
def client(captioner: Captioner, calibrated: Captioner) -> Iterator[Client]:
    with service({"plain": captioner, "calibrated": calibrated}) as client:
        yield client


def test_calibrated_models_tell_seen_and_confidence(client: Client, calibrated: Captioner) -> None:
    expected = calibrated.caption(PHOTOS[0]).to_dict()
    answer = client.form(PHOTOS[0], model="calibrated", evidence="true").json
    assert answer["confidence"] == pytest.approx(expected["confidence"], abs=1e-3)
    seen = [word["seen"] for word in answer["words"] if "seen" in word]
    assert seen == pytest.approx([w["seen"] for w in expected["words"] if "seen" in w], abs=1e-3)
    assert seen
    plain = client.form(PHOTOS[0], model="plain", evidence="true").json
    assert "confidence" not in plain
    assert not any("seen" in word for word in plain["words"])


def vision(client: Client, model: str) -> Any:
    url = "data:image/png;base64," + base64.b64encode(PHOTOS[0]).decode()
    asked = {"id": "a1", "model": model, "images": [url]}
    return client.post("/api/v1/vision/caption", asked).json["result"]["caption"]


def test_photoprism_is_told_a_confidence(client: Client, calibrated: Captioner) -> None:
    caption = calibrated.caption(PHOTOS[0])
    assert vision(client, "calibrated") == {
        "text": caption.text,
        "source": "image",
        "confidence": pytest.approx(caption.confidence, abs=1e-3),
    }
    assert "confidence" not in vision(client, "plain")


@pytest.mark.parametrize("photo", PHOTOS[:3])
def test_keywords_are_words_that_were_seen(
    client: Client, calibrated: Captioner, photo: bytes
) -> None:
    caption = calibrated.caption(photo)
    seen = [word.text for word in caption.words if word.seen is not None and word.seen >= 0.5]
    every = [word.text for word in caption.words if word.seen is not None]
    for model, expected in (("calibrated", seen), ("plain", every)):
        asked = {
            "model": model,
            "images": [base64.b64encode(photo).decode()],
            "prompt": "keywords, as JSON",
            "stream": False,
        }
        answer = client.post("/api/generate", asked).json
        assert json.loads(answer["response"]) == {"keywords": list(dict.fromkeys(expected))}


@pytest.mark.parametrize("clip", [False, True])
def test_maps_are_those_of_explain(
    client: Client, captioner: Captioner, clip: bool, tmp_path: Path
) -> None:
    path = tmp_path / ("clip.mp4" if clip else "photo.png")
    path.write_bytes(clip_file() if clip else PHOTOS[1])
    frames = {"frames": 3} if clip else {}
    expected = captioner.explain(path, **frames)
    fields = {name: str(value) for name, value in frames.items()}
    answer = client.form(path.read_bytes(), model="plain", maps="true", **fields).json
    assert answer["caption"] == expected.text
    light = light_of_maps(maps_of(expected))
    for word, own, light_FHW in zip(answer["words"], expected.words, light, strict=True):
        assert own.map is not None
        np.testing.assert_allclose(word["map"], own.map, atol=1e-3)
        np.testing.assert_allclose(word["light"], light_FHW, atol=1e-2)
        assert any("probability" in sentence for sentence in word["told"])
    assert all("words" not in other for other in answer.get("alternatives", ()))


def test_wrong_options_of_maps_are_refused(client: Client) -> None:
    assert client.form(PHOTOS[0], maps="perhaps").status == 422
    assert client.form(b"no photo", maps="true").status == 422
    assert client.form(PHOTOS[0], maps="true", decoding='{"beam": 99}').status == 422


class Slow:
    """A method of evidence that goes on only when it is let."""

    signature = "slow"

    def __init__(self) -> None:
        self.begun, self.let, self.ended = threading.Event(), threading.Event(), False

    def check(self, backend: Backend) -> None:
        """It asks every model."""

    def maps(self, subject: Subject) -> FloatArray:
        self.begun.set()
        assert self.let.wait(PATIENCE)
        assert subject.progress is not None
        subject.progress(0.5)
        self.ended = True
        return np.zeros((len(subject.tokens), 1, 2, 2), np.float32)


def test_maps_that_nobody_waits_for_are_not_measured_to_the_end(
    captioner: Captioner, monkeypatch: pytest.MonkeyPatch
) -> None:
    method = Slow()
    monkeypatch.setattr("negah.runtime.explaining.choose_method", lambda *given, **clips: method)
    waiting = CaptionQueue(captioner)
    try:
        future = waiting.submit(PHOTOS[0], maps=True)
        assert method.begun.wait(PATIENCE)
        future.cancel()
        method.let.set()
        assert waiting.submit(PHOTOS[0]).result(30).text == captioner.caption(PHOTOS[0]).text
        assert not method.ended
        assert waiting.submit(PHOTOS[0], maps=True).result(30).words[0].map is not None
    finally:
        waiting.close()


@pytest.mark.heavy
def test_the_page_shows_what_was_seen(
    client: Client, calibrated: Captioner, tmp_path: Path
) -> None:
    (tmp_path / "a.png").write_bytes(PHOTOS[0])
    caption = calibrated.caption(PHOTOS[0])
    with chromium() as browser:
        visit = Visit(browser, client.url)
        page = visit.page
        page.set_default_timeout(60_000)
        page.uncheck("input[value=plain]")
        page.check("input[value=calibrated]")
        page.set_input_files("#files", tmp_path / "a.png")
        shown = page.locator(".words button")
        shown.nth(len(caption.words) - 1).wait_for()
        for button, word in zip(shown.all(), caption.words, strict=True):
            shade = button.evaluate("it => it.style.getPropertyValue('--seen')")
            assert (float(shade) if shade else None) == pytest.approx(word.seen, abs=0.01)
            unsure = "unsure" in (button.get_attribute("class") or "")
            assert unsure == (word.seen is not None and word.seen < 0.5)
        assert page.locator("#shades").is_visible()
        sure = page.locator(".sure span").inner_text()
        assert re.fullmatch(r"all of it is seen with a probability of [a-z ]*\d+%", sure)
        visit.close()
