"""``negah evaluate``: score a model on captioned photos or clips, and compare with its card."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from negah.cli.data import READS_DATA, Images, exit_if_left_out, read_datasets, summary
from negah.cli.decoding_options import DecodingPairs, decoding_values
from negah.cli.limits import MaxPixels
from negah.cli.metric_options import MetricsOption, ObjectsOption, metric_names, seen_in
from negah.cli.models import ANY_MODEL
from negah.cli.paths import READS_MODEL, Writes, outputs
from negah.cli.progress import progress_bar
from negah.cli.score_progress import compiling
from negah.cli.splits import (
    DevFractionOfModel,
    Known,
    ModelSplit,
    TestFractionOfModel,
    split_of_training,
    tell_split,
)
from negah.cli.streams import say
from negah.cli.tables import print_table
from negah.data import Dataset
from negah.data.examples import split_name
from negah.errors import UsageError
from negah.files import write_json
from negah.media import MAX_PIXELS
from negah.split import SplitPolicy

if TYPE_CHECKING:
    from negah.backends import Backend
    from negah.bundle import Score
    from negah.decoding import DecodingOptions
    from negah.evaluation import Evaluation
    from negah.metrics import Interval
    from negah.runtime import Captioner, CaptionerSpec

#: Smaller differences are not visible with two decimals.
_SAME = 0.005


def evaluate(
    model: Annotated[
        str | None,
        typer.Argument(
            metavar="MODEL",
            help=ANY_MODEL,
            show_default="the bundled model, for photos or for clips",
        ),
        READS_MODEL,
    ] = None,
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="A data set; several are scored separately.",
            show_default=False,
        ),
        READS_DATA,
    ] = None,
    split: Annotated[str, typer.Option(help="Which part: train, dev or test.")] = "test",
    same_model: Annotated[
        str | None,
        typer.Option("--model", help="Another way to name MODEL.", show_default=False),
        READS_MODEL,
    ] = None,
    fuse: Annotated[
        list[str] | None,
        typer.Option(
            metavar="MODEL",
            help="Choose every word together with this model, such as one of motion.",
            show_default=False,
        ),
        READS_MODEL,
    ] = None,
    beam: Annotated[
        int | None,
        typer.Option(
            min=1, max=1024, help="Beam size: hypotheses kept.", show_default="the model's choice"
        ),
    ] = None,
    decoding: DecodingPairs = None,
    frames: Annotated[
        int | None,
        typer.Option(
            min=1, max=1000, help="Frames of each clip.", show_default="the model's choice"
        ),
    ] = None,
    metrics: MetricsOption = None,
    objects: ObjectsOption = None,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Write the scores to this file.", show_default=False),
        Writes(what="scores"),
    ] = None,
    captions_file: Annotated[
        Path | None,
        typer.Option(
            "--captions",
            help="Write the captions to this file, in COCO's results format.",
            show_default=False,
        ),
        Writes(what="captions"),
    ] = None,
    images: Images = None,
    dev_fraction: DevFractionOfModel = None,
    test_fraction: TestFractionOfModel = None,
    batch_size: Annotated[
        int, typer.Option(min=1, max=1024, help="Photos captioned together.")
    ] = 16,
    threads: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=256,
            help="Batches captioned in parallel, one core each.",
            show_default="one for each core",
        ),
    ] = None,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Score a model on captioned photos or clips: BLEU, ROUGE-L and CIDEr-D with 95% intervals.

    Also METEOR if its data is installed (extra meteor), and CHAIR with --objects.

    If the model card has scores for a data set of that name, they are shown for comparison. Data
    sets are split as in the training of the model, if the same data sets are given.

    \b
    negah evaluate --data flickr8k/
    negah evaluate runs/cam-rnn/bundle --data flickr8k/ --split dev --beam 5
    negah evaluate negah-video --data msvd/ --split train --frames 1
    negah evaluate runs/cam-rnn-video/bundle --fuse runs/cam-rnn-motion/bundle --data msvd/
    negah evaluate runs/cam-rnn/bundle --data flickr8k/ --json scores.json
    negah export runs/cam-rnn/bundle --scores scores.json

    Exit code: 0 all files scored, 1 some, or rows of a table, could not be read, 2 wrong usage.
    """
    options = decoding_values(decoding)
    names = metric_names(metrics)
    if beam is not None:
        options["beam"] = beam
    _check(model, same_model, data, captions_file)
    if objects is not None and not objects.is_file():
        raise UsageError(f"there is no file {objects}")
    from negah.runtime import CaptionerSpec, RuntimeOptions

    spec = CaptionerSpec(
        model or same_model,
        tuple(fuse or ()),
        RuntimeOptions(threads=threads, max_pixels=max_pixels, batch_size=batch_size),
        frames,
        options,
    )
    captioner, datasets = _model_and_data(
        spec,
        split,
        lambda policy: read_datasets(data or (), images or (), policy),
        lambda models: split_of_training(models, dev_fraction, test_fraction),
    )
    outputs().read(captioner.files)
    datasets = _with_part(datasets, split)
    seen = {
        dataset.name: seen_in(objects, {one.name: () for one in dataset.split(split)})
        for dataset in datasets
    }
    # Imported here because it takes most of a second, which wrong usage need not wait for.
    from negah.evaluation import evaluate, write_evaluations
    from negah.metrics.catalogue import load_metrics

    # Warnings of the metrics are printed below the table.
    logging.getLogger("negah.metrics").addHandler(logging.NullHandler())
    with compiling("the metrics' data") as share:
        load_metrics(names, share, language=captioner.backend.identity.language)
    evaluations = []
    for dataset in datasets:
        examples = dataset.split(split)
        with progress_bar(len(examples), wanted=True) as bar:
            evaluation = evaluate(
                captioner,
                examples,
                dataset=dataset.name,
                progress=bar.advance,
                frames=spec.frames,
                scoring={"metrics": names, "objects": seen[dataset.name]},
                **spec.decoding,
            )
        evaluations.append(evaluation)
        # Files are written first, after each data set, so that they exist whatever happens next.
        if json_file is not None:
            write_evaluations(json_file, evaluations)
        if captions_file is not None:
            write_json(captions_file, evaluation.to_coco_results())
        print_scores(evaluation, captioner.backend)
    if any(evaluation.failures for evaluation in evaluations):
        raise typer.Exit(1)
    exit_if_left_out(*datasets)


