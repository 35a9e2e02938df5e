"""A queue of photos and clips from many callers; waiting ones are captioned in batches.

:mod:`negah.runtime.batches` is for one caller with many photos; here each caller submits one and
waits for it. Some threads open submitted files, others caption opened ones, in batches with equal
options. Batches are not delayed to fill up: while all cores are busy, the next batch grows by
itself. A single photo uses all cores. A photo or clip to be explained is a batch of its own.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from typing import Any

from negah.captions import Caption
from negah.errors import MediaError
from negah.runtime.batches import Batching, Result, caption_opened, opener
from negah.runtime.captioner import Captioner
from negah.runtime.stages import alone


class _CaptionFuture(Future[Caption]):
    """The future of a caption, which records when it is abandoned."""

    abandoned = False

    def cancel(self) -> bool:
        """As of any future; the work on it cannot be stopped at once, but it can be ended."""
        self.abandoned = True
        return super().cancel()


class _AbandonedError(Exception):
    """The result of an explanation is no longer wanted."""


@dataclass(slots=True, eq=False)
class _QueuedRequest:
    """One photo or clip of a caller.

    Attributes:
        content: of its file.
        work: how it is captioned.
        explain: the options that the caller gave, where maps are to be measured, too; else None.
        seen: the result of its opener; None for a photo that is to be explained.
    """

    content: bytes
    work: Batching
    explain: dict[str, Any] | None = None
    seen: Any = None
    future: _CaptionFuture = field(default_factory=_CaptionFuture)

    @property
    def batch(self) -> Hashable:
        """The key of requests that may be batched together."""
        return id(self) if self.work.clips or self.explain is not None else self.work.decoding


class CaptionQueue:
    """A captioner that many callers share. Its threads run until it is closed.

    Args:
        captioner: that captions.
        most: photos and clips that are held at a time, whether they wait or are worked on.
        max_seconds: longer clips are refused.

    Attributes:
        captioner: as given.
    """

    def __init__(self, captioner: Captioner, *, most: int = 64, max_seconds: float = 600.0) -> None:
        self.captioner = captioner
        self._most = most
        self._max_seconds = max_seconds
        self._lock = threading.Lock()
        self._unread: deque[_QueuedRequest] = deque()
        self._ready: deque[_QueuedRequest] = deque()
        # one for each kind of thread, so that none wakes for what is another's to do
        self._to_open = threading.Condition(self._lock)
        self._to_caption = threading.Condition(self._lock)
        self._held = 0
        self._closed = False
        options = captioner.options
        self._threads = [
            threading.Thread(target=target, name=f"negah-{name}-{number}", daemon=True)
            for name, target, count in (
                ("opener", self._open_all, options.reading_threads),
                ("captioner", self._caption_all, options.cores),
            )
            for number in range(count)
        ]
        for thread in self._threads:
            thread.start()

    @property
    def held(self) -> int:
        """Photos and clips that were handed in and have no caption yet."""
        with self._lock:
            return self._held

    def submit(
        self,
        content: bytes,
        *,
        clip: bool = False,
        frames: int | None = None,
        maps: bool = False,
        **decoding: Any,
    ) -> Future[Caption]:
        """Hand in one photo or clip.

        Args:
            content: of its file.
            clip: whether it is a clip.
            frames: of a clip, as in :meth:`~negah.runtime.Captioner.caption_clip`.
            maps: whether it is measured where each word comes from, by the method that suits the
                model (:func:`negah.explain`); some ten times the work.
            decoding: as in :meth:`~negah.runtime.Captioner.caption`.

        Returns:
            Its caption, to come; a MediaError where the file cannot be read. Cancelled, it is
            dropped, unless it is being captioned already; the measuring of maps ends.

        Raises:
            UsageError: an option is wrong.
            queue.Full: as many are held as may be.
            RuntimeError: the queue was closed.
        """
        work = self.captioner.work(clips=clip, frames=frames, **decoding)
        opener(work)  # refuses photos where no model sees them
        if maps:
            from negah.runtime.explaining import choose_method

            choose_method(None, self.captioner.one_backend(clips=clip), clips=clip)
        request = _QueuedRequest(content, work, decoding if maps else None)
        with self._lock:
            if self._closed:
                raise RuntimeError("the queue was closed: no more is captioned")
            if self._held >= self._most:
                raise queue.Full
            self._held += 1
            self._unread.append(request)
            self._to_open.notify()
        return request.future

    def close(self) -> None:
        """Caption what was handed in, and end the threads."""
        with self._lock:
            self._closed = True
            self._to_open.notify_all()
            self._to_caption.notify_all()
        for thread in self._threads:
            thread.join()

    def _open_all(self) -> None:
        while True:
            with self._lock:
                self._to_open.wait_for(lambda: self._unread or self._closed)
                if not self._unread:
                    return
                request = self._unread.popleft()
            if not request.future.set_running_or_notify_cancel():
                self._let_go(1)
                continue
            try:
                request.seen = self._open(request)
            except Exception as error:  # the caller's to hear of, whatever it is
                self._let_go(1)
                request.future.set_exception(error)
                continue
            with self._lock:
                self._ready.append(request)
                self._to_caption.notify()

    def _open(self, request: _QueuedRequest) -> Any:
        if not request.work.clips:
            return None if request.explain is not None else opener(request.work)(request.content)
        from negah.runtime.clips import open_video

        clip = open_video(request.content, request.work.options.max_pixels)
        if clip.info.duration > self._max_seconds:
            raise MediaError(
                clip.name,
                f"lasts {clip.info.duration:.0f} seconds, and clips of up to "
                f"{self._max_seconds:g} seconds are taken here; cut it",
            )
        return clip if request.explain is not None else opener(request.work)(clip)

    def _caption_all(self) -> None:
        while True:
            with self._lock:
                self._to_caption.wait_for(lambda: self._ready or (self._closed and not self._held))
                if not self._ready:
                    return
                batch = self._take_batch()
                lone = self._held == 1
            try:
                work = batch[0].work
                if lone and not work.clips:
                    work = replace(work, backends=alone(work.backends))
                results: list[Result | Exception] = (
                    [*caption_opened([(one.seen, 0) for one in batch], work)]
                    if batch[0].explain is None
                    else [Result(batch[0].content, self._explain(batch[0]), None)]
                )
            except Exception as error:  # of the model; all of the batch hear of it
                results = [error] * len(batch)
            self._let_go(len(batch))
            for request, result in zip(batch, results, strict=True):
                _answer(request.future, result)

    def _explain(self, request: _QueuedRequest) -> Caption:
        # evidence is imported where it is asked for
        from negah.runtime.explaining import caption_subject, choose_method

        def reached(share: float) -> None:
            if request.future.abandoned:
                raise _AbandonedError

        clip, frames = request.work.clips, request.work.frames
        method = choose_method(None, self.captioner.one_backend(clips=clip), clips=clip)
        photo = request.seen if clip else request.content
        options = request.explain or {}
        reached(0.0)
        reading = caption_subject(self.captioner, photo, clip=clip, frames=frames, **options)
        return reading.explained(method, reached)

    def _take_batch(self) -> list[_QueuedRequest]:
        """The oldest that is open, and what may go with it."""
        first = self._ready[0]
        size = first.work.batch_size
        batch = [one for one in self._ready if one.batch == first.batch][:size]
        taken = set(map(id, batch))
        self._ready = deque(one for one in self._ready if id(one) not in taken)
        return batch

    def _let_go(self, count: int) -> None:
        with self._lock:
            self._held -= count
            if self._closed:  # then the last one ends the threads
                self._to_caption.notify_all()


def _answer(future: Future[Caption], result: Result | Exception) -> None:
    if isinstance(result, Exception):
        future.set_exception(result)
    elif result.caption is not None:
        future.set_result(result.caption)
    else:
        assert result.error is not None
        future.set_exception(result.error)
