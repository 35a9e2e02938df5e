"""The page, the pictures and the words of an explained caption."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from negah.captions import Caption, Word
from negah.errors import UsageError
from negah.evidence import draw_clip_evidence, draw_evidence
from negah.evidence.encoding import light_uri
from negah.evidence.light import frame_shares, light_of_maps
from negah.evidence.moving import moving_pictures, write_moving
from negah.evidence.page import page_of
from negah.evidence.words import alternatives, describe, place_of, where

EVIL = '</script><img src=x onerror="alert(1)">&"\''


def lit_at(frames: int, *places: tuple[int, int, int], strength: float = 2.0) -> Caption:
    """A caption with a word for each place that its map lights."""
    words = []
    for number, place in enumerate(places):
        light = np.zeros((frames, 3, 4), np.float32)
        light[place] = strength
        words.append(Word(f"w{number}", -0.5, gate=0.25, map=light))
    times = tuple(float(f) for f in range(frames))
    return Caption(" ".join(w.text for w in words), -1.0, -1.0, tuple(words), times)


def grey(size: tuple[int, int] = (80, 60)) -> Image.Image:
    return Image.new("RGB", size, (200, 200, 200))


class Checked(HTMLParser):
    """Tags that are closed in order, and what could load something."""

    VOID = frozenset({"meta", "img", "br", "link"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.handlers: list[str] = []
        self.tags: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.addresses += [v or "" for k, v in attrs if k in ("src", "href", "srcset", "data")]
        self.handlers += [k for k, _ in attrs if k.startswith("on")]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def checked(page: str) -> Checked:
    parser = Checked()
    parser.feed(page)
    parser.close()
    assert not parser.open
    return parser


@pytest.mark.parametrize("frames", [1, 4])
@pytest.mark.parametrize("size", [(80, 60), (400, 20), (20, 400)])
def test_the_page_loads_nothing_and_is_well_formed(frames: int, size: tuple[int, int]) -> None:
    caption = lit_at(frames, (0, 0, 0), (frames - 1, 2, 3))
    page = page_of([grey(size)] * frames, caption, method="occlusion", name="a.jpg", model="m")
    parser = checked(page)
    assert parser.addresses
    assert all(address.startswith("data:image/") for address in parser.addresses)
    assert not parser.handlers
    assert "default-src 'none'" in page
    assert "http" not in re.sub(r'http-equiv="[^"]*"', "", page)
    assert parser.tags.count("button") == 2 + (frames if frames > 1 else 0)


def test_text_is_escaped_everywhere() -> None:
    word = Word(EVIL, -1.0, map=np.ones((1, 2, 2), np.float32))
    other = Caption(EVIL, -1.0, -1.0, (Word(EVIL + "2", -1.0),))
    caption = Caption(EVIL, -1.0, -1.0, (word,), alternatives=(other,), warnings=(EVIL,))
    page = page_of([grey()], caption, method=EVIL, name=EVIL, model=EVIL)
    parser = checked(page)
    assert parser.tags.count("img") == 2
    assert parser.tags.count("script") == 2
    assert not parser.handlers
    found = re.search(r'id="data">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    data = json.loads(found[1])
    assert data["words"][0]["text"] == EVIL
    assert data["words"][0]["others"] == [f"{EVIL}2 (1 of 1)"]


def test_the_page_tells_numbers_in_words() -> None:
    caption = lit_at(1, (0, 1, 1))
    page = page_of([grey()], caption, method="occlusion", name="a.jpg", model="m")
    assert "--seen:" not in page.split("<style>")[0] + page.split("</style>")[1]
    assert "probability of 61%" in page
    assert "its odds fall to 14%" in page
    assert "no evidence by itself" in page


def test_the_legend_says_in_plain_words_what_the_marks_mean() -> None:
    plain = lit_at(1, (0, 0, 0), (0, 2, 3))
    pairs = zip(plain.words, (0.9, 0.2), strict=True)
    words = tuple(replace(word, seen=seen) for word, seen in pairs)
    marked = replace(plain, words=words, confidence=0.2)
    pages = [
        page_of([grey()], caption, method="occlusion", name="a.jpg", model="m")
        for caption in (plain, marked)
    ]
    legends = [re.findall(r"<li><span [^>]*>word</span><span>(.*?)</span></li>", p) for p in pages]
    lit = "Choose a word: the part of the picture that it comes from stays lit."
    assert legends[0] == [lit]
    assert [text.partition(":")[0] for text in legends[1]] == [
        "This word comes from the picture",
        "This word is probably a guess from the words before it",
        "Words like &quot;a&quot; and &quot;in&quot; are not judged.",
        "Choose a word",
    ]
    assert "The whole caption is in the picture with a probability of 20%." in pages[1]
    assert "The whole caption" not in pages[0]


def test_light_is_where_the_cell_is() -> None:
    light = np.zeros((3, 4), np.float32)
    light[2, 1] = 1
    uri = light_uri(light, 10)
    image = Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2])))
    alpha = np.asarray(image)[..., 1].astype(float)
    assert alpha.shape == (30, 40)
    # the middle of the light is the middle of the cell
    rows, columns = np.indices(alpha.shape) + 0.5
    assert (rows * alpha).sum() / alpha.sum() == pytest.approx(25.0, abs=1.0)
    assert (columns * alpha).sum() / alpha.sum() == pytest.approx(15.0, abs=0.5)
    assert alpha.max() == 255


def test_weak_words_stay_dim_and_what_speaks_against_is_dark() -> None:
    maps = np.zeros((3, 1, 2, 2), np.float32)
    maps[0, 0, 0, 0], maps[1, 0, 1, 1], maps[2] = 2.0, 0.05, -3.0
    light = light_of_maps(maps)
    assert light[0].max() == 1
    assert light[1:].max() == 0
    assert light_of_maps(np.zeros((1, 1, 2, 2), np.float32)).max() == 0
    np.testing.assert_allclose(frame_shares(maps).sum(1), 1)


def test_pictures_of_maps_light_the_cell() -> None:
    photo = Image.new("RGB", (200, 150), (200, 200, 200))
    sheet = draw_evidence(photo, lit_at(1, (0, 0, 3), (0, 2, 0)), columns=3, tile=200)
    tile = np.asarray(sheet.convert("L"), float)
    top = next(y for y in range(sheet.height) if (tile[y, 10:210] == 200).all())
    first = tile[top : top + 150, 220:420].reshape(3, 50, 4, 50).mean((1, 3))
    assert np.unravel_index(first.argmax(), first.shape) == (0, 3)
    strip = draw_clip_evidence([photo] * 3, lit_at(3, (1, 0, 0), (2, 2, 3)))
    assert strip.width > 420


@pytest.mark.parametrize("size", [(640, 40), (40, 640), (1, 1)])
def test_any_shape_can_be_drawn(size: tuple[int, int]) -> None:
    caption = lit_at(1, *[(0, 0, 0)] * 13)
    assert draw_evidence(grey(size), caption).mode == "RGB"
    shown, times = moving_pictures([grey(size)], caption)
    assert len(shown) == len(times) == 14
    assert len({picture.size for picture in shown}) == 1


def test_a_moving_picture_has_every_word_in_every_frame(tmp_path: Path) -> None:
    from negah.outputs import OutputKind, Outputs

    path = tmp_path / "moving.webp"
    frames = [Image.new("RGB", (80, 60), (60 + 60 * n, 90, 120)) for n in range(3)]
    write_moving(frames, lit_at(3, (0, 0, 0), (1, 1, 1)), path)
    with Image.open(path) as image:
        assert image.format == "WEBP"
        assert image.n_frames == 3 * (1 + 2)
    Outputs().write(path, "again", OutputKind.PICTURE)  # its own may be replaced
    grey().save(path)
    with pytest.raises(UsageError, match="would replace the photo"):
        Outputs().write(path, "again", OutputKind.PICTURE)


def test_what_was_not_explained_is_refused() -> None:
    plain = Caption("a", -1.0, -1.0, (Word("a", -1.0),))
    with pytest.raises(UsageError, match="explained"):
        page_of([grey()], plain, method="occlusion", name="a", model="m")
    with pytest.raises(UsageError, match="explained"):
        moving_pictures([grey()] * 2, lit_at(3, (0, 0, 0)))


@pytest.mark.parametrize(
    ("cell", "name"),
    [((0, 0), "upper left"), ((1, 1), "middle"), ((2, 1), "lower middle"), ((1, 2), "right")],
)
def test_places_have_names(cell: tuple[int, int], name: str) -> None:
    light = np.zeros((3, 3), np.float32)
    light[cell] = 1
    assert where(light) == name


def test_numbers_in_words() -> None:
    (word,) = lit_at(3, (1, 0, 0)).words
    assert "upper left of the frame at 1.0 s" in " ".join(describe(word, (0.0, 1.0, 2.0)))
    assert place_of(word, (0.0, 1.0, 2.0)) == "upper left, 1.0 s; without it, odds fall to 14%"
    (faint,) = lit_at(1, (0, 0, 0), strength=0.01).words
    assert place_of(faint, (0.0,)) == "no region: the preceding words"
    assert "attention was strongest" in " ".join(describe(word, (0.0, 1.0, 2.0), nats=False))


def test_alternatives_stand_in_the_place_of_the_word() -> None:
    def caption(text: str, *others: str) -> Caption:
        words = tuple(Word(one, -1.0) for one in text.split())
        return Caption(text, -1.0, -1.0, words, alternatives=tuple(map(caption, others)))

    found = alternatives(
        caption("a dog runs in water", "a puppy runs in water", "a black dog runs", "a puppy runs")
    )
    assert found == [[], [("puppy", 2)], [], [], []]
