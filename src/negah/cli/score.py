"""``negah score``: score captions against references, and compare two systems."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from negah.cli.metric_options import (
    LanguageOfCaptions,
    MetricsOption,
    ObjectsOption,
    metric_names,
    seen_in,
)
from negah.cli.paths import READS_CAPTIONS, Reads, Writes, shards
from negah.cli.score_progress import busy, compiling
from negah.errors import DataError, UsageError

if TYPE_CHECKING:
    from negah.data.caption_files import CaptionFile
    from negah.data.caption_pairs import Pairs
    from negah.metrics import DocumentFrequencies
    from negah.metrics.settings import SettingValues

_STDIN = Path("-")
_PER_IMAGE = (".csv", ".jsonl")


def score(
    hypotheses: Annotated[
        Path,
        typer.Argument(
            metavar="HYPS", help="The captions to score, one for each image.", show_default=False
        ),
        READS_CAPTIONS,
    ],
    references: Annotated[
        list[Path] | None,
        typer.Option(
            "--refs",
            metavar="FILE",
            help="Reference captions; may be given several times.",
            show_default=False,
        ),
        READS_CAPTIONS,
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(
            help="Which part of the references: train, dev or test.", show_default="all of them"
        ),
    ] = None,
    subset: Annotated[
        bool, typer.Option("--subset", help="Score only the images with captions in HYPS.")
    ] = False,
    compare: Annotated[
        Path | None,
        typer.Option(
            metavar="OTHER",
            help="Another system's captions: its scores, the differences, and two tests of them.",
            show_default=False,
        ),
        READS_CAPTIONS,
    ] = None,
    metrics: MetricsOption = None,
    objects: ObjectsOption = None,
    frequencies: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Document frequencies for CIDEr-D, as DocumentFrequencies.save writes them.",
            show_default="counted in the references",
        ),
        Reads(),
    ] = None,
    training: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Training captions of the system, to count novel captions.",
            show_default=False,
        ),
        READS_CAPTIONS,
    ] = None,
    language: LanguageOfCaptions = "en",
    tokenised: Annotated[
        bool,
        typer.Option(
            "--tokenised", help="All captions are already tokenised, with spaces between tokens."
        ),
    ] = False,
    resamples: Annotated[
        int, typer.Option(min=1, max=100_000, help="Number of resamples for intervals and tests.")
    ] = 1000,
    seed: Annotated[
        int, typer.Option(min=0, max=2**32 - 1, help="Random seed of the resampling.")
    ] = 0,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", metavar="FILE", help="Write all numbers here.", show_default=False),
        Writes(what="scores"),
    ] = None,
    per_image: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the scores of each image here, as .csv or .jsonl.",
            show_default=False,
        ),
        Writes(what="scores of each photo"),
    ] = None,
) -> None:
    """Score captions against references, as the COCO evaluation does, with 95% intervals.

    Supported files are COCO's results and annotations, Karpathy's dataset_*.json,
    Flickr8k.token.txt, tables (CSV, TSV or JSON lines) with image and caption, all other formats of
    negah data inspect (without unpacking pictures), and plain text, in which line n is image n and
    tabs separate references. A dash is standard input. Several rows for one image are several
    references.

    \b
    negah score results.json --refs captions_val2014.json
    negah score captions.csv --refs flickr8k/Flickr8k.token.txt --split test
    negah score mine.txt --refs refs-1.txt --refs refs-2.txt
    negah score mine.json --refs refs.json --compare theirs.json
    negah score mine.json --refs refs.json --objects instances_val2014.json
    negah caption photos/ --format csv | negah score - --refs refs.csv --per-image scores.csv

    docs/metrics.md says what the numbers mean. Exit code: 0 scored, 1 a file or some of its rows
    cannot be used, 2 wrong usage.
    """
    optional = [path for path in (compare, frequencies, objects) if path is not None]
    _check_inputs([hypotheses, *(references or ()), *(training or ()), *optional])
    _check_per_image(per_image)
    if not references:
        raise UsageError("give the reference captions: --refs FILE")
    # Warnings of the metrics are printed below the table.
    logging.getLogger("negah.metrics").addHandler(logging.NullHandler())
    # Imported here because it takes a third of a second, which wrong usage need not wait for.
    from negah.cli.score_report import ScoreReport, report, write_per_image, write_result
    from negah.data.caption_files import read_hypotheses, read_references
    from negah.data.caption_pairs import pair
    from negah.metrics import CaptionScorer
    from negah.metrics.catalogue import absent_metrics
    from negah.metrics.settings import Settings

    names = metric_names(metrics)
    people = read_references(references or (), split=split)
    systems = [read_hypotheses(path) for path in (hypotheses, compare) if path is not None]
    pairs = _in_common([pair(one, people, subset=subset) for one in systems], systems)
    settings: SettingValues = {
        "frequencies": _load(frequencies),
        "objects": seen_in(objects, _called(pairs[0])),
        "tokenised": tokenised,
        "language": language,
    }
    with compiling("the metrics' data") as progress:
        scorer = CaptionScorer(
            pairs[0].references,
            metrics=names,
            training=_sentences(training),
            progress=progress,
            **settings,
        )
    with busy(f"scoring {len(pairs[0].hypotheses):,} captions"):
        scores = [scorer.score(one.hypotheses) for one in pairs]
        result = ScoreReport(
            files=tuple(one.source for one in systems),
            references=people.source,
            split=split,
            left_out=pairs[0].left_out,
            scores=tuple(scores),
            resamples=resamples,
            seed=seed,
            intervals=scores[0].intervals(resamples=resamples, seed=seed),
            comparison=(
                scores[0].compare(scores[1], resamples=resamples, seed=seed)
                if len(scores) > 1
                else None
            ),
        )
    # Files are written first, whatever happens to standard output.
    if json_file is not None:
        write_result(json_file, result)
    if per_image is not None:
        captions = pairs[0].hypotheses
        called = {pairs[0].names.get(name, name): said for name, said in captions.items()}
        write_per_image(per_image, called, scores[0])
    report(result, [] if names else absent_metrics(Settings(**settings)))
    if any(one.left_out for one in (people, *systems)):
        raise typer.Exit(1)


def _check_inputs(paths: Sequence[Path]) -> None:
    for path in (shard for given in paths for shard in shards(given)):
        if path != _STDIN and not path.exists():
            raise UsageError(f"there is no file {path}")
        if path.is_dir() and not _holds_captions(path):
            raise UsageError(f"{path} is a folder; name the file with the captions in it")
    if paths.count(_STDIN) > 1:
        raise UsageError("standard input (-) can be only one of the files")


def _holds_captions(folder: Path) -> bool:
    """Whether a folder is a data set, such as one of shards."""
    from negah.data.formats import locate

    try:
        return bool(locate(folder).paths)
    except DataError:
        return False


def _check_per_image(per_image: Path | None) -> None:
    if per_image is not None and per_image.suffix.lower() not in _PER_IMAGE:
        raise UsageError(f"--per-image {per_image}: the name must end in .csv or .jsonl")


def _in_common(pairs: Sequence[Pairs], systems: Sequence[CaptionFile]) -> list[Pairs]:
    """The images with captions of every system: comparisons need the same images.

    Raises:
        DataError: there are none.
    """
    from negah.data.caption_pairs import Pairs

    shared = set.intersection(*(set(one.hypotheses) for one in pairs))
    if not shared:
        raise DataError(
            f"{' and '.join(one.source for one in systems)} have captions of different images, "
            "so there is nothing to compare."
        )
    references = {name: given for name, given in pairs[0].references.items() if name in shared}
    left_out = pairs[0].left_out + len(pairs[0].references) - len(references)
    return [
        Pairs({name: one.hypotheses[name] for name in references}, references, left_out, one.names)
        for one in pairs
    ]


def _called(pairs: Pairs) -> dict[str, list[str]]:
    """The other names of each image."""
    return {name: [pairs.names[name]] if name in pairs.names else [] for name in pairs.references}


def _load(path: Path | None) -> DocumentFrequencies | None:
    from negah.metrics import DocumentFrequencies

    return None if path is None else DocumentFrequencies.load(path)


def _sentences(paths: Sequence[Path] | None) -> list[str] | None:
    """The captions of the training part, or all where a file names no parts."""
    if not paths:
        return None
    from negah.data.caption_files import read_references

    found = read_references(paths)
    return [
        caption
        for name, captions in found.captions.items()
        if not found.splits or found.splits.get(name) == "train"
        for caption in captions
    ]
