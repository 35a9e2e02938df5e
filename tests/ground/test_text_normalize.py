"""The words of a sentence, against the COCO evaluation's tokenizer."""

from __future__ import annotations

import json
import time
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import REPOSITORY
from negah.text import detokenize, nfc, normalize, words

# Expected values are what PTBTokenizer of pycocoevalcap 1.2 (Stanford CoreNLP 3.4.1) gave.
CASES = [
    ("", ""),
    ("A dog jumps .", "a dog jumps"),
    ("A child in a pink dress , is climbing up .", "a child in a pink dress is climbing up"),
    (
        "A man's dog can't (really) do it: isn't it?",
        "a man 's dog ca n't -lrb- really -rrb- do it is n't it",
    ),
    ("cannot Gonna wanna gotta lemme gimme", "can not gon na wan na got ta lem me gim me"),
    (
        "I'll they've we'd you're I'm he'd I'LL DON'T",
        "i 'll they 've we 'd you 're i 'm he 'd i 'll do n't",
    ),
    ("it’s don’t “quoted” ‘single’ – — …", "it 's do n't quoted single"),
    ("The dogs' toys -- \"hello\" 'single' ``quoted''", "the dogs toys hello single quoted"),
    ("couldn't've should've", "could n't 've should 've"),
    (
        "'tis 'twas 'em 'til rock 'n' roll rock'n'roll",
        "'t is 't was 'em 'til rock 'n' roll rock 'n' roll",
    ),
    ("o'clock ma'am O'Neil l'avion y'all", "o'clock ma'am o'neil l'avion y' all"),
    (
        "1/2 and/or 3,000 $5 5% #1 10:30 10-year-old t-shirt 2nd",
        "1/2 and/or 3,000 $ 5 5 % # 1 10:30 10-year-old t-shirt 2nd",
    ),
    ("1990s '90s 50's mid-'80s 6'2\" number '93' on", "1990s '90s 50 's mid '80s 6 2 number 93 on"),
    (
        "$5.00 .5 +5 -5 5-6 1-1/2 7:30am 7:30 p.m. 12/25/2010",
        "$ 5.00 .5 +5 -5 5-6 1-1/2 7:30 am 7:30 p.m. 12/25/2010",
    ),
    (
        "Mr. Smith and Mrs. Jones on St. Mary's in the U.S. at 5 p.m. today. Yes.",
        "mr. smith and mrs. jones on st. mary 's in the u.s. at 5 p.m. today yes",
    ),
    ("Jan. in. etc. Ave. ft. lbs. no. No. 5 sat.", "jan. in etc. ave. ft. lbs no no. 5 sat"),
    ("George W. Bush. grade A. The end", "george w. bush grade a the end"),
    ("a car wash. in Wash. state", "a car wash in wash. state"),
    ("He said...wait, what? Well!? hmm...", "he said wait what well !? hmm"),
    (".. ... ,, ;; :: ---- - -- !", ""),
    ("end.next one;two three,four five--six", "end.next one two three four five six"),
    ("A&W AT&T rock & roll dog&cat &amp; &lt;", "a&w at&t rock & roll dog & cat & <"),
    (
        "<b>tag</b> www.foo.com foo@bar.com http://foo.bar/x?y=1",
        "<b> tag </b> www.foo.com foo@bar.com http://foo.bar/x?y=1",
    ),
    (
        "a * b = c ~ d ^ e _ f | g \\ h @ i + j { k } [ l ]",
        "a * b = c ~ d ^ e _ f | g \\ h @ i + j -lcb- k -rcb- -lsb- l -rsb-",
    ),
    ("naïve café ½ €5 £5 5¢ 5°C ™", "naïve café 1/2 $ 5 # 5 5 cents 5 ° c ™"),
    ("x_y #foo @foo c++ B-52 snow-boarder, -a a-", "x_y #foo @foo c++ b-52 snow-boarder a a"),
    ("-LRB- a -RRB-", "-lrb- a -rrb-"),
    ("سلام، دنیا؟", "سلام ، دنیا ؟"),
    ("你好世界。 हिन्दी में dog😀", "你好世界 。 हिन्दी में dog"),
]


