"""Captions that are read from the right: on pictures, pages, in subtitles, tables and metadata."""

from __future__ import annotations

import csv
import io
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont, features

from common import REPOSITORY
from negah.captions import Caption, Word
from negah.cli.main import run
from negah.cli.writers import OutputFormat, OutputLayout, RowBuffer, make_writer
from negah.errors import UsageError
from negah.evidence import draw_clip_evidence, draw_evidence
from negah.evidence.letters import Letters, letters, load_font
from negah.evidence.moving import moving_pictures
from negah.evidence.page import page_of
from negah.evidence.shaping import drawn_from_left, joined
from negah.metadata import Existing, Naming, Packet, Written, sidecar_of, write_sidecar
from negah.text import alt_text
from tiny_clips import make_clip

MARK = "\u200f"
SENTENCE = "سگ‌ها روی چمن می‌دوند"


# Forms by the Unicode Standard's chart of Arabic Presentation Forms: alone, final, initial, medial.
@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("ب", "\ufe8f"),
        ("بب", "\ufe91\ufe90"),
        ("ببب", "\ufe91\ufe92\ufe90"),
        ("دب", "\ufea9\ufe8f"),  # dal joins the letter before it alone
        ("گچ", "\ufb94\ufb7b"),
        ("پژ", "\ufb58\ufb8b"),
        ("می‌کند", "\ufee3\ufbfd\ufb90\ufee8\ufeaa"),  # the half-space parts, and is not drawn
        ("سلام", "\ufeb3\ufefc\ufee1"),  # lam and alef are one
        ("لا", "\ufefb"),
        ("خانهٔ", "\ufea7\ufe8e\ufee7\ufeea"),
        ("آب", "\ufe81\ufe8f"),
        ("a 1", "a 1"),
        ("", ""),
    ],
)
def test_letters_are_joined_as_their_neighbours_ask(text: str, shown: str) -> None:
    assert joined(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("دو ۱۲ دو", "\ufeed\ufea9 ۱۲ \ufeed\ufea9"),
        ("دو ۱۲٫۵", "۱۲٫۵ \ufeed\ufea9"),
        ("دو two words دو", "\ufeed\ufea9 two words \ufeed\ufea9"),
        ("(دو)", "(\ufeed\ufea9)"),
        ("دو.", ".\ufeed\ufea9"),
    ],
)
def test_a_line_from_the_right_is_put_in_drawing_order(text: str, shown: str) -> None:
    assert drawn_from_left(text) == shown


def _drawn(drawer: Letters, text: str) -> np.ndarray:
    page = Image.new("L", (400, 70), 0)
    wide = round(drawer.width(text))
    drawer.draw(ImageDraw.Draw(page), (4, 8), text, 255)  # type: ignore[arg-type]
    return np.asarray(page.crop((0, 0, wide + 8, 70)).resize((160, 40)), np.float64).ravel()


@pytest.mark.skipif(not features.check("raqm"), reason="libraqm and FriBiDi are not installed")
def test_own_shapes_are_those_of_the_shaper() -> None:
    shaper = letters(40, "fa")
    assert shaper.shaped
    own = Letters(load_font(40, ImageFont.Layout.BASIC), rtl=True, shaped=False)
    words = ["نشسته‌است", "می‌کنند", "پیراهن", "کلاه", "گربه‌ها", "۲ ژاکت", "چشم‌های"]
    drawn = [(_drawn(shaper, word), _drawn(own, word)) for word in words]
    alike = np.corrcoef([a for a, _ in drawn], [b for _, b in drawn])[: len(words), len(words) :]
    assert alike.argmax(1).tolist() == list(range(len(words)))
    assert alike.diagonal().min() > 0.8
    assert abs(shaper.width(SENTENCE) / own.width(SENTENCE) - 1) < 0.05


def test_english_letters_stay_what_they_were() -> None:
    english, default = letters(20), ImageFont.load_default(20)
    assert not english.rtl
    assert english.font.getname() == default.getname()
    assert english.width("a dog") == default.getlength("a dog")


def caption(frames: int = 1, language: str = "fa", text: str = SENTENCE) -> Caption:
    """Each word comes from the cell in the upper left of its frame."""
    words = []
    for number, word in enumerate(text.split()):
        weights = np.zeros((frames, 4, 4), np.float32)
        weights[number % frames, 0, 0] = 1
        shares = weights.sum((1, 2))
        words.append(Word(word, -1.0, seen=0.25, regions=weights, frames=shares, map=3 * weights))
    times = tuple(float(number) for number in range(frames))
    return Caption(text, -1.0, -3.0, tuple(words), times, language=language)


PHOTO = Image.new("RGB", (160, 160), (90, 160, 220))


def _colourful(picture: Image.Image) -> np.ndarray:
    """By column, how far the picture is from grey."""
    pixels = np.asarray(picture.convert("RGB"), np.float64)
    return np.ptp(pixels, axis=2).mean(0)


