"""Photos and clips of many callers, captioned together."""

from __future__ import annotations

import queue
from pathlib import Path
from typing import Any

import pytest

from held_backend import Held
from negah.errors import MediaError, UsageError
from negah.runtime import Captioner, CaptionQueue, OnnxBackend
from serving import clip_file, photo_file


@pytest.fixture(scope="module")
def captioner(tiny_bundle: Path) -> Captioner:
    return Captioner(tiny_bundle, threads=2, batch_size=4)


class Alone:
    """A backend that counts how often it was asked for all cores."""

    def __init__(self, backend: Any, wide: Any) -> None:
        self._backend, self._wide, self.times = backend, wide, 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self._backend, name)

    def alone(self) -> Any:
        self.times += 1
        return self._wide


def test_a_caption_is_the_same_whoever_else_asks(captioner: Captioner) -> None:
    photos = [photo_file(seed) for seed in range(9)]
    waiting = CaptionQueue(captioner)
    futures = [waiting.submit(photo, beam=1 + seed % 2) for seed, photo in enumerate(photos)]
    clip = waiting.submit(clip_file(), clip=True, frames=2)
    waiting.close()
    for seed, (photo, future) in enumerate(zip(photos, futures, strict=True)):
        assert future.result().text == captioner.caption(photo, beam=1 + seed % 2).text
    assert clip.result().text == captioner.caption_clip(clip_file(), frames=2).text
    assert waiting.held == 0


def test_what_waits_goes_together_and_what_is_full_refuses(captioner: Captioner) -> None:
    held = Held(captioner.backend)
    waiting = CaptionQueue(Captioner(held, threads=1, batch_size=8), most=6)
    futures = [waiting.submit(photo_file(seed)) for seed in range(6)]
    with pytest.raises(queue.Full):
        waiting.submit(photo_file())
    held.go.set()
    assert all(future.result().text for future in futures)
    assert sum(held.sizes) == 6
    assert len(held.sizes) < 6
    waiting.submit(photo_file()).result()
    waiting.close()
    with pytest.raises(RuntimeError, match="closed"):
        waiting.submit(photo_file())


def test_a_photo_that_is_the_only_one_has_all_cores(captioner: Captioner) -> None:
    backend = captioner.backend
    assert isinstance(backend, OnnxBackend)
    single = OnnxBackend(backend.bundle)
    assert single.alone() is single
    asked = Alone(single, backend.alone())
    waiting = CaptionQueue(Captioner(asked, threads=1))
    found = waiting.submit(photo_file(3)).result()
    waiting.close()
    assert asked.times == 1
    own = Captioner(asked, threads=1).caption(photo_file(3))
    assert asked.times == 2
    (many,) = Captioner(asked, threads=1).caption_many([photo_file(3)])
    assert asked.times == 2
    assert many.caption is not None
    assert found.text == own.text == many.caption.text
    assert found.logprob == pytest.approx(many.caption.logprob, abs=1e-5)


def test_one_file_that_cannot_be_read_harms_no_other(captioner: Captioner) -> None:
    waiting = CaptionQueue(captioner, max_seconds=0.25)
    with pytest.raises(UsageError, match="unknown option 'beams'"):
        waiting.submit(photo_file(), beams=3)
    good, bad = waiting.submit(photo_file()), waiting.submit(b"no photo")
    long = waiting.submit(clip_file(), clip=True)
    waiting.close()
    assert good.result().text
    with pytest.raises(MediaError, match="looks like text"):
        bad.result()
    with pytest.raises(MediaError, match=r"clips of up to 0\.25 seconds"):
        long.result()


def test_what_is_cancelled_before_it_began_is_dropped(captioner: Captioner) -> None:
    held = Held(captioner.backend)
    waiting = CaptionQueue(Captioner(held, threads=1, batch_size=1, reading_threads=1), most=64)
    futures = [waiting.submit(photo_file(seed)) for seed in range(40)]
    dropped = sum(future.cancel() for future in futures)
    held.go.set()
    waiting.close()
    assert sum(held.sizes) == 40 - dropped
