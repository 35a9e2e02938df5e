"""What every cell needs is imported here once, by the server that processes are forked from.

PyTorch and timm take seconds to import, and a study has dozens of cells.
"""

from __future__ import annotations

import timm
import torch

from negah.studies.captioning import data, learn, scores

__all__ = ["data", "learn", "scores", "timm", "torch"]
