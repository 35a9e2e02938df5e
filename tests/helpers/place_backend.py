"""A backend in NumPy of which it is known where each word comes from.

A picture is cut into 7 x 7 cells; the feature of a cell is how red it is. Word k has the log-odds
of the redness of cell k of the picture, or of one frame of a clip, and nothing else.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from negah.backends import Encoded, Identity, Sight
from negah.decoding import DecodingOptions, Step
from negah.text.vocabulary import SPECIAL_IDS, Specials

ROWS, COLUMNS = 7, 7
CELL = 8
#: Of a word's cell, how much its logit rises with its redness.
STRENGTH = 6.0


@dataclass(frozen=True)
class PlaceWords:
    """A word for each cell of each frame: ``f0c13``."""

    frames: int
    specials: Specials = SPECIAL_IDS

    @property
    def tokens(self) -> Sequence[str]:
        cells = [f"f{f}c{c}" for f in range(self.frames) for c in range(ROWS * COLUMNS)]
        return ("<PAD>", "<SOS>", "<EOS>", "<UNK>", *cells)

    def decode(self, ids: Iterable[int]) -> str:
        return " ".join(self.tokens[i] for i in ids)


@dataclass
class PlaceSteps:
    """Every word at every step by its cell; what was said is said no more, and then it ends."""

    frames: int

    def start(self, features, real_frames=None):
        red_BN = np.asarray(features)[..., 0].reshape(len(features), -1)
        return red_BN, np.zeros((len(features), 1, red_BN.shape[1]), bool)

    def step(self, state, tokens):
        red_BN, said_BKN = state
        B, K = tokens.shape
        said_BKN = np.broadcast_to(said_BKN, (B, K, red_BN.shape[1])).copy()
        for b in range(B):
            for k in range(K):
                if tokens[b, k] >= 4:
                    said_BKN[b, k, tokens[b, k] - 4] = True
        logits = np.full((B, K, 4 + red_BN.shape[1]), -30.0)
        logits[..., 2] = 1.0
        logits[..., 4:] = np.where(said_BKN, -30.0, STRENGTH * (red_BN[:, None] - 0.5))
        logprobs = logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)
        even = np.full((B, K, self.frames, ROWS * COLUMNS), 1 / 49, np.float32)
        evidence = {"regions": even, "frames": np.full((B, K, self.frames), 1 / self.frames)}
        return Step(logprobs.astype(np.float32), (red_BN, said_BKN), evidence)

    def reorder(self, state, parents):
        red_BN, said_BKN = state
        return red_BN, said_BKN[np.arange(len(parents))[:, None], parents]


class PlaceBackend:
    """See the module. ``extra`` tokens beside the grid make it a model without cells."""

    def __init__(self, frames: int = 1, extra: int = 0) -> None:
        self.extra = extra
        self.identity = Identity("places", "made", "places", "CC0-1.0", "0" * 64)
        self.sight = Sight((ROWS * CELL, COLUMNS * CELL), (ROWS, COLUMNS), clip_frames=frames,
                           max_frames=frames)  # fmt: skip
        self.decoding = DecodingOptions(beam=3, max_length=4)
        self.tokenizer = PlaceWords(frames)
        self.model = PlaceSteps(frames)

    def resize(self, image: Image.Image) -> Image.Image:
        return image.convert("RGB").resize((COLUMNS * CELL, ROWS * CELL))

    def pixels(self, images):
        arrays = [np.asarray(self.resize(image), np.float32) / 255 for image in images]
        return np.stack(arrays).transpose(0, 3, 1, 2)

    def encode(self, pixels_N3HW):
        red = pixels_N3HW[:, 0] - pixels_N3HW[:, 1]
        cells = red.reshape(-1, ROWS, CELL, COLUMNS, CELL).mean((2, 4)).reshape(len(red), -1, 1)
        if self.extra:
            cells = np.concatenate([np.zeros((len(cells), self.extra, 1), np.float32), cells], 1)
        return Encoded(cells.astype(np.float32))


def spotted(*cells: tuple[int, int], size: tuple[int, int] = (COLUMNS * CELL, ROWS * CELL)):
    """A grey picture with some cells red."""
    pixels = np.full((ROWS, COLUMNS, 3), 90, np.uint8)
    for cell in cells:
        pixels[cell] = (250, 20, 20)
    return Image.fromarray(pixels).resize(size, Image.Resampling.NEAREST)