def _check(
    model: str | None,
    same_model: str | None,
    data: Sequence[Path] | None,
    captions_file: Path | None,
) -> None:
    if model is not None and same_model is not None:
        raise UsageError("the model is named twice: give MODEL or --model, not both")
    if not data:
        raise UsageError("name the captioned photos or clips to score on: --data PATH")
    if captions_file is not None and len(data) > 1:
        raise UsageError("--captions writes those of one data set: give --data once")


def _model_and_data(
    spec: CaptionerSpec,
    part: str,
    read: Callable[[SplitPolicy], list[Dataset]],
    choose: Callable[[Sequence[Known]], ModelSplit],
) -> tuple[Captioner, list[Dataset]]:
    """The models, and the data sets, divided as the training of the first divided them.

    Args:
        spec: of the models that caption; the data choose among the bundled ones.
        part: that is scored.
        read: the data sets.
        choose: how to divide them, from what the models know.
    """
    from negah.runtime import find_bundle

    datasets: list[Dataset] | None = None
    before = choose([])
    if spec.model is None:  # the data decide
        datasets = read(before.policy)
        clips = all(example.is_clip for one in datasets for example in one.split(part))
        spec = replace(spec, model=str(find_bundle(clips=clips)))
    captioner = spec.open()
    known = [one.identity for one in (captioner.backend, *captioner.fused)]
    split = choose([(identity.name, identity.split) for identity in known])
    if datasets is None or split.policy != before.policy:
        datasets = read(split.policy)
    tell_split(split, datasets, split_name(part))
    return captioner, datasets


def _with_part(datasets: Sequence[Dataset], split: str) -> list[Dataset]:
    """The data sets that have the part: with several, one may have no held-out files."""
    having = [dataset for dataset in datasets if dataset.split(split)]
    if not having:
        raise UsageError(
            f"no photo is in the part {split!r} ({'; '.join(map(summary, datasets))}). Choose "
            "another --split, or hold photos out with --test-fraction or --dev-fraction, the same "
            "in training."
        )
    for dataset in datasets:
        if dataset not in having:
            say(f"not scored, without the part {split!r}: {summary(dataset)}")
    return having


def print_scores(evaluation: Evaluation, backend: Backend) -> None:
    """Print scores with their intervals, signatures and warnings."""
    from negah.evaluation import scores_on_card

    # the card's scores are those of the model alone
    card = {}
    if not evaluation.fused:
        card = scores_on_card(backend.identity.scores, evaluation.dataset, evaluation.split)
    scores = evaluation.scores
    intervals = scores.intervals()
    rows = []
    for metric, value in scores.values.items():
        row = [metric, f"{value:.2f}", _interval(intervals[metric]), f"{scores.images:,}"]
        rows.append([*row, *([_beside(value, card.get(metric))] if card else [])])
    models = " + ".join((evaluation.model, *(other.name for other in evaluation.fused)))
    print(f"{models} on {evaluation.dataset}, part {evaluation.split}")
    columns = ("metric", "score", "95% interval", "files", *(["card"] if card else []))
    print_table(columns, rows, left={"metric", "card"})
    for line in _footnotes(evaluation, card, backend.decoding):
        print(line)


def _interval(interval: Interval) -> str:
    return f"{interval.low:.2f} to {interval.high:.2f}"


def _beside(value: float, score: Score | None) -> str:
    if score is None:
        return ""
    difference = value - score.value
    return f"{score.value:.2f} " + ("same" if abs(difference) < _SAME else f"({difference:+.2f})")


def _footnotes(
    evaluation: Evaluation, card: Mapping[str, Score], own: DecodingOptions
) -> Iterator[str]:
    from negah.cli.score_report import scales

    yield "decoding: " + _changed(evaluation.decoding, own)
    for signature in evaluation.scores.signatures.values():
        yield f"  {signature}"
    yield from scales(evaluation.scores)
    for warning in evaluation.scores.warnings:
        yield f"warning: {warning}"
    photos = {score.n for score in card.values()} - {evaluation.scores.images}
    for count in sorted(photos):
        yield f"warning: the card's scores are of {count:,} files, so they are not comparable"
    if card and evaluation.decoding != own:
        yield "warning: the card's scores are with the model's own decoding options"
    for one in evaluation.partial:
        yield f"warning: {one.name}: {one.reason}"
    for failure in evaluation.failures:
        yield f"failed: {failure.name}: {failure.reason}"
    if evaluation.failures:
        yield f"scored {evaluation.scores.images}, failed {len(evaluation.failures)}"


def _changed(decoding: DecodingOptions, own: DecodingOptions) -> str:
    """Method and beam, and every option that differs from the model's own."""
    options, usual = decoding.model_dump(), own.model_dump()
    shown = {name: options[name] for name in ("method", "beam")}
    shown |= {name: value for name, value in options.items() if value != usual[name]}
    return ", ".join(f"{name} {value}" for name, value in shown.items())