@pytest.mark.parametrize("shaped", [True, False])
def test_tiles_stand_from_the_right(shaped: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    check = features.check
    monkeypatch.setattr(features, "check", lambda name: shaped and check(name))
    persian = draw_evidence(PHOTO, caption(), tile=160)
    english = draw_evidence(PHOTO, caption(language="en", text="dogs run over grass"), tile=160)
    # the photo itself, all blue, is the first tile
    assert _colourful(english)[:170].mean() > 3 * _colourful(english)[-170:].mean()
    assert _colourful(persian)[-170:].mean() > 3 * _colourful(persian)[:170].mean()
    strip = draw_clip_evidence([PHOTO] * 3, caption(3))
    ink = np.asarray(strip.convert("L"))[80:, :]
    assert (ink[:, -150:] < 60).any(), "the words stand at the right"
    assert not (ink[:, :20] < 60).any()
    shown, _ = moving_pictures([PHOTO], caption())
    below = [np.asarray(picture.convert("L"))[-40:] for picture in shown[1:]]
    darkest = [int((page < 60).any(0).nonzero()[0].mean()) for page in below]
    assert darkest == sorted(darkest, reverse=True), "one word after the other, from the right"


def test_a_page_says_the_language_and_its_direction() -> None:
    page = page_of([PHOTO], caption(), method="occlusion", name="a.jpg", model="tiny")
    assert '<h1 lang="fa" dir="rtl">' in page
    assert '<th scope="row" lang="fa" dir="rtl">سگ‌ها</th>' in page
    assert '<html lang="fa" dir="rtl">' in page
    assert "همهٔ واژه‌ها و عددهایشان" in page
    assert "تصویر با احتمال ۲۵٪ این واژه را تأیید می‌کند." in page
    assert "بیش از همه از این بخش می‌آید: بالا، سمت چپ. بدون آن، بخت واژه به ۵٪ مقدار پیشین" in page
    text = re.sub(r"<style>.*?</style>|<script.*?</script>|<[^>]*>", "", page, flags=re.DOTALL)
    assert set(re.findall("[A-Za-z.]+[a-z]", text)) == {
        *("Tab", "Enter", "Escape", "a.jpg", "tiny", "occlusion")
    }
    other = page_of([PHOTO], caption(language="en"), method="occlusion", name="a.jpg", model="tiny")
    assert '<h1 dir="auto">' in other
    assert 'dir="rtl"' not in other


def written(form: OutputFormat, one: Caption, span: tuple[float, float] | None = None) -> str:
    rows = RowBuffer()
    writer = make_writer(
        rows, OutputLayout(form, model="tiny", language=one.language, bom=form is OutputFormat.CSV)
    )
    writer.write(Path("a.mp4"), one, span)
    writer.finish()
    return rows.text


def test_subtitles_hold_their_direction_in_any_player() -> None:
    assert f"\n{MARK}{SENTENCE}{MARK}\n" in written(OutputFormat.SRT, caption(), (0, 1))
    assert f"\n{MARK}{SENTENCE}{MARK}\n" in written(OutputFormat.VTT, caption(), (0, 1))
    assert MARK not in written(OutputFormat.SRT, caption(language="en"), (0, 1))


def test_the_review_page_and_the_table() -> None:
    page = written(OutputFormat.HTML, caption())
    assert '<textarea rows="3" lang="fa" dir="rtl"' in page
    assert '<html lang="fa" dir="rtl">' in page
    assert "<h1>بازبینی شرح‌ها</h1>" in page
    assert 'data-language="fa"' in page
    english = written(OutputFormat.HTML, caption(language="en"))
    assert "<h1>Captions to review</h1>" in english
    assert "{{" not in page + english
    table = written(OutputFormat.CSV, caption())
    assert table.startswith("\ufeffpath,")
    assert next(csv.DictReader(io.StringIO(table[1:])))["caption"] == SENTENCE
    row = json.loads(written(OutputFormat.JSONL, caption()))
    assert row["language"] == "fa"
    assert "language" not in json.loads(written(OutputFormat.JSONL, caption(language="en")))


def test_metadata_names_the_language(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    PHOTO.save(photo)
    english = Written("A dog", "A dog.", "negah-photo", "Negah 0.1.0", "2026-01-02T03:04:05Z")
    persian = Written(SENTENCE, f"{SENTENCE}.", "fa", "Negah", "2026-01-02T03:04:05Z", "fa")
    later = Written("گربه", "گربه.", "fa", "Negah", "2026-01-02T03:04:05Z", "fa")
    for new, languages in (
        (english, ["x-default"]),
        (persian, ["x-default", "fa"]),
        (later, ["x-default", "fa"]),
    ):
        assert write_sidecar(photo, new, Existing.REPLACE, Naming.FULL)
        content = sidecar_of(photo, Naming.FULL).read_bytes()
        assert Packet(content).description == new.description
        text = re.search(rb"<dc:description>.*?</dc:description>", content)
        assert text is not None
        found = re.findall(r'xml:lang="([^"]+)">([^<]*)<', text[0].decode())
        assert found == [(language, new.description) for language in languages]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (SENTENCE, f"{SENTENCE}."),
        ("سگ کجاست؟ سگ می‌دود", "سگ کجاست؟ سگ می‌دود."),
        ("سگ " * 60, None),
        ("", None),
    ],
)
def test_alternative_text_in_persian(text: str, found: str | None) -> None:
    assert alt_text(text, language="fa") == found


