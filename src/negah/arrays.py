"""The types of NumPy arrays that the whole package uses, by what they hold."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

#: float32: pixels, features, log-probabilities, weights of attention.
FloatArray = npt.NDArray[np.float32]
#: float64: scores, sums of statistics, times in seconds.
DoubleArray = npt.NDArray[np.float64]
#: float16: stored features.
HalfArray = npt.NDArray[np.float16]
#: int64: token ids, positions, counts.
IntArray = npt.NDArray[np.int64]
BoolArray = npt.NDArray[np.bool_]
#: uint8: pixels of 0 to 255.
ByteArray = npt.NDArray[np.uint8]
