"""Subwords: our byte-pair encoding against a plain one and against the library's."""

from __future__ import annotations

import gzip
import pickle
import sys
from collections import Counter
from collections.abc import Callable
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from negah import load
from negah.errors import DataError, MissingExtraError, UsageError
from negah.text import (
    SPECIALS,
    UNK,
    SubwordTokenizer,
    coverage,
    detokenize,
    load_tokenizer,
    tokenizer_class,
    tokenizer_from_dict,
    words,
)
from negah.text.subwords import START
from negah.training.recipe import TextOptions
from tiny_bundle import make_tiny_bundle

pytestmark = pytest.mark.usefixtures("one_export")

CAPTIONS = [
    "A dog runs across the wet grass .",
    "Two dogs are running in the grass",
    "a man's dog is running",
    "The boys run and the girls walk",
    "a girl walks her dogs across a street",
]


def learn(captions: list[str], size: int) -> SubwordTokenizer:
    """Byte-pair encoding as it is told in the paper, slowly; ties as the library breaks them."""
    counts = Counter(START + word for caption in captions for word in words(caption))
    spelled = {word: list(word) for word in counts}
    tokens = [*SPECIALS, *sorted({character for word in counts for character in word})]
    merges: list[tuple[str, str]] = []
    while len(tokens) < size:
        pairs: Counter[tuple[str, str]] = Counter()
        for word, pieces in spelled.items():
            for pair in pairwise(pieces):
                pairs[pair] += counts[word]
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], tokens.index(p[0]), tokens.index(p[1])))
        merges.append(best)
        if "".join(best) not in tokens:
            tokens.append("".join(best))
        spelled = {word: merged(pieces, best) for word, pieces in spelled.items()}
    return SubwordTokenizer(tokens, merges)


def merged(pieces: list[str], pair: tuple[str, str]) -> list[str]:
    """``pieces`` with every occurrence of ``pair`` joined, from left to right."""
    found: list[str] = []
    for piece in pieces:
        # a piece that was itself just joined is no left neighbour any more
        if found and (found[-1], piece) == pair:
            found[-1] += piece
        else:
            found.append(piece)
    return found


TOKENIZER = learn(CAPTIONS, 80)
#: Words of the captions, parts of them, and what never stood there.
TEXT = st.lists(
    st.sampled_from([*" ".join(CAPTIONS).split(), "dogrun", "aaaa", "Zoë", "walkers'", "(sits)"])
    | st.text(max_size=8)
).map(" ".join)


def test_a_word_is_cut_as_the_merges_say() -> None:
    tokens = [*SPECIALS, START, *"abc", "ab", START + "ab", "bc"]
    tokenizer = SubwordTokenizer(tokens, [("b", "c"), ("a", "b"), (START, "ab")])
    assert tokenizer.split("abc ab abab") == [
        *(START, "a", "bc"),
        *(START + "ab",),
        *(START + "ab", "ab"),
    ]
    assert tokenizer.split("ABC") == tokenizer.split("abc")


def test_frequent_words_are_one_token_and_rare_ones_several() -> None:
    assert TOKENIZER.split("the dog") == [START + "the", START + "dog"]
    assert len(TOKENIZER.split("street")) > 1
    assert len(TOKENIZER.encode("A girl's dog walks")) < len("a girl's dog walks")


@given(TEXT)
def test_cutting_is_merging_in_order(text: str) -> None:
    expected = []
    for word in words(text):
        pieces = [START, *word.replace(START, "_")]
        for pair in TOKENIZER.merges:
            pieces = merged(pieces, pair)
        expected += pieces
    assert TOKENIZER.split(text) == expected


@given(TEXT)
def test_text_comes_back_as_words_print_it(text: str) -> None:
    ids = TOKENIZER.encode(text)
    if UNK not in ids:
        assert TOKENIZER.decode(ids) == detokenize(words(text))
    assert all(0 <= index < len(TOKENIZER) for index in ids)


