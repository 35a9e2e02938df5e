"""Persian text: one spelling of letters, half-spaces, digits and marks, and the words of it.

The rules are those of «دستور خط فارسی», Academy of Persian Language and Literature, 2nd edition
1394, revised 1401; each block of cases names what it is about. ``_`` stands for the half-space.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from negah.text import CharTokenizer, SubwordTokenizer, WordTokenizer, language_of

FA = language_of("fa")

#: (what was written, what is written).
SPELLINGS = {
    "letters of Arabic keyboards": [
        ("كتاب", "کتاب"),
        ("مي دود", "می_دود"),
        ("علىٰ", "علی"),
        ("مدرسة", "مدرسه"),
        ("خانۀ بزرگ", "خانهٔ بزرگ"),
        ("ﺳﮓ ﺳﯿﺎﻩ", "سگ سیاه"),
        ("ہمہ", "همه"),
        ("پائیز", "پاییز"),
        ("رئیس", "رئیس"),
        ("مسئول", "مسئول"),
    ],
    "marks, kashida, what is not seen": [
        ("مَردی", "مردی"),
        ("تقریباً", "تقریبا"),
        ("مـــرد", "مرد"),
        ("\u202bسگ\u202c", "سگ"),
        ("مرد\ufeff", "مرد"),
        ("نجّار", "نجار"),
    ],
    "digits": [
        ("2 سگ", "۲ سگ"),
        ("٣ نفر", "۳ نفر"),
        ("شماره 45", "شماره ۴۵"),
        ("2.5 متر", "۲٫۵ متر"),
    ],
    "می and نمی": [
        ("می کند", "می_کند"),
        ("میکند", "می_کند"),
        ("می_کند", "می_کند"),
        ("نمی رود", "نمی_رود"),
        ("نمیرود", "نمی_رود"),
        ("می\u00acدود", "می_دود"),
        ("می\u200bدود", "می_دود"),
        ("می__دود", "می_دود"),
        ("میدوند", "می_دوند"),
        ("میز", "میز"),
        ("میدان", "میدان"),
        ("میدانی بزرگ", "میدانی بزرگ"),
        ("میان", "میان"),
        ("میله", "میله"),
        ("میمون", "میمون"),
        ("میکروفون", "میکروفون"),
    ],
    "verbs with a preverb": [
        ("بر می گردد", "برمی_گردد"),
        ("برمی گردد", "برمی_گردد"),
        ("بر می دارد", "برمی_دارد"),
        ("در می آورد", "درمی_آورد"),
        ("باز می گردد", "بازمی_گردد"),
        ("باز می کند", "باز می_کند"),
        ("در می زند", "در می_زند"),
    ],
    "endings of verbs": [
        ("ایستاده اند", "ایستاده_اند"),
        ("ایستادهاند", "ایستاده_اند"),
        ("ایستاده است", "ایستاده است"),
        ("ایستاده_است", "ایستاده است"),
        ("خوشحال اند", "خوشحال_اند"),
        ("رفته ام", "رفته_ام"),
        ("خواند", "خواند"),
    ],
    "plurals": [
        ("سگ ها", "سگ_ها"),
        ("سگها", "سگ_ها"),
        ("سگ های سیاه", "سگ_های سیاه"),
        ("کتابهایی", "کتاب_هایی"),
        ("دست هایش", "دست_هایش"),
        ("دستهایشان", "دست_هایشان"),
        ("دست های شان", "دست_هایشان"),
        ("آنها", "آن_ها"),
        ("بچه ها", "بچه_ها"),
        ("پسر ها", "پسرها"),
        ("پسر_ها", "پسرها"),
        ("موهای", "موهای"),
        ("تنها", "تنها"),
        ("انتهای", "انتهای"),
        ("اژدها", "اژدها"),
    ],
    "comparatives": [
        ("بزرگ تر", "بزرگ_تر"),
        ("بزرگتر", "بزرگ_تر"),
        ("کوچکترین", "کوچک_ترین"),
        ("دور تر", "دورتر"),
        ("دختر", "دختر"),
        ("چتر", "چتر"),
        ("بیشتر", "بیشتر"),
    ],
    "behind a silent ه": [
        ("خانه ای", "خانه_ای"),
        ("قهوه ای", "قهوه_ای"),
        ("خانه ی بزرگ", "خانهٔ بزرگ"),
        ("خانه_ی بزرگ", "خانهٔ بزرگ"),
        ("دوچرخه اش", "دوچرخه_اش"),
        ("صندلی ای", "صندلی_ای"),
        ("پدر اش", "پدرش"),
    ],
    "compounds": [
        ("دوچرخه سوار", "دوچرخه_سوار"),
        ("موتور سواری", "موتورسواری"),
        ("مردی بر اسب سوار است", "مردی بر اسب سوار است"),
        ("تی شرت", "تی_شرت"),
        ("اسباب بازی ها", "اسباب_بازی_ها"),
        ("پیاده رو", "پیاده_رو"),
        ("درحالیکه", "در حالی که"),
        ("به_نظر", "به نظر"),
    ],
    "punctuation": [
        ("سلام, دنیا", "سلام، دنیا"),
        ("کجا?", "کجا؟"),
        ('گفت "سلام"', "گفت «سلام»"),
        ("سگ ، گربه", "سگ ، گربه"),
        ("T-shirt", "T-shirt"),
    ],
}
CASES = [(block, *case) for block, cases in SPELLINGS.items() for case in cases]


def half(text: str) -> str:
    return text.replace("_", "\u200c")


def test_there_are_many_cases() -> None:
    assert len(CASES) >= 60


def test_each_spelling_has_one_form() -> None:
    """One test of all rows: a row is a line of the table above."""
    wrong = [
        (block, given, FA.normalise(half(given)), wanted)
        for block, given, wanted in CASES
        if FA.normalise(half(given)) != half(wanted)
    ]
    assert not wrong


def test_the_form_stays_as_it_is() -> None:
    for _, _, wanted in CASES:
        assert FA.normalise(half(wanted)) == half(wanted)


@pytest.mark.parametrize(
    ("text", "tokens"),
    [
        ("سگ ها می دوند.", ["سگ_ها", "می_دوند"]),
        ("«مردی»، با کلاه؛ خانه ی بزرگ؟", ["مردی", "با", "کلاه", "خانه", "بزرگ"]),
        ("تأثیر T-Shirt 23", ["تاثیر", "t", "shirt", "۲۳"]),
        ("سگ. ها", ["سگ_ها"]),
        ("راه ی آهن", ["راه_آهن"]),
        ("", []),
        ("؟!", []),
    ],
)
def test_words_of_a_sentence(text: str, tokens: list[str]) -> None:
    assert FA.tokens(text) == [half(token) for token in tokens]


LETTERS = "ابپتجچدرزسشکگلمنوهیآئ" + "يكةىۀأ" + "\u200c\u0640\u064e\u0654" + "2۳٤" + ' ،.؟"_T'
PIECES = ["می", "نمی", "ها", "های", "تر", "ترین", "ای", "اند", "اش", "ی", "است", "شان", "بر", "در"]
WORDS = ["سگ", "خانه", "خانهٔ", "کند", "گردد", "سوار", "اسب", "موتور"]
texts = st.one_of(
    st.text(alphabet=LETTERS, max_size=30),
    st.lists(st.sampled_from([*PIECES, *WORDS, " ", "\u200c"])).map("".join),
    st.lists(st.sampled_from([*PIECES, *WORDS])).map(" ".join),
    st.text(max_size=20),
)


@given(texts)
def test_normalising_twice_is_normalising_once(text: str) -> None:
    once = FA.normalise(text)
    assert FA.normalise(once) == once


@given(texts)
def test_words_to_text_and_back(text: str) -> None:
    tokens = FA.tokens(text)
    assert FA.tokens(FA.join(tokens)) == tokens
    assert FA.tokens(FA.normalise(text)) == tokens
    assert all(token.split() == [token] for token in tokens)


def test_what_a_word_has_in_common_with_its_forms() -> None:
    words = [half(word) for word in ("سگ_ها", "پسرهای", "مردی", "آبی", "بزرگ_ترین", "ها", "می_دود")]
    assert FA.stems(words) == ("سگ", "پسر", "مرد", "آبی", "بزرگ", "ها", half("می_دود"))


@pytest.mark.parametrize(
    ("form", "infinitive"),
    [
        ("می_دود", "دویدن"),
        ("نمی_دوند", "دویدن"),
        ("می_دویدند", "دویدن"),
        ("دویدن", "دویدن"),
        ("نشسته", "نشستن"),
        ("می_نشینند", "نشستن"),
        ("ایستاده_اند", "ایستادن"),
        ("بپرد", "پریدن"),
        ("ننشسته", "نشستن"),
        ("می_شوید", "شستن"),
        ("می_کند", "می_کند"),
        ("گرفته", "گرفته"),
        ("بسته", "بسته"),
        ("می_نوازد", "نواختن"),
        ("شکست", "شکست"),
        ("سگ_ها", "سگ_ها"),
    ],
)
def test_forms_of_a_verb_have_one_lemma(form: str, infinitive: str) -> None:
    assert FA.lemma(half(form)) == half(infinitive)
    assert FA.lemma(half(infinitive)) == half(infinitive)
    assert language_of("en").lemma(form) == form


def test_words_of_content() -> None:
    assert FA.is_visible("سگ")
    assert FA.is_visible(half("می_دود"))
    assert not FA.is_visible("در")
    assert not FA.is_content_word("۲")
    assert FA.is_content_word("نظر")
    assert not FA.is_visible("نظر")


def test_digits_as_readers_write_them() -> None:
    assert FA.number("0.47 of 10%") == "۰٫۴۷ of ۱۰٪"
    assert language_of("en").number("10") == "10"


CAPTIONS = ["سگ ها می دوند", "یک سگ سیاه میدود", "دو پسر با كلاه آبی ایستاده اند"] * 5


@pytest.mark.parametrize("kind", [WordTokenizer, CharTokenizer, SubwordTokenizer])
def test_every_tokenizer_writes_half_spaces(
    kind: type[WordTokenizer | CharTokenizer | SubwordTokenizer],
) -> None:
    if kind is SubwordTokenizer:
        pytest.importorskip("tokenizers")
        tokenizer = kind.build(CAPTIONS, language="fa", vocabulary_size=60, min_count=1)
    else:
        tokenizer = kind.build(CAPTIONS, language="fa", min_count=1)
    for caption in CAPTIONS:
        assert tokenizer.decode(tokenizer.encode(caption)) == FA.normalise(caption)
    stored = tokenizer.to_dict()
    assert stored["language"] == "fa"
    again = kind.from_dict(stored)
    assert again == tokenizer
    assert again.language.code == "fa"
