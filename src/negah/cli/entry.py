"""Entry point of the ``negah`` command, including Ctrl-C during start and exit.

Importing the command line takes a part of a second. A signal in it, or after the command, ends the
process with a line or not at all, never with a traceback.
"""

from __future__ import annotations

import os
import signal
import sys
from types import FrameType

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
    # pydantic would search all installed packages for plugins
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    from negah.cli.main import run

    code = run()
    for number in _SIGNALS:  # all is done: the interpreter is shutting down
        signal.signal(number, signal.SIG_IGN)
    sys.exit(code)
