"""METEOR's English data, from the files that the ``pycocoevalcap`` wheel carries, without Java.

Sources: WordNet's synonym sets and irregular forms, the function words and the abbreviations, text
files inside ``meteor-1.5.jar`` (a zip), and the paraphrase table ``paraphrase-en.gz`` (5.3 million
pairs). They are compiled once into one file of arrays (64 MB) in the user's cache folder,
under a name that holds a hash of the sources' content.

Compiled form. Words have ids in sorted order. Phrases form a tree: node 0 is the empty phrase, and
``node_keys``, sorted, holds ``parent << 32 | word id`` of nodes 1, 2, ...; so a node's number says
where its key stands. Lists by word or node lie end to end in one array, with their ends in another.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import itertools
import logging
import time
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from operator import methodcaller
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negah.errors import DataError, MissingExtraError
from negah.files import cache_folder
from negah.metrics.meteor.cache import Array, DamagedCacheError, read_arrays, write_arrays

logger = logging.getLogger(__name__)

#: To be incremented with every change in the meaning of the compiled arrays.
_FORM = 1
#: Bits of a word id in a node key.
NODE_BITS = 32
_NAMES = {
    *("words", "function_words", "prefixes", "number_prefixes"),
    *("lemma_ends", "lemma_synsets", "form_ends", "form_bases"),
    *("node_keys", "paraphrase_ends", "paraphrases"),
}
_NUMBERS_ONLY = "#NUMERIC_ONLY#"
#: Bytes of the paraphrase table that are read at a time.
_BLOCK = 1 << 22
#: Shares of the time that compiling takes.
_AFTER_READING, _AFTER_NUMBERING = 0.75, 0.9


@dataclass(frozen=True)
class Sources:
    """Where METEOR's English data lies.

    Attributes:
        archive: a zip with ``synonym/english.synsets``, ``synonym/english.exceptions``,
            ``function/english.words`` and ``nonbreaking/english.prefixes``.
        paraphrases: gzipped text, three lines a pair: probability, phrase, phrase.
    """

    archive: Path
    paraphrases: Path


def find_sources() -> Sources | None:
    """The data in the installed ``pycocoevalcap``, found without importing it; else None."""
    try:
        spec = importlib.util.find_spec("pycocoevalcap")
    except ValueError:
        return None
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        root = Path(folder) / "meteor"
        sources = Sources(root / "meteor-1.5.jar", root / "data" / "paraphrase-en.gz")
        if sources.archive.is_file() and sources.paraphrases.is_file():
            return sources
    return None


def load_arrays(
    sources: Sources | None = None,
    folder: Path | None = None,
    *,
    progress: Callable[[float], None] | None = None,
) -> dict[str, Array]:
    """The compiled data, from the cache if it has a valid copy, else compiled now.

    Args:
        sources: by default those of the installed ``pycocoevalcap``.
        folder: by default :func:`cache_folder`.
        progress: called with the share done, from 0 to 1, while the data is compiled.

    Raises:
        MissingExtraError: ``pycocoevalcap`` is not installed.
        DataError: a source is malformed.
    """
    sources = sources or find_sources()
    if sources is None:
        raise MissingExtraError("pycocoevalcap", "METEOR")
    path = (folder or cache_folder()) / f"meteor-en-{_fingerprint(sources)}.arrays"
    try:
        return _checked(path)
    except FileNotFoundError:
        pass
    except (DamagedCacheError, OSError) as error:
        logger.warning("%s; compiling METEOR's data again", error)
    logger.info("compiling METEOR's data into %s, once; this takes half a minute", path)
    started = time.perf_counter()
    arrays = compile_sources(sources, progress)
    try:
        write_arrays(path, arrays)
    except OSError as error:
        logger.warning("cannot keep METEOR's compiled data: %s; set NEGAH_CACHE", error)
        return arrays
    logger.info("compiled METEOR's data in %.0f s", time.perf_counter() - started)
    return _checked(path)


def compile_sources(
    sources: Sources, progress: Callable[[float], None] | None = None
) -> dict[str, Array]:
    """The arrays described at the top of this module.

    Args:
        sources: the files.
        progress: called with the share done, from 0 to 1.

    Raises:
        DataError: a source is malformed.
    """
    done = progress or (lambda share: None)
    done(0.0)
    try:
        with zipfile.ZipFile(sources.archive) as archive:
            synsets = _pairs_of_lines(archive, "synonym/english.synsets")
            exceptions = _pairs_of_lines(archive, "synonym/english.exceptions")
            function_words = _lines(archive, "function/english.words")
            prefixes, number_prefixes = _prefixes(_lines(archive, "nonbreaking/english.prefixes"))
        phrases, pairs = _paraphrase_pairs(
            sources.paraphrases, lambda share: done(share * _AFTER_READING)
        )
        found, flat, lengths = _numbered_words(phrases)
        done(_AFTER_NUMBERING)
    except (OSError, EOFError, KeyError, ValueError, zlib.error, zipfile.BadZipFile) as error:
        raise DataError(
            f"METEOR's data in {sources.archive.parent} cannot be read: {error}."
            " Install it again with: pip install --force-reinstall pycocoevalcap"
        ) from error
    # Words of captions never contain WordNet's underscore, so lemmas with one are dropped.
    lemmas = {lemma: sets.split() for lemma, sets in synsets if "_" not in lemma}
    forms: dict[str, list[str]] = {}
    for lemma, irregular in exceptions:
        for form in irregular.split():
            forms.setdefault(form, []).append(lemma)
    words = sorted({*found, *lemmas, *forms, *itertools.chain(*forms.values())})
    ids = {word: index for index, word in enumerate(words)}
    lemma_ends, lemma_synsets = _lists([map(int, lemmas.get(word, ())) for word in words])
    form_ends, form_bases = _lists([[ids[base] for base in forms.get(word, ())] for word in words])
    renumbered = np.array([ids[word] for word in found], dtype=np.int64)
    node_keys, nodes = _tree(renumbered[flat], lengths)
    left, right = nodes[pairs[::2]], nodes[pairs[1::2]]
    counts = np.bincount(left, minlength=len(node_keys) + 1)
    arrays: dict[str, Array] = {
        "words": _text(words),
        "function_words": _text(function_words),
        "prefixes": _text(prefixes),
        "number_prefixes": _text(number_prefixes),
        "lemma_ends": lemma_ends,
        "lemma_synsets": lemma_synsets,
        "form_ends": form_ends,
        "form_bases": form_bases,
        "node_keys": node_keys,
        "paraphrase_ends": np.cumsum(counts).astype(np.int32),
        "paraphrases": right[np.argsort(left, kind="stable")],
    }
    done(1.0)
    return arrays


def _fingerprint(sources: Sources) -> str:
    digest = hashlib.blake2b(str(_FORM).encode(), digest_size=12)
    for path in (sources.archive, sources.paraphrases):
        with path.open("rb") as file:
            digest.update(hashlib.file_digest(file, "blake2b").digest())
    return digest.hexdigest()


def _checked(path: Path) -> dict[str, Array]:
    """The arrays of a cache file, after a check that all indices are in range."""
    arrays = read_arrays(path)
    if set(arrays) != _NAMES:
        raise DamagedCacheError(f"{path} holds other arrays than METEOR's data has")
    words, nodes = len(arrays["lemma_ends"]), len(arrays["node_keys"]) + 1
    for ends, values, length in (
        ("lemma_ends", "lemma_synsets", words),
        ("form_ends", "form_bases", words),
        ("paraphrase_ends", "paraphrases", nodes),
    ):
        end = arrays[ends]
        sound = len(end) == length and length > 0 and end[0] >= 0 and np.all(end[1:] >= end[:-1])
        if not sound or end[-1] != len(arrays[values]):
            raise DamagedCacheError(f"{path} holds lists that do not end where they should")
    if len(arrays["form_bases"]) and not 0 <= arrays["form_bases"].max() < words:
        raise DamagedCacheError(f"{path} refers to words that it does not contain")
    return arrays


def _lines(archive: zipfile.ZipFile, name: str) -> list[str]:
    return archive.read(name).decode("utf-8").splitlines()


def _pairs_of_lines(archive: zipfile.ZipFile, name: str) -> list[tuple[str, str]]:
    lines = _lines(archive, name)
    if len(lines) % 2:
        raise ValueError(f"{name} has an odd number of lines")
    return list(zip(lines[::2], lines[1::2], strict=True))


def _prefixes(lines: Iterable[str]) -> tuple[list[str], list[str]]:
    """Abbreviations that always keep their period, and those that keep it before a number."""
    always: list[str] = []
    numbers: list[str] = []
    for line in lines:
        if line.strip() and not line.startswith("#"):
            (numbers if _NUMBERS_ONLY in line else always).append(line.split()[0])
    return always, numbers


class _Watched(io.FileIO):
    """A file that reports the share of it that has been read."""

    def __init__(self, path: Path, progress: Callable[[float], None]) -> None:
        super().__init__(path)
        self._size = path.stat().st_size
        self._progress = progress

    def read(self, size: int | None = -1, /) -> bytes | Any:
        data = super().read(size)
        self._progress(self.tell() / max(self._size, 1))
        return data


def _paraphrase_pairs(
    path: Path, progress: Callable[[float], None]
) -> tuple[list[bytes], npt.NDArray[np.int32]]:
    """The distinct phrases; and by number the two phrases of each pair, one after the other."""
    numbers: defaultdict[bytes, int] = defaultdict(itertools.count().__next__)
    parts: list[npt.NDArray[np.int32]] = []
    lines: list[bytes] = []
    cut = b""
    with _Watched(path, progress) as packed, gzip.open(packed, "rb") as file:
        # Sixteen million lines: nothing here is done by Python code line by line.
        while block := file.read(_BLOCK):
            lines += (cut + block).split(b"\n")
            cut = lines.pop()
            whole = len(lines) // 3 * 3
            phrases, lines = lines[:whole], lines[whole:]
            del phrases[::3]  # the probabilities
            found = map(numbers.__getitem__, map(bytes.strip, phrases))
            parts.append(np.fromiter(found, dtype=np.int32, count=len(phrases)))
    if cut:
        lines.append(cut)
    if len(lines) == 3:  # the last line has no end
        parts.append(np.array([numbers[line.strip()] for line in lines[1:]], dtype=np.int32))
    elif lines:
        raise ValueError("the paraphrase table ends within a pair")
    pairs = np.concatenate(parts) if parts else np.zeros(0, dtype=np.int32)
    return list(numbers), pairs


def _numbered_words(
    phrases: Sequence[bytes],
) -> tuple[list[str], npt.NDArray[np.int32], npt.NDArray[np.int64]]:
    """The distinct words; the words of all phrases end to end, by number; the phrases' lengths."""
    numbers: defaultdict[bytes, int] = defaultdict(itertools.count().__next__)
    words = itertools.chain.from_iterable(map(bytes.split, phrases))
    flat = np.fromiter(map(numbers.__getitem__, words), dtype=np.int32)
    spaces = map(methodcaller("count", b" "), phrases)
    lengths = np.fromiter(spaces, dtype=np.int64, count=len(phrases)) + 1
    if lengths.sum() != len(flat):
        raise ValueError("a phrase of the paraphrase table is empty, or has two spaces in a row")
    return [word.decode("utf-8") for word in numbers], flat, lengths


