"""Several languages in one vocabulary: tags, tokens, one language of them, refusals."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from negah.cli.main import run
from negah.errors import UnknownNameError, UsageError
from negah.text import InLanguage, WordTokenizer, language_of, tokenizer_from_dict
from negah.text.languages import Mixed, refuse_several

TAGGED = re.compile(r"\s*<\w+>")
SAID = ["<fa> سگ ها می دوند", "<en> A dog runs.", "<fa> سگی می‌دود", "<en> two dogs run"]


@pytest.fixture(scope="module")
def tokenizer() -> WordTokenizer:
    return WordTokenizer.build(SAID, min_count=1, language="en+fa")


@example("«»")
@example("<fa> ،, ,,")
@given(
    st.text(max_size=30) | st.sampled_from(SAID) | st.text(max_size=30).map(lambda t: f"<fa> {t}")
)
def test_words_and_spelling_are_stable(text: str) -> None:
    mixed, english = language_of("en+fa"), language_of("en")
    words = mixed.tokens(text)
    if text in SAID or text.startswith("<fa> "):
        assert mixed.tokens(mixed.join(words)) == words
    elif not TAGGED.match(text):
        # as PTB, English counts some marks as a word that are none when read again: "«»"
        assert words == english.tokens(text)
        assert mixed.join(words) == english.join(words)
    assert mixed.normalise(mixed.normalise(text)) == mixed.normalise(text)


@pytest.mark.parametrize(
    ("text", "tokens", "counted"),
    [
        ("<fa> سگ ها می دوند", ["<fa>", "سگ\u200cها", "می\u200cدوند"], 2),
        (" <en> A dog.", ["<en>", "a", "dog"], 2),
        ("A dog.", ["a", "dog"], 2),
        ("<de> Hund", ["<de>", "hund"], 2),
        ("<fa>", ["<fa>"], 0),
    ],
)
def test_the_first_token_says_the_language(text: str, tokens: list[str], counted: int) -> None:
    mixed = language_of("en+fa")
    assert mixed.tokens(text) == tokens
    assert len(mixed.metric_tokens(text)) == counted


def test_what_both_have_in_common() -> None:
    mixed = language_of("en+fa")
    assert isinstance(mixed, Mixed)
    assert (mixed.code, mixed.signature, mixed.name) == (
        "en+fa", "ptb+fa-1", "English and Persian",
    )  # fmt: skip
    assert mixed.is_content_word("dog")
    assert mixed.is_content_word("سگ")
    assert not mixed.is_content_word("<fa>")
    assert language_of("en+fa") is mixed
    with pytest.raises(UsageError, match="stands twice"):
        language_of("fa+fa")
    with pytest.raises(UnknownNameError):
        language_of("en+xx")


def test_a_tokenizer_is_stored_and_read(tokenizer: WordTokenizer) -> None:
    assert {"<en>", "<fa>", "dog", "سگی"} <= set(tokenizer.tokens)
    again = tokenizer_from_dict(tokenizer.to_dict())
    assert again == tokenizer
    assert again.decode(again.encode(SAID[2])) == "<fa> سگی می‌دود"


def test_one_language_of_them(tokenizer: WordTokenizer) -> None:
    persian = InLanguage(tokenizer, "fa")
    start = tokenizer.tokens.index("<fa>")
    assert persian.specials.start == start
    assert {start, tokenizer.tokens.index("<en>")} <= set(persian.specials.never)
    assert persian.language.code == "fa"
    assert persian.decode(tokenizer.encode(SAID[0])[1:]) == "سگ‌ها می‌دوند"
    with pytest.raises(UsageError, match="not in 'de'"):
        InLanguage(tokenizer, "de")
    with pytest.raises(UsageError, match="begin with the tag"):
        InLanguage(WordTokenizer.build(["a dog"], min_count=1, language="en+fa"), "fa")


def test_a_search_reads_the_tag_first(tokenizer: WordTokenizer) -> None:
    torch = pytest.importorskip("torch", reason="training needs the train extra")
    from negah.decoding import DecodingOptions
    from negah.models import ShowTell, ShowTellOptions
    from negah.models.adapter import TorchStepModel, best_captions
    from negah.models.seeding import seeded

    with seeded(0):
        options = ShowTellOptions(embedding_size=8, hidden_size=8)
        captioner = ShowTell(options, 4, len(tokenizer)).eval()
        features_BFRC = torch.randn(3, 1, 1, 4)
    vocabulary = InLanguage(tokenizer, "fa")
    found = best_captions(
        captioner, [(features_BFRC, None)], vocabulary, DecodingOptions(beam=2, max_length=4)
    )
    tags = {tokenizer.tokens.index("<en>"), tokenizer.tokens.index("<fa>")}
    assert tags.isdisjoint(token for one in found for token in one.tokens)
    # the first word is that of a captioner that has read <SOS> <fa>
    model = TorchStepModel(captioner)
    state = model.start(features_BFRC)
    for token in (1, vocabulary.specials.start):
        step = model.step(state, np.full((3, 1), token))
        state = step.state
    first = DecodingOptions(method="greedy", max_length=1)
    (best, *_) = best_captions(captioner, [(features_BFRC, None)], vocabulary, first)
    never = [*vocabulary.specials.never, vocabulary.specials.end]
    logprobs_V = np.array(step.logprobs[0, 0])
    logprobs_V[never] = -np.inf
    assert best.tokens[0] == logprobs_V.argmax()


def test_captions_for_use_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    refuse_several("fa", "runs/fa")
    with pytest.raises(UsageError, match=r"runs/both learned English and Persian together"):
        refuse_several("en+fa", "runs/both")
    pytest.importorskip("torch", reason="training needs the train extra")
    data = tmp_path / "captions.csv"
    data.write_text("image,caption\na.jpg,<en> a dog\n")
    fresh = ("--set", "text.language=en+fa", "--output", str(tmp_path / "run"))
    assert run(["train", "show-tell", "--data", str(data), *fresh]) == 2
    assert "give --no-export" in capsys.readouterr().err