def test_only_unknown_characters_are_unknown() -> None:
    ids = TOKENIZER.encode("dogé")
    assert ids.count(UNK) == 1
    assert TOKENIZER.decode(ids) == "dog<UNK>"
    assert UNK not in TOKENIZER.encode("strand")  # no word of the captions
    assert coverage(TOKENIZER, CAPTIONS) == 1
    assert START not in TOKENIZER.decode(TOKENIZER.encode(f"dog{START}s"))


def test_a_long_word_takes_no_long_time_and_no_memory() -> None:
    """Joined as a whole, its time would grow with the square of its length."""
    tokenizer = learn(CAPTIONS, 80)
    before = pickle.dumps(tokenizer)
    pieces = tokenizer.split("grass" * 2_000)
    assert "".join(pieces) == START + "grass" * 2_000
    assert max(map(len, pieces)) > 1
    assert pickle.dumps(tokenizer) == before, "it keeps nothing of it"


def test_stored_and_read_again(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    TOKENIZER.save(path)
    for again in (load_tokenizer(path), SubwordTokenizer.load(path)):
        assert again == TOKENIZER
        assert hash(again) == hash(TOKENIZER)
        assert again.encode(CAPTIONS[3]) == TOKENIZER.encode(CAPTIONS[3])
    assert tokenizer_class("subword") is SubwordTokenizer
    assert SubwordTokenizer(TOKENIZER.tokens) != TOKENIZER  # the merges belong to it


def _change(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda stored: {**stored, **changes}


def _without(name: str) -> Callable[[dict[str, Any]], Any]:
    return lambda stored: {key: value for key, value in stored.items() if key != name}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_without("merges"), "kind, merges, tokens"),
        (_without("tokens"), "kind, merges, tokens"),
        (_change(extra=1), "kind, merges, tokens"),
        (_change(kind="word"), "keys"),
        (_change(merges=None), "a list"),
        (_change(merges="ab"), "a list"),
        (_change(merges={"a": "b"}), "a list"),
        (_change(merges=["ab"]), "not a pair"),
        (_change(merges=[["a", "b", "c"]]), "not a pair"),
        (_change(merges=[["a", 1]]), "not a pair"),
        (_change(merges=[["a", None]]), "not a pair"),
        (_change(merges=[["a", "zzz"]]), "not in the vocabulary"),
        (_change(merges=[["q", "q"]]), "not in the vocabulary"),
        (_change(merges=[["<PAD>", "a"]]), "not in the vocabulary"),
        (_change(merges=[["", "a"]]), "not in the vocabulary"),
        (_change(merges=[["d", "o"], ["d", "o"]]), "twice"),
        (_change(merges=[["a", "b"]] * 1_000_001), "at most 1,000,000"),
        (_change(tokens=[*SPECIALS, "two words"], merges=[]), "no space"),
        (_change(tokens=[*SPECIALS, f"a{START}"], merges=[]), "no space"),
        (_change(tokens=[*SPECIALS, "a", "a"], merges=[]), "twice"),
        (_change(tokens=[*SPECIALS, "\x1b[31m"], merges=[]), "plain text"),
        (_change(tokens=["a"], merges=[]), "first tokens"),
    ],
)
def test_hostile_tokenizers_are_refused(
    change: Callable[[dict[str, Any]], Any], message: str
) -> None:
    stored = {**learn(["do ab"], 20).to_dict()}
    with pytest.raises(DataError, match=message):
        tokenizer_from_dict(change(stored))


def test_another_kind_is_refused_by_name() -> None:
    with pytest.raises(DataError, match="of kind 'word', not 'subword'"):
        SubwordTokenizer.from_dict({"kind": "word", "tokens": list(SPECIALS)})
    with pytest.raises(DataError, match="an object"):
        SubwordTokenizer.from_dict([])  # type: ignore[arg-type]


def test_options_of_a_recipe() -> None:
    options = TextOptions(tokenizer="subword")
    assert options.max_tokens == 40
    assert TextOptions(tokenizer="subword", max_tokens=9).max_tokens == 9
    with pytest.raises(UsageError, match="vocabulary_size needs tokenizer: subword"):
        TextOptions.parse({"vocabulary_size": 50}, where="text")
    with pytest.raises(UsageError, match="need tokenizer: word"):
        TextOptions.parse({"tokenizer": "subword", "stem": True}, where="text")
    with pytest.raises(UsageError, match="tokenizer"):
        TextOptions.parse({"tokenizer": ["subword"]}, where="text")


