"""What every cell needs is imported here once, by the server that processes are forked from."""

from __future__ import annotations

import torch

__all__ = ["torch"]
