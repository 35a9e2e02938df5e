"""Metrics of the service in the Prometheus text format (version 0.0.4)."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Mapping

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

#: Upper ends of the classes of seconds.
_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class ServiceMetrics:
    """Counters of a process; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._requests: Counter[tuple[str, int]] = Counter()
        self._captions: Counter[tuple[str, str]] = Counter()
        self._seconds: dict[str, tuple[list[int], float]] = {}
        self.in_flight = 0

    def began(self) -> None:
        """Count an admitted request."""
        with self._lock:
            self.in_flight += 1

    def ended(self) -> None:
        """Count the end of a request, answered or cancelled."""
        with self._lock:
            self.in_flight -= 1

    def answered(self, path: str, status: int, seconds: float) -> None:
        """Count an answer."""
        with self._lock:
            self._requests[path, status] += 1
            counts, total = self._seconds.setdefault(path, ([0] * len(_SECONDS), 0.0))
            for place, end in enumerate(_SECONDS):
                counts[place] += seconds <= end
            self._seconds[path] = counts, total + seconds

    def captioned(self, model: str, kind: str) -> None:
        """Count a caption."""
        with self._lock:
            self._captions[model, kind] += 1

    def text(self, held: Mapping[str, int]) -> str:
        """All counters as text.

        Args:
            held: number of photos and clips without a caption yet, by model.
        """
        with self._lock:
            lines = [
                *_family("negah_requests_total", "counter", "Answered requests."),
                *(
                    f'negah_requests_total{{path="{path}",status="{status}"}} {count}'
                    for (path, status), count in sorted(self._requests.items())
                ),
                *_family("negah_request_seconds", "histogram", "From the head to the answer."),
                *self._histograms(),
                *_family("negah_requests_in_flight", "gauge", "Requests without an answer."),
                f"negah_requests_in_flight {self.in_flight}",
                *_family("negah_captions_total", "counter", "Captions of photos and clips."),
                *(
                    f'negah_captions_total{{model="{model}",kind="{kind}"}} {count}'
                    for (model, kind), count in sorted(self._captions.items())
                ),
                *_family("negah_queue", "gauge", "Photos and clips without a caption."),
                *(f'negah_queue{{model="{model}"}} {count}' for model, count in held.items()),
            ]
        return "\n".join(lines) + "\n"

    def _histograms(self) -> Iterable[str]:
        name = "negah_request_seconds"
        for path, (counts, total) in sorted(self._seconds.items()):
            every = sum(n for (of, _), n in self._requests.items() if of == path)
            for end, count in zip(_SECONDS, counts, strict=True):
                yield f'{name}_bucket{{path="{path}",le="{end:g}"}} {count}'
            yield f'{name}_bucket{{path="{path}",le="+Inf"}} {every}'
            yield f'{name}_sum{{path="{path}"}} {total:.6f}'
            yield f'{name}_count{{path="{path}"}} {every}'


def _family(name: str, kind: str, help_text: str) -> tuple[str, str]:
    return f"# HELP {name} {help_text}", f"# TYPE {name} {kind}"
