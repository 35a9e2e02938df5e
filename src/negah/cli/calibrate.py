"""``negah calibrate``: fit and store calibrated confidences of a model's words and captions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from negah.cli.data import DataOption, Images, exit_if_incomplete, read_as_trained
from negah.cli.limits import MaxPixels
from negah.cli.models import ModelArgument
from negah.cli.paths import WRITES_FOLDER, Reads, Writes, outputs, say_written
from negah.cli.progress import progress_bar
from negah.cli.splits import DevFractionOfModel, TestFractionOfModel
from negah.cli.tables import print_table
from negah.errors import UsageError
from negah.files import write_json
from negah.media import MAX_PIXELS

if TYPE_CHECKING:
    from negah.backends import Backend
    from negah.calibration import Calibrated
    from negah.calibration.report import GroupMeasures
    from negah.data import Example


def calibrate(
    model: ModelArgument,
    data: DataOption,
    split: Annotated[str, typer.Option(help="Which part to fit on: dev or train.")] = "dev",
    objects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Boxes of objects in some of the photos: JSON lines, or COCO's instances.",
            show_default=False,
        ),
        Reads(),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            help="The calibrated bundle's folder; of any other model the calibration's, for "
            "--calibration.",
            show_default="none: measure and print",
        ),
        WRITES_FOLDER,
    ] = None,
    apart: Annotated[
        bool,
        typer.Option("--apart", help="Also for a bundle: write only the calibration."),
    ] = False,
    json_file: Annotated[
        Path | None,
        typer.Option("--json", help="Write the measurements to this file.", show_default=False),
        Writes(what="measurements"),
    ] = None,
    limit: Annotated[
        int, typer.Option(min=2, metavar="N", help="Maximum number of files to caption.")
    ] = 4000,
    references: Annotated[
        int,
        typer.Option(
            min=0,
            max=16,
            metavar="N",
            help="Number of reference pictures, which replace the captioned one; stored with the "
            "calibration.",
        ),
    ] = 3,
    others: Annotated[
        int,
        typer.Option(
            min=0, max=10_000, metavar="N", help="Number of pictures that are not photographs."
        ),
    ] = 240,
    images: Images = None,
    dev_fraction: DevFractionOfModel = None,
    test_fraction: TestFractionOfModel = None,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Calibrate a model: the probability that the picture supports a word (seen) or a caption.

    The part dev is captioned, and generated pictures that are not photographs; references, and
    boxes if there are any, show which words are true. The part train shows how often people agree
    on a word, and provides the reference pictures. The table is cross-validated by photo. The test
    part is refused: nothing may be fitted on it.

    \b
    negah calibrate runs/cam-rnn/bundle --data flickr8k/ --output calibrated
    negah calibrate negah-photo --data flickr8k/ --data photos.csv --objects boxes.jsonl
    negah calibrate hf:ORG/NAME --data flickr8k/ --output calibration
    negah caption photo.jpg --model hf:ORG/NAME --calibration calibration --format json

    Exit code: 0 done, 1 some files, or rows of a table, could not be read, 2 wrong usage.
    """
    if split == "test":
        raise UsageError("a calibration must not be fitted on the test part: use dev")
    if objects is not None and not objects.is_file():
        raise UsageError(f"there is no file {objects}")
    from negah.calibration import CollectOptions, Collector, fit
    from negah.cli.metric_options import seen_in
    from negah.runtime.models import open_backend

    backend = open_backend(model)
    outputs().read(backend.identity.files)
    save = _saving(backend, output, apart=apart)
    fractions = dev_fraction, test_fraction
    datasets = read_as_trained(backend.identity, data, images, fractions, split)
    chosen = _sampled([(one.name, e) for one in datasets for e in one.split(split)], limit)
    if not chosen:
        raise UsageError(f"no file is in the part {split!r}; choose another --split")
    learned = [example for dataset in datasets for example in dataset.split("train")]
    boxed = seen_in(objects, {example.name: () for _, example in chosen}) or {}
    options = CollectOptions(references=references, others=others, max_pixels=max_pixels)
    with progress_bar(len(chosen) + others, wanted=True) as bar:
        collected = Collector(backend, chosen, learned, options).collect(boxed, bar.advance)
    names = " + ".join(collected.datasets)
    calibrated = fit(collected, f"{names}, part {split}, {len(chosen):,} files")
    if json_file is not None:
        write_json(json_file, {"model": backend.identity.name, **calibrated.to_dict()})
    _print(calibrated, backend.identity.name, names)
    if output is not None:
        save(calibrated, names, split)
    exit_if_incomplete(calibrated.unread, datasets, "files")


def _saving(
    backend: Backend, output: Path | None, *, apart: bool
) -> Callable[[Calibrated, str, str], None]:
    """The function that writes the calibration; a wrong ``output`` is refused here.

    Raises:
        UsageError: the output holds something else.
    """
    from negah.bundle.writer import refuse_to_overwrite
    from negah.calibration import save_apart, save_calibration
    from negah.calibration.save import refuse_apart
    from negah.runtime.onnx import OnnxBackend

    def save(calibrated: Calibrated, names: str, split: str) -> None:
        assert output is not None
        scores, calibration = calibrated.scores(names, split), calibrated.calibration
        if isinstance(backend, OnnxBackend) and not apart:
            save_calibration(backend.bundle, calibration, output, scores)
            say_written(output, "bundle with the calibration")
        else:
            save_apart(backend, calibration, output, scores)
            say_written(output, "calibration")

    if output is not None and isinstance(backend, OnnxBackend) and not apart:
        refuse_to_overwrite(output)
    elif output is not None:
        refuse_apart(output)
    elif apart:
        raise UsageError("--apart needs --output FOLDER: add it, or leave out --apart")
    return save


def _sampled(examples: Sequence[tuple[str, Example]], limit: int) -> list[tuple[str, Example]]:
    """A random sample of the examples, in their order."""
    if len(examples) <= limit:
        return list(examples)
    drawn = np.random.default_rng(0).permutation(len(examples))[:limit]
    return [examples[place] for place in sorted(drawn.tolist())]


def _print(calibrated: Calibrated, model: str, names: str) -> None:
    def cells(row: GroupMeasures) -> list[str]:
        measured = (row.auc, row.auc_logprob, row.gain, row.error)
        return [
            row.group, f"{row.number:,}", f"{row.supported:.1%}",
            *(f"{value:.3f} ({low:.3f} to {high:.3f})" for value, low, high in measured),
        ]  # fmt: skip

    print(f"{model} on {calibrated.photos:,} files of {names}, cross-validated by file")
    columns = ("", "number", "true", "AUC", "of log-probability", "gain", "error")
    print_table(columns, map(cells, calibrated.rows), left={""})
    print(
        f"of people's own content words {calibrated.own_words:.1%} are supported by the others' "
        "captions"
    )
    print(
        f"confidence below {calibrated.calibration.spec.threshold:.4f}: "
        f"{calibrated.photos_below:.1%} of the files, "
        f"{calibrated.others_below:.1%} of {calibrated.others:,} pictures that are no photographs"
    )
