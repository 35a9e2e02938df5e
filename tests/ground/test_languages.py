"""Languages behind one registry: metrics, refusals, those of other packages."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from decoding_models import TableModel
from negah.cli.main import run
from negah.decoding import DecodingOptions, decode
from negah.decoding.constraints import Constraints
from negah.decoding.protocol import Step
from negah.errors import DataError, UnknownNameError, UsageError
from negah.metrics import Accumulator, CaptionScorer, default_metrics, score
from negah.metrics.catalogue import load_metrics
from negah.metrics.settings import Settings
from negah.text import LANGUAGES, Language, WordTokenizer, language_of, tokenizer_from_dict, words
from negah.text.languages import english_only, spoken
from negah.text.stopwords import OPEN_WORDS, STOP_WORDS, is_visible
from other_packages import install

GERMAN = """
import re
from negah.text import Language


class German(Language):
    code = "de"
    name = "German"
    signature = "de-1"
    stop_words = frozenset("der die das ein eine auf im und ist".split())

    def tokens(self, text):
        return re.findall(r"[a-zäöüß]+", self.normalise(text).lower())

    def join(self, tokens):
        return " ".join(tokens)


GERMAN = German()
"""
REFERENCES = {
    "1": ["سگ ها در برف می دوند", "سگ‌ها میدوند"],
    "2": ["مردی روی نیمکت نشسته است", "مردی نشسته‌است"],
}
CAPTIONS = {"1": "سگها در برف می‌دوند.", "2": "مردی روي نيمكت نشسته است"}


def test_english_is_what_it_was() -> None:
    english = language_of("en")
    for text in ("A man's dog, a T-shirt: isn't it?", "“Two” (2) dogs"):
        assert english.tokens(text) == words(text)
    assert (english.signature, english.direction) == ("ptb", "ltr")
    assert (english.stop_words, english.open_words) == (STOP_WORDS, OPEN_WORDS)
    assert [english.is_visible(w) for w in ("dog", "front", "a")] == list(
        map(is_visible, ("dog", "front", "a"))
    )
    assert "language" not in WordTokenizer.build(["a dog"], min_count=1).to_dict()


def test_scores_do_not_depend_on_how_half_spaces_were_written() -> None:
    scores = score(CAPTIONS, REFERENCES, language="fa")
    assert set(scores.values) == {f"BLEU-{n}" for n in (1, 2, 3, 4)} | {"ROUGE-L", "CIDEr-D"}
    assert scores["BLEU-4"] == pytest.approx(100, abs=1e-3)
    assert "|tok:fa-1|" in scores.signatures["CIDEr-D"]
    as_english = score(CAPTIONS, REFERENCES, metrics=["BLEU-4"])
    assert as_english["BLEU-4"] < 60
    assert "|tok:ptb|" in as_english.signatures["BLEU-4"]
    assert (
        "|tok:none|"
        in score(
            CAPTIONS, REFERENCES, metrics=["BLEU-4"], language="fa", tokenised=True
        ).signatures["BLEU-4"]
    )


def test_parts_know_their_language() -> None:
    part = Accumulator(language="fa", metrics=["CIDEr-D"])
    part.add(CAPTIONS, REFERENCES)
    again = Accumulator.from_state_dict(json.loads(json.dumps(part.state_dict())))
    assert again.scores()["CIDEr-D"] == score(CAPTIONS, REFERENCES, language="fa")["CIDEr-D"]
    with pytest.raises(DataError, match="accumulators with different settings"):
        part.merge(Accumulator(metrics=["CIDEr-D"]))


@pytest.mark.parametrize("metric", ["METEOR", "CIDEr", "CHAIR-i"])
def test_metrics_made_for_english_say_so(metric: str) -> None:
    name = metric.partition("-")[0]
    with pytest.raises(UsageError, match=rf"{name} is for English only, since .*Persian"):
        CaptionScorer(REFERENCES, metrics=[metric], language="fa", objects={})
    assert metric not in default_metrics(Settings(language="fa"))
    with pytest.raises(UsageError, match="for English only"):
        load_metrics([metric], language="fa")


def test_content_words_are_those_of_the_language() -> None:
    captions = ["سگ در حال دویدن", "سگ‌ها می‌دوند", "سگ می‌دود و می‌پرد"]
    tokenizer = WordTokenizer.build(captions, min_count=1, language="fa")
    constraints = Constraints.from_options(DecodingOptions(no_repeat_content=True), tokenizer)
    assert spoken(tokenizer).code == "fa"
    assert spoken(object()).code == "en"
    ids = {token: i for i, token in enumerate(tokenizer.tokens)}
    words_BKT = np.array([[[ids["سگ"], ids["در"], ids["دویدن"]], [ids["می‌پرد"]] * 3]])
    logprobs_BKV = np.zeros((1, 2, len(ids)), np.float32)
    every = Step(logprobs_BKV, None, None)
    some = Step(logprobs_BKV, None, None, candidates=np.tile(np.arange(len(ids)), (1, 2, 1)))
    for step in (every, some):
        allowed_BKV = constraints.apply(step, words_BKT)
        never = {tokenizer.tokens[i] for i in constraints.banned}
        for row, out in enumerate(({"سگ", "دویدن", "می‌دود", "می‌دوند"}, {"می‌پرد"})):
            refused = {token for token, i in ids.items() if np.isneginf(allowed_BKV[0, row, i])}
            assert refused - never == out


@pytest.mark.parametrize(
    ("required", "refused"),
    [
        (("می‌دود",), {"دویدن", "می‌دوند"}),
        (("دویدن", "می‌دود"), {"می‌دوند"}),
        (("سگ",), set()),
    ],
)
def test_required_words_are_not_ruled_out_by_their_forms(
    required: tuple[str, ...], refused: set[str]
) -> None:
    tokenizer = WordTokenizer.build(["سگ دویدن می‌دود می‌دوند"] * 2, min_count=1, language="fa")
    model = TableModel.random(5, photos=2, vocabulary=len(tokenizer.tokens))
    options = DecodingOptions(
        beam=64, n_best=20, max_length=4, no_repeat_content=True, required=required
    )
    for hypotheses in decode(model, [0, 1], options, vocabulary=tokenizer):
        for one in hypotheses:
            said = [tokenizer.tokens[token] for token in one.tokens]
            assert all(said.count(word) == 1 for word in required)
            assert not refused & {*said}
    free = options.model_copy(update={"required": ()})
    verbs = {"دویدن", "می‌دود", "می‌دوند"}
    for hypotheses in decode(model, [0, 1], free, vocabulary=tokenizer):
        assert all(
            sum(tokenizer.tokens[token] in verbs for token in one.tokens) < 2 for one in hypotheses
        )
    repeating = free.model_copy(update={"no_repeat_content": False})
    assert any(
        sum(tokenizer.tokens[token] in verbs for token in one.tokens) > 1
        for hypotheses in decode(model, [0, 1], repeating, vocabulary=tokenizer)
        for one in hypotheses
    )


def test_lemmas_of_two_languages_in_one_vocabulary() -> None:
    both = language_of("en+fa")
    assert both.lemma("می‌دوند") == "دویدن"
    assert both.lemma("running") == "running"


def test_a_vocabulary_without_content_words_may_repeat_all() -> None:
    tokenizer = WordTokenizer.build(["on the", "the on"], min_count=1)
    options = DecodingOptions(no_repeat_content=True, max_length=3)
    model = TableModel.random(0, photos=1, vocabulary=len(tokenizer.tokens))
    assert decode(model, [0], options, vocabulary=tokenizer)


def test_an_unknown_language_lists_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match="en, fa"):
        language_of("xx")
    with pytest.raises(UnknownNameError, match="language"):
        Settings(language="xx")
    stored = WordTokenizer.build(["سگ"], min_count=1, language="fa").to_dict()
    with pytest.raises(DataError, match=r"language of this tokenizer is 'xx'.*negah\.languages"):
        tokenizer_from_dict({**stored, "language": "xx"})
    with pytest.raises(DataError, match="language"):
        tokenizer_from_dict({**stored, "language": 3})
    with pytest.raises(UsageError, match=r"is for English only, since it is.*fa\): stop"):
        english_only("fa", "this", "it is", "stop")


def test_a_package_brings_a_language(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, "negah-german", "[negah.languages]\nde = german:GERMAN\n", german=GERMAN)
    monkeypatch.syspath_prepend(tmp_path)
    assert "de" in LANGUAGES
    with LANGUAGES.temporary():
        german = language_of("de")
        assert isinstance(german, Language)
        scores = score(["Ein Hund."], [["ein HUND"]], metrics=["BLEU-1"], language="de")
        assert scores["BLEU-1"] == pytest.approx(100, abs=1e-3)
        assert "|tok:de-1|" in scores.signatures["BLEU-1"]
        tokenizer = WordTokenizer.build(["Ein Hund im Gras"], min_count=1, language="de")
        assert tokenizer_from_dict(tokenizer.to_dict()).language is german
        assert german.is_content_word("hund")
        assert not german.is_content_word("ein")
        assert german.stems(["hunde"]) == ("hunde",)
    sys.modules.pop("german", None)


def test_captions_are_scored_and_looked_at_by_the_command(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said, people = tmp_path / "said.csv", tmp_path / "people.csv"
    said.write_text(
        "image,caption\n" + "".join(f"{k},{v}\n" for k, v in CAPTIONS.items()), encoding="utf-8"
    )
    people.write_text(
        "image,caption\n" + "".join(f"{k},{v}\n" for k, row in REFERENCES.items() for v in row),
        encoding="utf-8",
    )
    assert run(["score", str(said), "--refs", str(people), "--language", "fa"]) == 0
    assert "tok:fa-1" in capsys.readouterr().out
    wrong = ["score", str(said), "--refs", str(people), "--language", "fa", "--metrics", "METEOR"]
    assert run(wrong) == 2
    assert "METEOR is for English only" in capsys.readouterr().err
    assert run(["score", str(said), "--refs", str(people), "--language", "xx"]) == 2
    assert "en, fa" in capsys.readouterr().err