@pytest.mark.parametrize(("text", "expected"), CASES)
def test_words(text: str, expected: str) -> None:
    assert words(text) == expected.split()


def test_a_zero_width_joiner_parts_words_as_the_evaluation_does() -> None:
    assert words("او می\u200cرود") == ["او", "می", "رود"]


# Generated captions with the words that the Java tokenizer gives (benchmarks/ptb_oracle.py).
FROZEN = REPOSITORY / "tests" / "oracles" / "ptb.jsonl"


def test_hard_cases_agree_with_the_frozen_oracle() -> None:
    rows = [json.loads(line) for line in FROZEN.read_text(encoding="utf-8").split("\n") if line]
    wrong = [caption for caption, expected in rows if words(caption) != expected.split()]
    assert len(rows) == 1500
    assert len(wrong) <= 6, wrong


PIECES = ["a", "dog", "man.", "A.", "no.", "5", "1/2", "(555)", "555-1234", "don't", "U.S.", "The"]
PIECES += [
    "<a",
    "b>",
    "etc.",
    "it.;",
    ":-)",
    "&amp;",
    "M",
    "&",
    "St.",
    "'90s",
    "...",
    "-",
    "cannot",
]


@given(st.lists(st.sampled_from(PIECES) | st.text(st.characters(max_codepoint=126), max_size=5)))
def test_the_short_cut_changes_nothing(pieces: list[str]) -> None:
    text = " ".join(pieces)
    assert words(text) == list(normalize.words_in_context(text))


@given(st.text())
def test_words_never_raise_and_are_plain_lowercase_words(text: str) -> None:
    for word in words(text):
        assert word.split() == [word]
        assert unicodedata.is_normalized("NFC", word)
        word.encode()


@given(st.text(alphabet=st.characters(categories=("Cs", "L", "M"))))
def test_nfc_can_always_be_written(text: str) -> None:
    nfc(text).encode()
    assert nfc(nfc(text)) == nfc(text)


@pytest.mark.parametrize(
    "piece",
    [
        "a-",
        "a.",
        "%",
        "a%",
        "<a",
        "-",
        "1",
        "1.",
        "'",
        "n't",
        "http://",
        "a_",
        "&amp",
        "_",
        "<a ",
        "<a b='",
        "a@",
        "a,",
        "(555",
        "<!-",
        "1.a.",
        "x/",
    ],
)
def test_hostile_repetition_takes_linear_time(piece: str) -> None:
    """Eight times the text takes about eight times the work; a square would be 64 times."""

    def seconds(pieces: int) -> float:
        before = time.process_time()
        words(piece * pieces)
        return time.process_time() - before

    words("a")  # compiles the rules
    # other work on the machine may triple a time, of three tries once: a square takes each time
    assert any(seconds(4_000) < 24 * max(seconds(500), 0.002) for _ in range(3))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("A man's dog isn't (very) big", "a man's dog isn't (very) big"),
        ("They're gonna say I'll go", "they're gonna say I'll go".lower()),
        ("It cannot pay $5 or 5% for #1", "it can not pay $5 or 5% for #1"),
        ("'tis y'all rock 'n' roll", "'tis y'all rock 'n' roll"),
        ("", ""),
    ],
)
def test_detokenize(text: str, expected: str) -> None:
    assert detokenize(words(text)) == expected


@pytest.mark.data
def test_words_survive_detokenizing(data_root: Path) -> None:
    captions = _captions(data_root)[::10]
    lost = [c for c in captions if words(detokenize(words(c))) != words(c)]
    assert len(lost) <= 1


def _captions(data_root: Path) -> list[str]:
    lines = (data_root / "flickr8k" / "Flickr8k.token.txt").read_text(encoding="utf-8")
    return [line.split("\t", 1)[1] for line in lines.splitlines()]
