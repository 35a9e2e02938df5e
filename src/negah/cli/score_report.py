"""Output of ``negah score``: tables on the terminal, JSON, and the scores of each image."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import isnan
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from negah import __version__
from negah.errors import MissingExtraError
from negah.files import to_csv, write_json, write_text
from negah.json_layout import to_json
from negah.metrics import Comparison, Diversity, Interval, Metric, Scores

#: Significance level of both tests.
_UNLIKELY = 0.05


@dataclass(frozen=True, slots=True)
class ScoreReport:
    """The inputs and results of scoring.

    Attributes:
        files: of the captions: those to score, and those to compare with if there are any.
        references: the files of the references, in words.
        split: the part of the references; None for all of them.
        left_out: images with references that were not scored.
        scores: of each of ``files``, on the same images.
        intervals: of the first of ``files``, by metric.
        comparison: the first of ``files`` minus the second, by metric; None without a second.
        resamples: sets of images drawn for intervals and tests.
        seed: of the drawing.
    """

    files: tuple[str, ...]
    references: str
    split: str | None
    left_out: int
    scores: tuple[Scores, ...]
    intervals: Mapping[str, Interval]
    comparison: Mapping[str, Comparison] | None
    resamples: int
    seed: int


def report(result: ScoreReport, absent: Iterable[MissingExtraError]) -> None:
    """Print the tables, and below them warnings and settings.

    Args:
        result: what came out.
        absent: metrics that were wanted and are not installed, each with how to install it.
    """
    scores = result.scores[0]
    part = "" if result.split is None else f", part {result.split}"
    print(f"{result.files[0]} against {result.references}{part}")
    table = _table("metric", "score", "95% interval", "images")
    for metric, value in scores.values.items():
        low, high = result.intervals[metric]
        table.add_row(metric, f"{value:.2f}", f"{low:.2f} to {high:.2f}", f"{scores.images:,}")
    _print(table)
    for line in _footnotes(result, scores):
        print(line)
    for error in absent:
        print(error)
    if result.comparison is not None:
        _report_comparison(result, result.comparison)


def _footnotes(result: ScoreReport, scores: Scores) -> Iterator[str]:
    for signature in scores.signatures.values():
        yield f"  {signature}"
    yield from scales(scores)
    yield f"intervals: bootstrap over images, {result.resamples:,} resamples, seed {result.seed}"
    yield from _diversity(scores.diversity)
    if result.left_out:
        total = scores.images + result.left_out
        yield (
            f"subset: {scores.images:,} of the {total:,} images with references; document "
            f"frequencies are of these only"
        )
    for warning in scores.warnings:
        yield f"warning: {warning}"


def scales(scores: Scores) -> Iterator[str]:
    """The metrics that are not on the common scale, or best when low."""
    for metric, unit in scores.units.items():
        said = [] if unit == Metric.unit else [unit]
        said += ["lower is better"] if metric in scores.lower_is_better else []
        if said:
            yield f"{metric}: {', '.join(said)}"


def _diversity(found: Diversity) -> Iterator[str]:
    known = "" if found.novel is None else f", {found.novel:.1%} are in no training caption"
    yield (
        f"diversity: {found.unique:.1%} of the captions differ, {found.repetitive:.1%} repeat "
        f"themselves{known}"
    )
    yield (
        f"words: {found.vocabulary:,} different ones, {found.mean_length:.1f} a caption, "
        f"distinct-1 {found.distinct_1:.3f}, distinct-2 {found.distinct_2:.3f}"
    )


def _report_comparison(result: ScoreReport, comparison: Mapping[str, Comparison]) -> None:
    first, second = result.files
    print(f"\nA: {first}\nB: {second}")
    columns = ("A", "B", "A - B", "95% interval", "p (boot.)", "p (rand.)")
    table = _table("metric", *columns)
    for metric, one in comparison.items():
        table.add_row(
            metric,
            f"{one.a:.2f}",
            f"{one.b:.2f}",
            f"{one.difference:+.2f}",
            f"{one.low:+.2f} to {one.high:+.2f}",
            _p(one.p_bootstrap, result.resamples),
            _p(one.p_randomisation, result.resamples),
        )
    _print(table)
    print("p: two-sided, by paired bootstrap and by approximate randomisation")
    for sentence in verdict(comparison):
        print(sentence)
    for warning in result.scores[1].warnings:
        print(f"warning: B: {warning}")


def verdict(comparison: Mapping[str, Comparison]) -> Iterator[str]:
    """The conclusion of a comparison, in sentences."""
    better: dict[str, list[str]] = {"A": [], "B": []}
    same, open_ones = [], []
    for metric, one in comparison.items():
        if one.same:
            same.append(metric)
        elif max(one.p_bootstrap, one.p_randomisation) < _UNLIKELY:
            better["A" if one.first_is_better else "B"].append(metric)
        else:
            open_ones.append(metric)
    for name, metrics in better.items():
        if metrics:
            yield (
                f"{name} is better in {_and(metrics)}: the choice of images hardly explains the "
                f"difference (p < {_UNLIKELY} in both tests)."
            )
    if same:
        yield f"The same in {_and(same)}: A and B score alike on every image."
    if open_ones:
        yield (
            f"Undecided in {_and(open_ones)}: equally good systems would often differ as much on "
            "as many images."
        )


def write_result(path: Path, result: ScoreReport) -> None:
    """Write all numbers as JSON."""
    content: dict[str, Any] = {
        "negah": __version__,
        "hypotheses": result.files[0],
        "references": result.references,
        "split": result.split,
        "left_out": result.left_out,
        **result.scores[0].to_dict(resamples=result.resamples, seed=result.seed),
    }
    if result.comparison is not None:
        content["comparison"] = {
            "hypotheses": result.files[1],
            "diversity": result.scores[1].diversity.to_dict(),
            "differences": {name: one.to_dict() for name, one in result.comparison.items()},
            "verdict": list(verdict(result.comparison)),
            "warnings": list(result.scores[1].warnings),
        }
    write_json(path, content)


def write_per_image(path: Path, hypotheses: Mapping[str, str], scores: Scores) -> None:
    """Write each image's name, caption and scores, as CSV or JSON lines by the suffix.

    The names of images that came without are their line numbers. An image without a score has an
    empty cell, or null.
    """
    columns = {
        metric: [None if isnan(value) else value for value in values.tolist()]
        for metric, values in scores.per_image.items()
    }
    values = zip(*columns.values(), strict=True)
    rows = [
        [name, caption, *numbers]
        for (name, caption), numbers in zip(hypotheses.items(), values, strict=True)
    ]
    names = ["image", "caption", *columns]
    if path.suffix.lower() == ".csv":
        text = to_csv(names, *rows)
    else:
        objects = (dict(zip(names, row, strict=True)) for row in rows)
        text = "".join(to_json(one) + "\n" for one in objects)
    write_text(path, text)


def _table(first: str, *others: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column(first)
    for column in others:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _print(table: Table) -> None:
    Console(highlight=False).print(table)


def _p(value: float, resamples: int) -> str:
    """A p-value, no finer than the number of resamples can tell."""
    digits = len(str(resamples)) - 1
    return f"{value:.{max(2, min(digits, 4))}f}"


def _and(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