def _tree(
    words: npt.NDArray[np.int64], lengths: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int32]]:
    """The sorted keys of the tree's nodes, and the node of each phrase."""
    starts = np.cumsum(lengths) - lengths
    # Breadth first: numbers grow with the depth and, within it, with (parent, word), so the keys
    # of all depths together are sorted.
    nodes = np.zeros(len(lengths), dtype=np.int64)
    levels, count = [np.zeros(0, dtype=np.int64)], 1
    for depth in range(int(lengths.max(initial=0))):
        rows = np.flatnonzero(lengths > depth)
        keys, found = np.unique(
            nodes[rows] << NODE_BITS | words[starts[rows] + depth], return_inverse=True
        )
        nodes[rows] = count + found
        levels.append(keys)
        count += len(keys)
    return np.concatenate(levels), nodes.astype(np.int32)


def _lists(
    values: Sequence[Iterable[int]],
) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.int32]]:
    rows = [list(row) for row in values]
    ends = np.cumsum([len(row) for row in rows], dtype=np.int64).astype(np.int32)
    return ends, np.array(list(itertools.chain(*rows)), dtype=np.int32)


def _text(lines: Iterable[str]) -> npt.NDArray[np.uint8]:
    return np.frombuffer("\n".join(lines).encode("utf-8"), dtype=np.uint8)