def test_without_the_library_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    with pytest.raises(MissingExtraError, match=r"negah\[train\]"):
        SubwordTokenizer.build(CAPTIONS, min_count=1)


def test_build_refuses_what_makes_no_vocabulary() -> None:
    with pytest.raises(DataError, match="lower min_count"):
        SubwordTokenizer.build(CAPTIONS, min_count=500)
    with pytest.raises(UsageError, match="min_count"):
        SubwordTokenizer.build(CAPTIONS, min_count=0)
    with pytest.raises(UsageError, match=r"vocabulary_size is 10, but .* give \d+ or more"):
        SubwordTokenizer.build(CAPTIONS, vocabulary_size=10, min_count=1)


def test_a_bundle_captions_without_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle = make_tiny_bundle(tmp_path / "bundle", kind="show-tell", tokenizer=TOKENIZER)
    Image.new("RGB", (80, 60), "teal").save(tmp_path / "photo.png")
    monkeypatch.setitem(sys.modules, "tokenizers", None)
    caption = load(bundle).caption(tmp_path / "photo.png")
    pieces = [word.text for word in caption.words]
    assert pieces
    assert caption.text == TOKENIZER.join(pieces)
    assert START not in caption.text


class TestAgainstTheLibrary:
    """With ``tokenizers``, of which we use nothing but the learning."""

    @pytest.fixture(autouse=True)
    def _needs_it(self) -> None:
        pytest.importorskip("tokenizers", reason="learning subwords needs the train extra")

    def test_it_learns_what_the_paper_says(self) -> None:
        for size in (40, 60, 80):
            built = SubwordTokenizer.build(CAPTIONS, vocabulary_size=size, min_count=1)
            assert built.tokens == learn(CAPTIONS, size).tokens
            assert built.merges == learn(CAPTIONS, size).merges

    def test_the_order_of_captions_does_not_matter(self) -> None:
        there, back = (
            SubwordTokenizer.build(iter(some), vocabulary_size=70, min_count=1)
            for some in (CAPTIONS, CAPTIONS[::-1])
        )
        assert there == back

    def test_rare_characters_are_unknown(self) -> None:
        tokenizer = SubwordTokenizer.build([*CAPTIONS, "Zoë"] * 2, min_count=3)
        assert "ë" not in tokenizer
        assert "o" in tokenizer
        assert UNK in tokenizer.encode("Zoë")

    def test_a_recipe_builds_one(self) -> None:
        options = TextOptions(tokenizer="subword", vocabulary_size=50, min_count=1)
        assert len(options.build(CAPTIONS)) == 50

    @given(TEXT)
    def test_the_same_ids_for_any_text(self, text: str) -> None:
        assert TOKENIZER.encode(text) == _encode(_library(TOKENIZER), text)

    @pytest.mark.data
    def test_the_same_ids_for_real_captions(self, data_root: Path) -> None:
        path = data_root / "text" / "flickr30k_captions.tsv.gz"
        with gzip.open(path, "rt", encoding="utf-8") as lines:
            captions = [line.rstrip("\n").partition("\t")[2] for line in islice(lines, 6000)]
        tokenizer = SubwordTokenizer.build(captions[:3000])
        assert len(tokenizer) == 1000
        library = _library(tokenizer)
        for caption in captions:
            assert tokenizer.encode(caption) == _encode(library, caption)


def _library(tokenizer: SubwordTokenizer) -> Any:
    import tokenizers

    ids = {token: index for index, token in enumerate(tokenizer.tokens)}
    model: Any = tokenizers.models.BPE(
        vocab=ids, merges=list(tokenizer.merges), unk_token="<UNK>", fuse_unk=False
    )
    return tokenizers.Tokenizer(model)


def _encode(library: Any, text: str) -> list[int]:
    """Word for word: what parts a text into words is ours."""
    return [
        index
        for word in words(text)
        for index in library.encode(START + word.replace(START, "_")).ids
    ]
