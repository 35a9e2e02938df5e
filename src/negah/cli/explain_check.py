"""``negah explain --check``: the faithfulness of a model's maps on captioned photos."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from negah.cli.data import exit_if_left_out, read_datasets, summary
from negah.cli.paths import outputs
from negah.cli.progress import progress_bar
from negah.cli.splits import split_of_training, tell_split
from negah.cli.streams import say
from negah.cli.tables import print_table
from negah.data import Dataset, Example
from negah.data.examples import split_name
from negah.errors import MissingExtraError, UsageError
from negah.files import write_json
from negah.interrupt import Interrupt

if TYPE_CHECKING:
    from negah.evidence.methods import Evidence
    from negah.faithfulness import Estimate, Report
    from negah.runtime import Captioner, CaptionerSpec

#: The baseline of the chosen method, besides random order.
_BESIDE = "attention"


@dataclass(frozen=True, slots=True)
class Check:
    """Options of the check.

    Attributes:
        spec: which captioner, and how it is run and asked.
        data: captioned photos.
        split: the part of them.
        objects: a file of boxes; None for no pointing.
        photos: the number of photos from the start of the part; None for all.
        method: of evidence; None for what suits the model.
        output: the report as JSON.
        picture: the report as a figure.
        images: folders of the photos.
    """

    spec: CaptionerSpec
    data: tuple[Path, ...]
    split: str
    objects: Path | None
    photos: int | None
    method: str | None
    output: Path | None
    picture: Path | None
    images: tuple[Path, ...]


def run_check(work: Check, dev_fraction: float | None, test_fraction: float | None) -> None:
    """Measure, write and print.

    Raises:
        UsageError: wrong options.
        typer.Exit: some photos could not be read, or it was interrupted.
    """
    _refuse(work)
    if work.output is not None:
        outputs().write(work.output, f"--output {work.output}")
    captioner = work.spec.open()
    captioner.check_photos()
    work.spec.check(captioner, clips=False)
    outputs().read(captioner.files)
    backend = captioner.one_backend(clips=False)
    split = split_of_training(
        [(backend.identity.name, backend.identity.split)], dev_fraction, test_fraction
    )
    datasets = read_datasets(work.data, work.images, split.policy)
    tell_split(split, datasets, split_name(work.split))
    examples = _examples(datasets, work)
    from negah.data.box_files import read_boxes
    from negah.faithfulness import check

    boxes = None
    if work.objects is not None:
        boxes = read_boxes(work.objects).of([one.name for one in examples])
    methods = _methods(work.method, captioner)
    with (
        Interrupt() as interrupt,
        progress_bar(len(examples), wanted=True, label="measuring") as bar,
    ):

        def told() -> None:
            bar.advance()
            if interrupt.asked:
                raise KeyboardInterrupt("measurements are kept, and the same command resumes")

        report = check(
            captioner,
            examples,
            methods,
            dataset="+".join(dataset.name for dataset in datasets),
            boxes=boxes,
            progress=told,
            **work.spec.decoding,
        )
    if work.output is not None:
        write_json(work.output, report.to_dict())
    if work.picture is not None:
        from negah.faithfulness.figure import draw_report

        draw_report(report, work.picture)
    _print(report)
    for name, reason in report.failures.items():
        say(f"failed: {name}: {reason}")
    if report.failures:
        raise typer.Exit(1)
    exit_if_left_out(*datasets)


def _refuse(work: Check) -> None:
    """Refuse wrong options before the work instead of after it."""
    if not work.data:
        raise UsageError("name the captioned photos to measure on: --data PATH")
    if work.output is not None and work.output.suffix.lower() != ".json":
        raise UsageError(f"--output {work.output}: a report is JSON; name a .json file")
    if work.objects is not None and not work.objects.is_file():
        raise UsageError(f"there is no file {work.objects}")
    if work.picture is not None:
        from importlib.util import find_spec

        if work.picture.suffix.lower() != ".png":
            raise UsageError(f"--picture {work.picture}: the figure is PNG; name a .png file")
        if find_spec("matplotlib") is None:
            raise MissingExtraError("matplotlib", "drawing a report")


def _examples(datasets: Sequence[Dataset], work: Check) -> list[Example]:
    part = [one for dataset in datasets for one in dataset.split(work.split)]
    photos = [one for one in part if not one.is_clip]
    if not photos:
        raise UsageError(
            f"no photo is in the part {work.split!r} ({'; '.join(map(summary, datasets))}): choose "
            "another --split"
        )
    return photos[: work.photos]


def _methods(method: str | None, captioner: Captioner) -> dict[str, Evidence]:
    """The method to be checked, and attention for comparison if the model has any."""
    from negah.evidence.methods import EVIDENCE, default_method
    from negah.runtime.explaining import choose_method

    backend = captioner.one_backend(clips=False)
    name = method or default_method(backend)
    methods = {name: choose_method(name, backend)}
    if name != _BESIDE and backend.sight.grid is not None:
        methods[_BESIDE] = EVIDENCE.get(_BESIDE)
    return methods


def _print(report: Report) -> None:
    first, *_ = report.signatures
    rows = []
    curves = {
        "deletion, nats (lower is better)": report.deletion,
        "insertion, nats (higher is better)": report.insertion,
    }
    for label, estimates in {**report.pointing, **curves}.items():
        gaps = report.differences[label.partition(", nats")[0]]
        for place, (name, one) in enumerate(estimates.items()):
            gap = _cell(gaps.get(name))
            shown = "" if place else label
            rows.append((shown, name, f"{one.value:.2f}", _interval(one), gap, f"{one.n:,}"))
        if label in report.chance:
            rows.append(("", "chance", f"{report.chance[label]:.2f}", "", "", ""))
    print(
        f"{report.model} on {report.dataset}, part {report.split}: {report.words:,} content words "
        f"of {report.photos:,} photos"
    )
    columns = ("", "method", "value", "95% interval", f"{first} less it", "words")
    print_table(columns, rows, left={"", "method"})
    for name, value in report.agreement.items():
        print(f"agreement of {first} with {name}: mean rank correlation {value:.2f}")
    _print_support(report.auc, report.calibration_error)
    for signature in report.signatures.values():
        print(f"  {signature}")
    print("  intervals of 95%, by resampling photos")


def _print_support(auc: Mapping[str, Estimate], error: float | None) -> None:
    for name, estimate in auc.items():
        print(f"area under the curve of {name}, supported words above others: {_cell(estimate)}")
    if error is not None:
        print(f"calibration error of seen: {error:.3f}")


def _cell(estimate: Estimate | None) -> str:
    if estimate is None:
        return ""
    return f"{estimate.value:.2f} ({_interval(estimate)})"


def _interval(estimate: Estimate) -> str:
    return f"{estimate.low:.2f} to {estimate.high:.2f}"
