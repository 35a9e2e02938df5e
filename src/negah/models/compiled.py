"""Compilation of a captioner's loop over the words, if a compiler is available.

On a GPU the loop consists of hundreds of small kernels whose launches dominate the time.
Compilation fuses them, and PyTorch replays them as one CUDA graph; captions are padded to few
lengths (:data:`LENGTHS`), each compiled once.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal

import torch

#: Captions are padded to a multiple of this number of words, <EOS> included.
LENGTHS = 4

#: When the loop is compiled.
When = Literal["off", "auto", "on"]


def wants_compiler(when: When, device: torch.device) -> bool:
    """Whether to compile for a device; ``auto`` means on a GPU only."""
    return when == "on" or (when == "auto" and device.type == "cuda")


class CompiledLoop:
    """A function that is compiled at its first call, or used uncompiled if that fails.

    Args:
        loop: a function of tensors without side effects.
        device: on which it is called.
        tell: called once with the reason if compilation fails.
    """

    def __init__(
        self, loop: Callable[..., Any], device: torch.device, tell: Callable[[str], None]
    ) -> None:
        self.loop = loop
        self.tell = tell
        self.is_compiled = True
        self._graphs = device.type == "cuda"
        mode = "reduce-overhead" if self._graphs else None
        self._compiled = torch.compile(loop, dynamic=False, mode=mode)

    def __call__(self, *arguments: Any) -> Any:
        """What the loop gives."""
        if not self.is_compiled:
            return self.loop(*arguments)
        try:
            if self._graphs:
                torch.compiler.cudagraph_mark_step_begin()  # type: ignore[no-untyped-call]
            with warnings.catch_warnings():
                # the compiler's own deprecations; nothing a user could act on
                warnings.simplefilter("ignore")
                return self._compiled(*arguments)
        except Exception as error:  # compilers, drivers and backends each have errors of their own
            self.is_compiled = False
            reason = next(iter(str(error).splitlines()), "")
            self.tell(
                f"the loop over the words is not compiled ({type(error).__name__}: {reason}); "
                "training continues without"
            )
            return self.loop(*arguments)
