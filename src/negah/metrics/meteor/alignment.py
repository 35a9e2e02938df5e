"""The best alignment of two captions: a consistent subset of their matches.

Paper: M. Denkowski, A. Lavie, "Meteor 1.3", WMT 2011: cover each word once at most; cover as many
words as possible; then have the fewest chunks (runs of matches that follow one another in both
captions); then the smallest sum of distances between matched words. The search is the paper's
beam search over the words of the reference. What the published program does beyond the paper was
found by observing its alignments:

- a match that shares no word with another match is always kept;
- among the others, the words of a match that is not exact count half, rounded down in each caption.
  So a stem, synonym or one-word paraphrase alone covers nothing, and is taken only where it makes
  no chunk of its own;
- at each word of the reference every path is extended first by its matches, in their order, and
  last by leaving the word out; of all extensions the best stay. Among equals the order stays;
- a chunk counts when it ends, which is at the next word that does not go on with it;
- the distance that a path pays is not that of the match it takes, but the sum over the matches
  that it was offered at this word and did not take before: nothing for the first, all of them
  for leaving the word out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from operator import itemgetter
from typing import Any, NamedTuple

from negah.metrics.meteor.captions import EXACT, Match

BEAM = 40


class _Path(NamedTuple):
    """A choice of matches up to some word of the reference; the best sorts first."""

    covered: int  # minus the counted words
    chunks: int  # that have ended
    distance: int  # of the matches that were offered and not taken
    used: int  # bits: the words of the hypothesis that are taken
    hypothesis_end: int  # the word that would go on with the chunk; _CLOSED where none is open
    reference_end: int  # words of the reference before this one are decided
    last: tuple[Match, Any] | None  # the last match, and what came before it


_CLOSED = -1
_quality = itemgetter(0, 1, 2)


def align(matches: Sequence[Match], reference_length: int, beam: int = BEAM) -> list[Match]:
    """The matches of the alignment, in the order of the reference.

    Args:
        matches: all matches, as :func:`negah.metrics.meteor.captions.find_matches` orders them.
        reference_length: words of the reference.
        beam: paths kept at each word of the reference.
    """
    contested = _contested(matches)
    if not any(contested):
        return list(matches)
    starting: list[list[tuple[Match, int, int]]] = [[] for _ in range(reference_length)]
    fixed: dict[int, Match] = {}
    for match, shared in zip(matches, contested, strict=True):
        if shared:
            bits = ((1 << match.hypothesis_length) - 1) << match.hypothesis
            starting[match.reference].append((match, bits, _counted(match)))
        else:
            fixed[match.reference] = match
    paths = [_Path(0, 0, 0, 0, _CLOSED, 0, None)]
    for place in range(reference_length):
        if place in fixed:
            # it is on every path with the same count: only the chunks may differ
            paths = [_longer(path, fixed[place], 0, 0, path.distance) for path in paths]
        elif starting[place] or any(path.hypothesis_end != _CLOSED for path in paths):
            paths = list(_extensions(paths, place, starting[place]))
        else:
            continue
        paths.sort(key=_quality)
        del paths[beam:]
    last = min(map(_ended, paths), key=_quality).last
    held: list[Match] = []
    while last is not None:
        match, last = last
        held.append(match)
    return held[::-1]


def count_chunks(alignment: Sequence[Match]) -> int:
    """The number of runs of matches that follow one another in both captions."""
    chunks, reference_end, hypothesis_end = 0, -1, -1
    for match in alignment:
        if match.reference != reference_end or match.hypothesis != hypothesis_end:
            chunks += 1
        reference_end = match.reference + match.reference_length
        hypothesis_end = match.hypothesis + match.hypothesis_length
    return chunks


def _extensions(
    paths: Sequence[_Path], place: int, starting: Sequence[tuple[Match, int, int]]
) -> Iterator[_Path]:
    for path in paths:
        if path.reference_end > place:
            yield path
            continue
        distance = path.distance
        for match, bits, counted in starting:
            if not path.used & bits:
                yield _longer(path, match, bits, counted, distance)
                distance += abs(match.reference - match.hypothesis)
        yield _ended(path, distance)


def _longer(path: _Path, match: Match, bits: int, counted: int, distance: int) -> _Path:
    """The path with one more match."""
    breaks = path.hypothesis_end not in (_CLOSED, match.hypothesis)
    return _Path(
        path.covered - counted,
        path.chunks + breaks,
        distance,
        path.used | bits,
        match.hypothesis + match.hypothesis_length,
        match.reference + match.reference_length,
        (match, path.last),
    )


def _ended(path: _Path, distance: int | None = None) -> _Path:
    """The path with its open chunk, if any, closed."""
    return _Path(
        path.covered,
        path.chunks + (path.hypothesis_end != _CLOSED),
        path.distance if distance is None else distance,
        path.used,
        _CLOSED,
        path.reference_end,
        path.last,
    )


def _counted(match: Match) -> int:
    """The words that a match covers as the search counts them."""
    if match.stage == EXACT:
        return 2
    return match.reference_length // 2 + match.hypothesis_length // 2


def _contested(matches: Sequence[Match]) -> list[bool]:
    """For each match, whether another match uses one of its words."""
    here: dict[int, int] = {}
    there: dict[int, int] = {}
    for reference, reference_length, hypothesis, hypothesis_length, _ in matches:
        for place in range(reference, reference + reference_length):
            there[place] = there.get(place, 0) + 1
        for place in range(hypothesis, hypothesis + hypothesis_length):
            here[place] = here.get(place, 0) + 1
    return [
        any(there[place] > 1 for place in range(reference, reference + reference_length))
        or any(here[place] > 1 for place in range(hypothesis, hypothesis + hypothesis_length))
        for reference, reference_length, hypothesis, hypothesis_length, _ in matches
    ]
