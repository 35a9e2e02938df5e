"""The served models by name, each with its queue."""

from __future__ import annotations

import asyncio
import io
import queue
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from PIL import Image

from negah.backends import Backend
from negah.captions import Caption
from negah.decoding import DecodingOptions
from negah.errors import MediaError, UnknownNameError, UsageError
from negah.runtime import Captioner, CaptionQueue
from negah.serve.metrics import ServiceMetrics
from negah.serve.options import RequestLimits
from negah.serve.problems import RefusedError, too_busy
from negah.serve.uploads import Upload
from negah.text.languages import Language, language_of


@dataclass(frozen=True, slots=True)
class Served:
    """A served model.

    Attributes:
        name: for clients.
        queue: of its captioner.
        since: time of opening, in seconds since 1970.
    """

    name: str
    queue: CaptionQueue
    since: int

    @property
    def backend(self) -> Backend:
        """The backend for photos."""
        return self.queue.captioner.backend

    @property
    def language(self) -> Language:
        """The language of its captions."""
        return language_of(self.backend.identity.language)


class Models:
    """All models of a service; :meth:`close` stops their threads.

    Args:
        captioners: by the names for clients; the first is used for requests without a model.
        limits: of requests.
        metrics: counters for captions.

    Attributes:
        ready: whether every model has produced a caption.
    """

    def __init__(
        self, captioners: Mapping[str, Captioner], limits: RequestLimits, metrics: ServiceMetrics
    ) -> None:
        now = int(time.time())
        self._served = {
            name: Served(
                name,
                # the gate lets in as many; one more is for the warm-up
                CaptionQueue(captioner, most=limits.requests + 1, max_seconds=limits.clip_seconds),
                now,
            )
            for name, captioner in captioners.items()
        }
        self._limits = limits
        self._metrics = metrics
        self.ready = False

    def __iter__(self) -> Any:
        return iter(self._served.values())

    def find(self, name: str | None, language: str | None = None) -> Served:
        """Find a model by name, optionally with Ollama's tag ``:latest``.

        Args:
            name: given by a client; None for the first model, or the first of a language.
            language: code of the required language; None for any.

        Raises:
            RefusedError: there is no such model.
        """
        if not name:
            return self._of(language)
        found = self._served.get(name) or self._served.get(name.removesuffix(":latest"))
        if found is None:
            unknown = UnknownNameError("model", name[:128], self._served)
            raise RefusedError(404, str(unknown), "model_not_found")
        own = found.language
        if language and own.code != language:
            raise RefusedError(
                422,
                f"{found.name} captions in {own.name} ({own.code}), and the language that is asked "
                f"for is {language[:32]!r}: leave out one of them",
                "wrong_language",
            )
        return found

    def _of(self, language: str | None) -> Served:
        for served in self._served.values():
            if not language or served.language.code == language:
                return served
        there = {served.language.code: served.language.name for served in self}
        raise RefusedError(
            404,
            f"no model here captions in {str(language)[:32]!r}; there are "
            + ", ".join(f"{code} ({name})" for code, name in there.items()),
            "language_not_found",
        )

    def check_number(self, pictures: int) -> None:
        """Refuse a request with too many photos and clips."""
        most = self._limits.pictures
        if pictures > most:
            raise RefusedError(
                422, f"{pictures} photos and clips; at most {most} are taken in one request"
            )

    def shortened(self, served: Served, uploads: list[Upload], most: Any) -> dict[str, Any]:
        """Decoding options for a maximum number of words, if it is below the default.

        Args:
            served: the model.
            uploads: to caption.
            most: given by the client; values that are not positive numbers mean no limit.
        """
        if not isinstance(most, int) or isinstance(most, bool) or most < 1:
            return {}
        captioner = served.queue.captioner
        usual = min(
            captioner.decoding_options({}, clips=clip).max_length
            for clip in {upload.clip for upload in uploads}
        )
        return {"max_length": most} if most < usual else {}

    def held(self) -> dict[str, int]:
        """Number of photos and clips without a caption, by model."""
        return {name: served.queue.held for name, served in self._served.items()}

    async def caption(
        self,
        served: Served,
        upload: Upload,
        decoding: Mapping[str, Any] | None = None,
        frames: int | None = None,
        *,
        maps: bool = False,
    ) -> Caption:
        """Caption a photo or clip, in a batch with those of other requests.

        Args:
            served: the model.
            upload: the photo or clip.
            decoding: options given by the client.
            frames: number of frames of a clip.
            maps: whether to compute maps for the words.

        Raises:
            RefusedError: it cannot be read, an option is wrong, or the service is busy.
        """
        options = dict(decoding or {})
        try:
            self._check(served, upload, options, frames)
            future = served.queue.submit(
                upload.content,
                clip=upload.clip,
                frames=frames if upload.clip else None,
                maps=maps,
                **options,
            )
            async with asyncio.timeout(self._limits.seconds):
                caption = await asyncio.wrap_future(future)
        except UsageError as error:
            raise RefusedError(422, str(error)[:1000], "wrong_option") from None
        except MediaError as error:
            raise RefusedError(422, _sentence(upload, error), "unreadable") from None
        except queue.Full:
            raise too_busy(
                "as many photos and clips as are held wait already: come again"
            ) from None
        except TimeoutError:
            raise RefusedError(
                503,
                f"no caption within {self._limits.seconds:g} seconds: come again",
                "too_slow",
                {"Retry-After": "10"},
            ) from None
        self._metrics.captioned(served.name, "clip" if upload.clip else "photo")
        return caption

    def _check(
        self, served: Served, upload: Upload, decoding: Mapping[str, Any], frames: int | None
    ) -> None:
        """Refuse options that are wrong or would take too long.

        Raises:
            RefusedError: they exceed the limits.
            UsageError: they are wrong.
        """
        limits = self._limits
        for name in decoding.keys() - DecodingOptions.model_fields.keys():
            raise UnknownNameError("option", name[:128], DecodingOptions.model_fields)
        chosen = served.queue.captioner.decoding_options(dict(decoding), clips=upload.clip)
        for name, value, most in (
            ("beam", chosen.beam, limits.beam),
            ("n_best", chosen.n_best, limits.beam),
            ("max_length", chosen.max_length, limits.words),
        ):
            if name in decoding and value > most:
                why = f"{name} is {value}, and {most} is the most"
                raise RefusedError(422, why, "wrong_option")
        if frames is not None and not 1 <= frames <= limits.frames:
            raise RefusedError(
                422, f"frames is a number from 1 to {limits.frames}, not {frames}", "wrong_option"
            )

    def warm_up(self) -> None:
        """Caption a grey picture with each model, so that ONNX Runtime is initialised."""
        file = io.BytesIO()
        Image.new("RGB", (64, 64), (128, 128, 128)).save(file, "png")
        for served in self:
            if served.backend.sight.motion is None:
                served.queue.submit(file.getvalue()).result()
        self.ready = True

    def close(self) -> None:
        """Finish the submitted captions and stop."""
        for served in self:
            served.queue.close()


def _sentence(upload: Upload, error: MediaError) -> str:
    return f"the {'clip' if upload.clip else 'photo'} cannot be read: {error.reason}"[:1000]
