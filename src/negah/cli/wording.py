"""The options ``--alt``, ``--max-chars`` and ``--neutral-people``: the wording of captions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated

import typer

from negah.captions import Caption
from negah.errors import MediaError, UsageError

Alt = Annotated[
    bool,
    typer.Option(
        "--alt", help="As alternative text: a sentence with a capital and a full stop, kept short."
    ),
]
MaxChars = Annotated[
    int | None,
    typer.Option(
        "--max-chars",
        min=20,
        max=100_000,
        metavar="N",
        help="With --alt: maximum number of characters.",
        show_default="125",
    ),
]
NeutralPeople = Annotated[
    bool,
    typer.Option(
        "--neutral-people", help="English only: avoid words that guess gender or age from looks."
    ),
]


@dataclass(frozen=True, slots=True)
class Wording:
    """The wording of captions; their words and scores stay those of the model.

    Attributes:
        alt: as alternative text.
        max_chars: of an alternative text; None for what is usual.
        neutral_people: without guesses of gender and age.
    """

    alt: bool = False
    max_chars: int | None = None
    neutral_people: bool = False

    def __post_init__(self) -> None:
        if self.max_chars is not None and not self.alt:
            raise UsageError("--max-chars is for alternative text: add --alt, or leave it out")

    @property
    def changes(self) -> bool:
        """Whether captions are reworded."""
        return self.alt or self.neutral_people

    def of(self, path: Path, caption: Caption) -> Caption:
        """The caption in these words; of several those that fit, the best first.

        Raises:
            MediaError: none fits into ``max_chars``.
        """
        if not self.changes:
            return caption
        texts = [(one, self._text(one)) for one in (caption, *caption.alternatives)]
        worded = [replace(one, text=text, alternatives=()) for one, text in texts if text]
        if not worded:
            from negah.text.alt import MAX_CHARS

            most = self.max_chars or MAX_CHARS
            reason = f"its caption has no sentence of {most} characters or fewer"
            raise MediaError(path, f"{reason}; allow more with --max-chars")
        return replace(worded[0], alternatives=tuple(worded[1:]), warnings=caption.warnings)

    def _text(self, caption: Caption) -> str | None:
        from negah.text.alt import MAX_CHARS, alt_text
        from negah.text.people import neutral_people

        text = neutral_people(caption.text) if self.neutral_people else caption.text
        most, language = self.max_chars or MAX_CHARS, caption.language
        return alt_text(text, max_chars=most, language=language) if self.alt else text
