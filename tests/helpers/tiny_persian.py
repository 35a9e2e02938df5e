"""A tiny bundle that captions in Persian: the tiny one of ``tiny_bundle.py`` with other words."""

from __future__ import annotations

from pathlib import Path

from negah.bundle import read_bundle
from negah.bundle.revise import revise_bundle
from negah.text import SPECIALS, WordTokenizer, language_of

TEXT = (
    "سگ سیاه روی چمن سبز با توپ قرمز می‌دود دو کودک در آب بازی می‌کنند مرد پیراهن آبی دوچرخه خیابان "
    "زن کلاه سفید نیمکت نزدیک نشسته‌است گربه‌ها پسر دختر کوه دریا اسب پرنده ماشین درخت آسمان خانه "
    "جوان گروه زرد برف"
)


def make_tiny_persian(tiny_bundle: Path, folder: Path) -> Path:
    """Write it; its captions are random words."""
    bundle = read_bundle(tiny_bundle)
    words = dict.fromkeys(language_of("fa").tokens(TEXT))
    tokens = [*SPECIALS, *words][: bundle.config.vocabulary_size]
    tokenizer = WordTokenizer(tokens, language="fa")
    revise_bundle(
        bundle,
        folder,
        write_others=lambda target: tokenizer.save(target / "tokenizer.json"),
        name="tiny Persian",
    )
    return folder
