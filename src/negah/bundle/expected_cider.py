"""``expected_cider.safetensors``: predicts CIDEr, by which candidates are ranked again.

The file is an optional part of a bundle; ``negah rerank`` writes it. It is untrusted: names, sizes
and numbers are checked before anything is computed.

Axes: G n-grams, L latent size, W concepts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from negah.bundle.tensors import read_tensors, write_tensors
from negah.decoding.decoder import MAX_ORDER, ExpectedCider
from negah.errors import BundleError

EXPECTED_CIDER_FILE = "expected_cider.safetensors"

_MAX_BYTES = 256 * 2**20
_NAMES = ("grams", "idf", "usual", "vectors", "scales", "mixing", "photos")


def read_expected_cider(file: Path, *, vocabulary: int, concepts: int) -> ExpectedCider:
    """Read and check the file.

    Args:
        file: its checksum has been compared.
        vocabulary, concepts: V and W of the model.

    Raises:
        BundleError: it is damaged, or belongs to another model.
    """
    if file.stat().st_size > _MAX_BYTES:
        raise BundleError(f"{file.name} is larger than {_MAX_BYTES:,} bytes")
    tensors = read_tensors(file, _NAMES)
    if tensors is None:
        raise BundleError(f"{file.name} lacks one of the tensors {', '.join(_NAMES)}")
    grams_G4, idf_G, usual_G, vectors_GL, scales_G, mixing_LW, photos = tensors
    grams = len(grams_G4)
    size = len(mixing_LW)
    shapes = [(grams, MAX_ORDER), (grams,), (grams,), (grams, size), (grams,), (size, concepts), ()]
    wrong = [
        f"{name} has the shape {tensor.shape}, not {shape}"
        for name, tensor, shape in zip(_NAMES, tensors, shapes, strict=True)
        if tensor.shape != shape
    ]
    if wrong:
        raise BundleError(f"{file.name} is of another model: {'; '.join(wrong)}")
    kinds = (np.int32, np.float32, np.float32, np.int8, np.float32, np.float32, np.int32)
    if any(tensor.dtype != kind for tensor, kind in zip(tensors, kinds, strict=True)):
        raise BundleError(f"{file.name} holds numbers of other dtypes than it should")
    if not all(np.isfinite(tensor).all() for tensor in tensors) or int(photos) < 1:
        raise BundleError(f"{file.name} holds numbers that are not finite, or no photos")
    if grams_G4.min(initial=0) < 0 or grams_G4.max(initial=0) >= vocabulary:
        raise BundleError(f"{file.name} names tokens that are not among the {vocabulary:,}")
    return ExpectedCider(
        grams_G4.astype(np.int64), idf_G, usual_G, vectors_GL, scales_G, mixing_LW, int(photos)
    )


def write_expected_cider(expected: ExpectedCider, file: Path) -> None:
    """Write the file; ``mixing`` is rounded to half precision."""
    write_tensors(
        file,
        {
            "grams": expected.grams_G4.astype(np.int32),
            "idf": expected.idf_G,
            "usual": expected.usual_G,
            "vectors": expected.vectors_GL,
            "scales": expected.scales_G,
            "mixing": expected.mixing_LW.astype(np.float16),
            "photos": np.array(expected.photos, np.int32),
        },
    )