@pytest.fixture
def captioned(
    tiny_bundle: Path, tiny_persian: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A photo, in an installation that holds a model of each language."""
    models = {"negah-photo": tiny_bundle, "negah-photo-fa": tiny_persian}
    monkeypatch.setattr("negah.runtime.models.bundled_models", lambda: models)
    path = tmp_path / "a.jpg"
    PHOTO.rotate(30).save(path)
    return path


def is_persian(text: str) -> bool:
    return re.search("[\u0600-\u06ff]", text) is not None


def test_the_language_chooses_the_model(
    captioned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    import negah

    photo = str(captioned)
    assert run(["caption", photo, "--language", "fa"]) == 0
    said = capsys.readouterr().out
    assert is_persian(said)
    assert negah.load(language="fa").caption(photo).text == said.strip()
    assert not is_persian(negah.load().caption(photo).text)
    assert negah.load("negah-photo-fa").caption(photo).language == "fa"
    picture, page = captioned.with_suffix(".png"), captioned.with_suffix(".html")
    assert run(["caption", photo, "--language", "fa", "--picture", str(picture)]) == 0
    assert picture.is_file()
    assert run(["explain", photo, "--language", "fa", "-o", str(page)]) == 0
    assert 'dir="rtl"' in page.read_text(encoding="utf-8")
    writing = ["caption", photo, "--language", "fa", "--write-metadata", "sidecar"]
    assert run(writing) == 0
    packet = Packet(sidecar_of(captioned, Naming.FULL).read_bytes())
    assert (packet.description, packet.model) == (said.strip(), "negah-photo-fa")


def test_languages_that_are_not_there(captioned: Path) -> None:
    import negah

    with pytest.raises(UsageError, match=r"captions in 'eo'.*en .English.: negah-photo; fa .Pers"):
        negah.load(language="eo")
    with pytest.raises(UsageError, match="Did you mean 'fa'"):
        negah.load(language="persian")
    with pytest.raises(UsageError, match=r"captions in en .* asked for is fa .Persian.: leave out"):
        negah.load("negah-photo", language="fa")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--language", "fa", "--mark"], "--mark supports English only"),
        (["--language", "fa", "--neutral-people"], "--neutral-people supports English only"),
        (["--bom"], "--bom begins CSV, not text"),
        (["--language", "eo"], "no model in this installation captions in 'eo'"),
    ],
)
def test_what_is_refused(
    options: list[str], reason: str, captioned: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["caption", str(captioned), *options]) == 2
    assert reason in capsys.readouterr().err


PAGE = (REPOSITORY / "docs" / "start.fa.md").read_text(encoding="utf-8")
COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL)
    for line in block.splitlines()
    if line.startswith(("negah caption", "negah explain", "negah data"))
]


def test_the_persian_start_page(
    captioned: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(captioned.parent)
    (captioned.parent / "holiday").mkdir()
    for number, name in enumerate(("photo.jpg", "holiday/a.jpg", "0.jpg", "1.jpg")):
        PHOTO.rotate(10 * number).save(captioned.parent / name)
    make_clip([np.asarray(PHOTO)] * 12, path=captioned.parent / "clip.mp4")
    rows = ["image,caption,split", f"0.jpg,{SENTENCE},train", f"1.jpg,{SENTENCE},test"]
    (captioned.parent / "captions_fa.csv").write_text("\n".join(rows), encoding="utf-8")
    assert len(COMMANDS) == 6
    for command in COMMANDS:
        assert run(shlex.split(command)[1:]) == 0, capsys.readouterr().err
    for name in ("captions.csv", "photo.html", "evidence.png", "clip.srt"):
        assert (captioned.parent / name).is_file()
    for block in re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL):
        exec(compile(block, "start.fa.md", "exec"), {})
    assert " fa [" in capsys.readouterr().out


def test_what_the_persian_start_page_points_to_is_there() -> None:
    questions = (REPOSITORY / "docs" / "questions.fa.md").read_text(encoding="utf-8")
    targets = re.findall(r"\]\(([^):]+)\)", PAGE)
    assert targets
    for target in targets:
        file, _, place = target.partition("#")
        assert (REPOSITORY / "docs" / file).is_file(), target
        assert not place or f'<a id="{place}"></a>' in questions, target
