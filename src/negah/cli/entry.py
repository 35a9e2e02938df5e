"""Entry point of the ``negah`` command: a quick start and end, and Ctrl-C during both.

Importing the command line takes a part of a second. A signal in it, or after the command, ends the
process with a line or not at all, never with a traceback.
"""

from __future__ import annotations

import atexit
import gc
import os
import signal
import sys
import threading
from types import FrameType
from typing import NoReturn

_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]


def _quit(number: int, frame: FrameType | None) -> None:
    try:
        os.write(2, b"interrupted\n")
    finally:
        os._exit(130)


def main() -> None:
    """Run the command line and exit."""
    for number in _SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _quit)
    # Nothing that importing makes is garbage. A command collects what it leaves: see cli.lazy.
    gc.disable()
    # pydantic would search all installed packages for plugins
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from negah.cli.main import run

    code = run()
    for number in _SIGNALS:  # all is done: the interpreter is shutting down
        signal.signal(number, signal.SIG_IGN)
    _leave(code)


def _leave(code: int) -> NoReturn:
    """End the process, without the tenth of a second that Python takes to free all objects.

    What is registered to be done at the end is done. Python ends by itself where PyTorch is
    loaded, which frees what is not Python's, and where a thread goes on.
    """
    others = [thread for thread in threading.enumerate() if not thread.daemon]
    if "torch" in sys.modules or others != [threading.main_thread()]:
        sys.exit(code)
    atexit._run_exitfuncs()
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    os._exit(code)
