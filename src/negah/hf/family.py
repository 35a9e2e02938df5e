"""The interface of a captioner family: its class in transformers, its tokens, its parts."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

from torch import Tensor

from negah.decoding import StepModel


class Family(ABC):
    """A model of one family, loaded.

    Args:
        model: of transformers, in evaluation mode.
        tokenizer: of transformers.

    Attributes:
        model_class: the name of the captioning class in transformers.
        attention: the implementation of attention, by part of the configuration: decoders need
            "eager", which returns its weights.
        frames: maximum number of frames of a clip.
        prefix: the ids before the first word.
        end: the id that ends a caption.
        size: V, the number of scored ids.
        positions: maximum number of tokens read by the decoder, including the prefix.
        generation: its ``GenerationConfig``.
    """

    model_class: ClassVar[str]
    attention: ClassVar[dict[str, str] | str] = "eager"
    frames: int = 1
    prefix: tuple[int, ...]
    end: Any
    size: int
    positions: int
    generation: Any

    @abstractmethod
    def __init__(self, model: Any, tokenizer: Any) -> None: ...

    @property
    def max_words(self) -> int:
        """Of a caption: each is read to find what follows it; the end token is not."""
        return max(1, self.positions - len(self.prefix))

    @abstractmethod
    def encode(self, pixels_N3HW: Tensor) -> Tensor:
        """The last hidden states of the encoder, (N, R, C)."""

    @abstractmethod
    def grid(self, height: int, width: int) -> tuple[int, int] | None:
        """Rows and columns of the grid, the last of the R tokens of a picture, or None."""

    @abstractmethod
    def steps(self, cells: int) -> StepModel:
        """What decoding walks; ``cells`` is the number of the grid's cells, 0 for none."""
