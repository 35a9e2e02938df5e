"""``negah diagnose``: find faults of a captioner and suggest changes."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from negah.cli.compute import use_threads, wait_passively
from negah.cli.data import READS_DATA, Images, Threads, exit_if_left_out, join, read_datasets
from negah.cli.limits import MaxPixels
from negah.cli.paths import READS_MODEL, Writes
from negah.cli.splits import (
    DevFractionOfModel,
    TestFractionOfModel,
    split_of_training,
    tell_split,
)
from negah.cli.streams import StandardRows
from negah.cli.training_progress import training_progress
from negah.data import Dataset, Example
from negah.errors import MissingExtraError, UsageError
from negah.files import write_json
from negah.json_layout import indented_json
from negah.media import MAX_PIXELS
from negah.outputs import OutputKind
from negah.progress import Progress

if TYPE_CHECKING:
    from negah.diagnostics import Diagnosis
    from negah.diagnostics.diagnosed import DiagnosedModel


class ReportFormat(StrEnum):
    """The format in which a diagnosis is printed."""

    TEXT = "text"
    JSON = "json"


def diagnose(
    model: Annotated[
        str,
        typer.Argument(
            metavar="RUN|BUNDLE",
            help="A training run's folder, a bundle's folder, or the name of a bundled model.",
            show_default=False,
        ),
        READS_MODEL,
    ],
    data: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="PATH",
            help="Captioned photos or clips for the diagnosis.",
            show_default="none; only the checks that need no photos",
        ),
        READS_DATA,
    ] = None,
    photos: Annotated[
        int,
        typer.Option(
            min=2, max=1_000_000, help="Number of photos to caption; gradients need fewer."
        ),
    ] = 100,
    batches: Annotated[
        int,
        typer.Option(min=1, max=10_000, help="Batches of 8 photos for measuring gradients."),
    ] = 4,
    form: Annotated[
        ReportFormat, typer.Option("--format", help="Output format.")
    ] = ReportFormat.TEXT,
    picture: Annotated[
        Path | None,
        typer.Option(help="Draw the numbers as a PNG.", show_default=False),
        Writes(OutputKind.PICTURE, "figure of the diagnosis"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option("--output", "-o", help="Write JSON here.", show_default=False),
        Writes(what="diagnosis"),
    ] = None,
    images: Images = None,
    dev_fraction: DevFractionOfModel = None,
    test_fraction: TestFractionOfModel = None,
    threads: Threads = None,
    max_pixels: MaxPixels = MAX_PIXELS,
) -> None:
    """Diagnose a model: vanishing gradients, saturated gates, collapsed attention, repeated
    captions.

    Measures the Jacobian of the recurrent state over several words, gradients by layer and by time
    step, saturated gates, attention that is flat or always in the same place, untrained word
    vectors, and identical captions of different photos. Held-out photos are used if available.

    \b
    negah diagnose runs/cam-rnn --data flickr8k/
    negah diagnose negah-photo --data flickr8k/ --picture health.png --output health.json
    negah diagnose my-model/ --format json

    Exit code: 0 diagnosed, whatever was found; 1 the model or the data is damaged, 2 wrong usage.
    """
    _check_picture(picture)
    wait_passively()
    from negah.diagnostics.diagnosed import choose, load_subject

    use_threads(threads)
    subject = load_subject(model)
    examples: list[Example] = []
    datasets: list[Dataset] = []
    on = "8 made pictures with the model's own captions"
    if data:
        split = split_of_training([(subject.name, subject.split)], dev_fraction, test_fraction)
        datasets = read_datasets(data, images or (), split.policy)
        dataset = join(datasets)
        tell_split(split, [dataset])
        examples = choose(dataset.examples, photos)
        on = f"{len(examples)} of {dataset.name}, part {examples[0].split}"
    with training_progress() as progress:
        diagnosis, failed = _measure(subject, examples, batches, progress.advance, max_pixels)
    report = {"model": subject.name, "kind": subject.kind, "on": on, "unreadable": failed}
    report |= diagnosis.to_dict()
    if output is not None:
        write_json(output, report)
    if picture is not None:
        from negah.diagnostics.picture import draw

        draw(diagnosis, f"{subject.name} on {on}", picture)
    if form is ReportFormat.JSON:
        StandardRows(utf8=True).write(indented_json(report) + "\n")
    else:
        _print(subject, diagnosis, on, failed, made=not examples)
    exit_if_left_out(*datasets)


def _check_picture(picture: Path | None) -> None:
    """Refuse a wrong output before the work instead of after it."""
    if picture is None:
        return
    if picture.suffix.lower() != ".png":
        raise UsageError(f"--picture {picture}: pictures are PNG, so the name ends in .png")
    from importlib.util import find_spec

    if find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "drawing a diagnosis")


def _measure(
    subject: DiagnosedModel, examples: list[Example], batches: int, told: Progress, max_pixels: int
) -> tuple[Diagnosis, int]:
    """The diagnosis, and how many photos could not be read."""
    from dataclasses import replace

    from negah.diagnostics import examine, said
    from negah.diagnostics.diagnosed import made_sample, read_photos, samples, write_captions

    tail = {"encoder": subject.encoder.tail_blocks}
    if not examples:
        found = examine(subject.captioner, [made_sample(subject)], modules=tail)
        # where it looks on noise, and how surely, says nothing of how it looks on photos
        return replace(found, attention={}, gate=None, dead=subject.dead), 0
    photos = read_photos(
        subject,
        examples,
        lambda done, all_: told("photos", done, all_),
        max_pixels=max_pixels,
    )
    chosen = samples(subject, photos, batches=batches)
    found = examine(
        subject.captioner,
        (make() for make in chosen),
        modules=tail,
        progress=lambda done: told("gradients", done, len(chosen)),
    )
    captions = write_captions(subject, photos, lambda done, all_: told("captions", done, all_))
    return replace(found, said=said(captions), dead=subject.dead), photos.failed


def _print(subject: DiagnosedModel, found: Diagnosis, on: str, failed: int, *, made: bool) -> None:
    from negah.diagnostics import at_distance, per_step

    kind = getattr(subject.captioner, "options", None)
    cell = f", {kind.cell} of {kind.hidden_size}" if kind is not None else ""
    print(f"{subject.name} ({subject.kind} {subject.path}{cell}, {len(subject.tokenizer):,} words)")
    print(f"on {on}: {found.captions} captions, {_number(found.loss)} nats a word")
    if failed:
        print(f"{failed} photos could not be read and are left out")
    if made:
        print(
            "without --data there are no photos: attention and the diversity of captions are not "
            "checked"
        )
    print()
    rows: list[tuple[str, Any]] = []
    for distance in (1, 5, 10):
        value = at_distance(found.jacobian, distance)
        note = "" if distance < len(found.jacobian) else " (carried on)"
        rows.append((f"of a state left after {distance:>2} words", f"{_number(value)}{note}"))
    rows.append(("factor of each word", _number(per_step(found.jacobian))))
    if found.last_word[0]:
        reach = found.last_word[-1] / found.last_word[0]
        rows.append(
            (f"last word's gradient, {len(found.last_word) - 1} words before", _number(reach))
        )
    for name, layer in found.layers.items():
        rows.append((f"gradient of {name}", f"{_number(layer.gradient)}"))
    for name, gate in found.saturation.items():
        rows.append(
            (f"gate {name}" if name != "units" else name,
             f"{gate['shut']:.0%} shut, {gate['open']:.0%} open")
        )  # fmt: skip
    for name, look in found.attention.items():
        rows.append(
            (f"attention to {name}",
             f"entropy {look['entropy']:.2f}, information {look['information']:.3f} of 1")
        )  # fmt: skip
    if found.gate is not None:
        rows.append(("balancing gate", f"{found.gate['mean']:.2f} ± {found.gate['deviation']:.2f}"))
    if found.dead is not None:
        rows.append(("untrained word vectors", f"{found.dead:.1%}"))
    if found.said:
        rows.append(("distinct captions", f"{found.said['distinct']:.0%}"))
        share = f"{found.said['most_frequent_share']:.0%}"
        rows.append(("most frequent caption", f"{share}: {found.said['most_frequent']}"))
    width = max(len(name) for name, _ in rows)
    for name, value in rows:
        print(f"{name:<{width}}  {value}")
    print()
    print("\n".join(found.verdict().sentences()))


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"
