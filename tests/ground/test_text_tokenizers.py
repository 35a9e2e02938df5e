"""Vocabularies: building, encoding and decoding, storing, refusing."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negah.errors import DataError, UnknownNameError, UsageError
from negah.text import (
    EOS,
    PAD,
    SOS,
    SPECIALS,
    UNK,
    CharTokenizer,
    Tokenizer,
    WordTokenizer,
    coverage,
    load_tokenizer,
    nfc,
    tokenizer_class,
    tokenizer_from_dict,
)

CAPTIONS = ["A dog runs .", "A dog's ball .", "The dogs aren't running !", "a cat runs"]


def test_specials_come_first() -> None:
    assert (PAD, SOS, EOS, UNK) == (0, 1, 2, 3)
    assert WordTokenizer.build(CAPTIONS, min_count=1).tokens[:4] == SPECIALS


def test_order_is_count_then_alphabet() -> None:
    tokenizer = WordTokenizer.build(CAPTIONS, min_count=1)
    assert tokenizer.tokens[4:] == (
        *("a", "dog", "runs"),
        *("'s", "are", "ball", "cat", "dogs", "n't", "running", "the"),
    )


@given(st.permutations(CAPTIONS))
def test_order_of_captions_does_not_matter(captions: list[str]) -> None:
    assert WordTokenizer.build(captions, min_count=1) == WordTokenizer.build(
        iter(CAPTIONS), min_count=1
    )


def test_rare_words_are_unknown() -> None:
    tokenizer = WordTokenizer.build(CAPTIONS, min_count=2)
    assert tokenizer.tokens[4:] == ("a", "dog", "runs")
    assert tokenizer.encode("A dog sits.") == [4, 5, UNK]
    assert coverage(tokenizer, ["A dog sits", "a dog"]) == 4 / 5
    assert "dog" in tokenizer
    assert "<UNK>" not in tokenizer


def test_words_come_back_as_a_sentence() -> None:
    tokenizer = WordTokenizer.build(CAPTIONS, min_count=1)
    ids = tokenizer.encode("The dog's cat isn't running!")
    assert tokenizer.decode(ids) == "the dog's cat <UNK>n't running"
    assert tokenizer.decode([SOS, *tokenizer.encode("a dog"), EOS, *ids]) == "a dog"
    assert tokenizer.decode([PAD, PAD, EOS]) == ""


@given(st.lists(st.sampled_from([*" ".join(CAPTIONS).split(), ".", "cat's", "(sits)", "Zoë"])))
def test_words_make_the_round_trip(tokens: list[str]) -> None:
    tokenizer = WordTokenizer.build([*CAPTIONS, "Zoë (sits)"], min_count=1)
    ids = tokenizer.encode(" ".join(tokens))
    assert UNK not in ids
    assert tokenizer.encode(tokenizer.decode(ids)) == ids


@given(st.text(min_size=1))
def test_known_characters_come_back_exactly(text: str) -> None:
    tokenizer = CharTokenizer(
        [*SPECIALS, *sorted({c for c in nfc(text) if c >= " " and not "\x7f" <= c <= "\x9f"})]
    )
    plain = "".join(c for c in text if nfc(c) >= " " and not "\x7f" <= nfc(c) <= "\x9f")
    if UNK not in tokenizer.encode(plain):
        assert tokenizer.decode(tokenizer.encode(plain)) == nfc(plain)


@pytest.mark.parametrize(
    "text", ["Ein Bär läuft.", "سگ می‌دود", "犬が走る", "e\u0301te\u0301 🐕", "a\tb\nc"]
)
def test_characters_of_every_script(text: str, tmp_path: Path) -> None:
    tokenizer = CharTokenizer.build([text], min_count=1)
    tokenizer.save(tmp_path / "tokenizer.json")
    again = load_tokenizer(tmp_path / "tokenizer.json")
    assert again == tokenizer
    assert again.decode(again.encode(text)) == nfc(text)
    assert coverage(again, [text]) == 1


def test_normalised_characters_spell_what_words_print() -> None:
    tokenizer = CharTokenizer.build(CAPTIONS, min_count=1, normalize=True)
    assert tokenizer.decode(tokenizer.encode("A dog's ball .")) == "a dog's ball"
    assert "." not in tokenizer


def test_stems_and_stop_words() -> None:
    tokenizer = WordTokenizer.build(CAPTIONS, min_count=1, stem=True, remove_stop_words=True)
    assert tokenizer.split("The dogs are running, aren't they?") == ["dog", "run", "n't"]
    assert tokenizer.tokens[4:6] == ("dog", "run")
    # From the examples in Porter's paper.
    pairs = {"caresses": "caress", "ponies": "poni", "relational": "relat", "hopping": "hop"}
    assert tokenizer.split(" ".join(pairs)) == list(pairs.values())


@pytest.mark.parametrize(
    "tokenizer",
    [
        WordTokenizer.build(CAPTIONS, min_count=1),
        WordTokenizer.build(CAPTIONS, min_count=2, stem=True, remove_stop_words=True),
        CharTokenizer.build(CAPTIONS, min_count=1),
        CharTokenizer.build(CAPTIONS, min_count=1, normalize=True),
    ],
    ids=repr,
)
def test_stored_and_read_again(tokenizer: Tokenizer, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    tokenizer.save(path)
    for again in (load_tokenizer(path), type(tokenizer).load(path)):
        assert again == tokenizer
        assert hash(again) == hash(tokenizer)
        assert again.encode(CAPTIONS[1]) == tokenizer.encode(CAPTIONS[1])
    assert tokenizer_class(tokenizer.kind) is type(tokenizer)


def test_the_spelling_of_a_special_is_not_the_special() -> None:
    tokenizer = CharTokenizer.build(["<EOS>"], min_count=1)
    assert EOS not in tokenizer.encode("<EOS>")
    assert WordTokenizer.build(CAPTIONS, min_count=1).encode("<EOS> <PAD>") == [UNK, UNK]


@pytest.mark.parametrize("index", [-1, 15, 10**20])
def test_an_id_outside_is_refused(index: int) -> None:
    tokenizer = WordTokenizer.build(CAPTIONS, min_count=1)
    assert len(tokenizer) == 15
    with pytest.raises(DataError, match="0 to 14"):
        tokenizer.decode([index])


def test_build_refuses_what_makes_no_vocabulary() -> None:
    with pytest.raises(DataError, match="lower min_count"):
        WordTokenizer.build(CAPTIONS, min_count=50)
    with pytest.raises(DataError, match="lower min_count"):
        CharTokenizer.build([])
    with pytest.raises(UsageError, match="min_count"):
        WordTokenizer.build(CAPTIONS, min_count=0)
    with pytest.raises(UnknownNameError, match="char, subword, word"):
        tokenizer_class("words")
    with pytest.raises(DataError, match="no tokens"):
        coverage(WordTokenizer(SPECIALS), ["..."])


def test_build_leaves_control_characters_and_endless_words_out() -> None:
    assert CharTokenizer.build(["a\x1b[31m\x00"], min_count=1).tokens[4:] == (
        "1",
        "3",
        "[",
        "a",
        "m",
    )
    assert WordTokenizer.build(["a " + "b" * 1000], min_count=1).tokens[4:] == ("a",)


def _change(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda stored: {**stored, **changes}


HOSTILE: list[tuple[Callable[[dict[str, Any]], Any], str]] = [
    (lambda stored: [stored], "object"),
    (lambda stored: None, "object"),
    (_change(kind="pickle"), "unknown kind"),
    (_change(kind=["word"]), "unknown kind"),
    (_change(kind="char"), "keys"),
    (_change(extra=1), "keys"),
    (lambda stored: {"kind": "word"}, "keys"),
    (_change(stem=1), "true or false"),
    (_change(tokens="<PAD>"), "a list"),
    (_change(tokens={"<PAD>": 0}), "a list"),
    (_change(tokens=[]), "first tokens"),
    (_change(tokens=["<SOS>", "<PAD>", "<EOS>", "<UNK>"]), "first tokens"),
    (_change(tokens=[*SPECIALS, 5]), "not text"),
    (_change(tokens=[*SPECIALS, None]), "not text"),
    (_change(tokens=[*SPECIALS, ""]), "not text"),
    (_change(tokens=[*SPECIALS, "a" * 257]), "not text"),
    (_change(tokens=[*SPECIALS, "dog", "dog"]), "twice"),
    (_change(tokens=[*SPECIALS, "<EOS>"]), "twice"),
    (_change(tokens=[*SPECIALS, "\x1b[31m"]), "plain text"),
    (_change(tokens=[*SPECIALS, "\ud800"]), "plain text"),
    (_change(tokens=[*SPECIALS, "e\u0301"]), "plain text"),
    (_change(tokens=[*SPECIALS, "two words"]), "no space"),
    (_change(tokens=["<PAD>"] * 1_000_001), "at most 1,000,000"),
]


@pytest.mark.parametrize(("change", "message"), HOSTILE)
def test_hostile_tokenizers_are_refused(
    change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    stored = WordTokenizer.build(CAPTIONS, min_count=1).to_dict()
    with pytest.raises(DataError, match=message):
        tokenizer_from_dict(change(stored))


def test_a_char_tokenizer_holds_characters() -> None:
    with pytest.raises(DataError, match="one character"):
        CharTokenizer([*SPECIALS, "ab"])
    with pytest.raises(DataError, match="tokenizer_from_dict"):
        CharTokenizer.from_dict(WordTokenizer(SPECIALS).to_dict())


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"NaN", b'"word"'])
def test_files_that_are_no_tokenizer(content: bytes, tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(DataError):
        load_tokenizer(path)


def test_missing_and_oversized_files(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.json"):
        load_tokenizer(tmp_path / "gone.json")
    with pytest.raises(DataError, match="cannot be read"):
        load_tokenizer(tmp_path)
    path = tmp_path / "large.json"
    with path.open("wb") as file:
        file.truncate(65 * 2**20)
    with pytest.raises(DataError, match="64 MiB"):
        load_tokenizer(path)


def test_the_file_is_readable_json(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    WordTokenizer.build(["café"], min_count=1).save(path)
    assert "café" in path.read_text(encoding="utf-8")
    assert json.loads(path.read_text(encoding="utf-8"))["kind"] == "word"
