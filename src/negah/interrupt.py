"""Graceful interruption: on Ctrl-C, finish and keep the current work, then stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import Any

#: Signals that ask a process to stop: Ctrl-C, the system, and a terminal that was closed.
STOP_SIGNALS = tuple(
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
)


class Interrupt:
    """Context manager in which the first signal to stop sets ``asked`` and a second one interrupts.

    Such signals are SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal was closed), the last one
    unless it was ignored before, as under ``nohup``. Outside the main thread, where Python delivers
    no signals, ``asked`` is never set. It may be entered again, with a fresh state.

    Args:
        on_ask: called at the first signal, in the main thread, between two instructions.
    """

    def __init__(self, on_ask: Callable[[], None] | None = None) -> None:
        self.asked = False
        self._on_ask = on_ask
        self._before: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Interrupt:
        self.asked = False
        if threading.current_thread() is threading.main_thread():
            self._before = {
                number: signal.signal(number, self._ask)
                for number in STOP_SIGNALS
                if number == signal.SIGINT or signal.getsignal(number) is not signal.SIG_IGN
            }
        return self

    def _ask(self, number: int, frame: FrameType | None) -> None:
        if self.asked:
            raise KeyboardInterrupt
        self.asked = True
        if self._on_ask is not None:
            self._on_ask()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
