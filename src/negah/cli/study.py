"""``negah study``: an experiment from data to tables, figures and a report."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from negah.cli.compute import wait_passively
from negah.cli.data import READS_DATA
from negah.cli.paths import READS_MODEL, WRITES_FOLDER, Reads, Writes, say_written
from negah.cli.training_progress import training_progress
from negah.errors import MissingExtraError, UnknownNameError, UsageError
from negah.interrupt import Interrupt
from negah.studies import STUDIES, find_study

if TYPE_CHECKING:
    from negah.cli.training_progress import TrainingProgress
    from negah.studies.study import Paths, Study

#: Values of NAME besides studies.
_ALL, _REPORT = "all", "report"


@dataclass(frozen=True, slots=True)
class _Effort:
    """How many trainings of each row, how many side by side, and whether for seconds only."""

    seeds: int | None
    jobs: int | None
    quick: bool


def study(
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", help=f"One of {', '.join(STUDIES)}; {_ALL}; or {_REPORT}."),
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="Flickr8k: photos, captions, official split. For evidence any captioned photos; "
            "without them it is of made clips alone.",
        ),
        READS_DATA,
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="For evidence: the photos.",
            show_default="found beside the captions",
        ),
        Reads(),
    ] = None,
    objects: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="For evidence: boxes of things, as JSON lines, or COCO's instances.",
            show_default=False,
        ),
        Reads(),
    ] = None,
    model: Annotated[
        str | None,
        typer.Option(
            metavar="MODEL",
            help="For evidence: what captions the photos. For persian: whose encoder sees them.",
            show_default="the bundled one",
        ),
        READS_MODEL,
    ] = None,
    text: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Holds text/ and msvd/, sentences without pictures, for word-order and persian.",
            show_default="the folder that --data is in",
        ),
        Reads(),
    ] = None,
    output: Annotated[
        Path,
        typer.Option("--output", "-o", help="The folder of numbers, figures and report."),
        WRITES_FOLDER,
    ] = Path("studies"),
    renew: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FILE",
            help="Another text that cites numbers of the studies, to be filled anew; repeatable.",
            show_default=False,
        ),
        Writes(what="text with renewed numbers"),
    ] = None,
    work: Annotated[
        Path, typer.Option(help="The folder of finished trainings."), WRITES_FOLDER
    ] = Path("runs/studies"),
    features: Annotated[
        Path, typer.Option(help="The folder of stored image features."), WRITES_FOLDER
    ] = Path("features"),
    seeds: Annotated[
        int | None,
        typer.Option(min=1, max=10, help="Trainings of each row.", show_default="the study's: 3"),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            min=1, max=256, help="Trainings side by side.", show_default="one for each core"
        ),
    ] = None,
    quick: Annotated[
        bool,
        typer.Option(
            "--quick",
            help="A run of seconds on synthetic photos; results are not "
            "meaningful; for testing only.",
        ),
    ] = False,
) -> None:
    """Repeat a study: train its rows, measure them, write numbers, figures and a report.

    Finished trainings are kept, so that a study that was stopped or killed goes on where it was:
    Ctrl-C ends it after the trainings that run, a second one at once. "report" trains nothing: it
    generates report.html from the results in the folder of the output, and renews the sentences,
    tables and numbers there.

    \b
    negah study gru-gates --data flickr8k/
    negah study all --data flickr8k/ --output docs/studies
    negah study all --quick --output /tmp/studies --work /tmp/studies/work
    negah study evidence --data captions.csv --images images/ --objects boxes.jsonl
    negah study persian --data flickr8k/
    negah study report --output docs/studies --renew docs/questions.md
    """
    if name not in (*STUDIES, _ALL, _REPORT):
        raise UnknownNameError("study", name, [*STUDIES, _ALL, _REPORT])
    for page in renew or ():
        if not page.is_file():
            raise UsageError(f"--renew {page}: no such file")
    if name != _REPORT:
        chosen = [find_study(each) for each in (STUDIES if name == _ALL else [name])]
        if name == _ALL and data is not None:  # named alone, it is refused instead
            chosen = [one for one in chosen if not _lacking(one, data)]
        _refuse_to_replace(output, chosen, quick, seeds)
        _check(chosen, data, objects, quick)
        given = _paths(data, text, work, features, quick)
        if not quick:
            _check_text(chosen, given, text)
        if quick or data is not None:
            from negah.studies.study import Captioned

            given = replace(given, captioned=Captioned(given.data, images, objects, model))
        wait_passively()
        with training_progress() as progress, Interrupt(_say_when(progress)) as interrupt:
            for one in chosen:
                paths = replace(given, work=given.work / one.name)
                if not _run(one, paths, output, _Effort(seeds, jobs, quick), progress, interrupt):
                    raise KeyboardInterrupt
    _report(output, renew or ())


def _lacking(study: Study, data: Path) -> list[str]:
    """The files that a study needs in the folder of the photos, and that are not there."""
    return [name for name in study.beside if not (data / name).is_file()]


def _check(studies: list[Study], data: Path | None, objects: Path | None, quick: bool) -> None:
    """Refuse before hours of work what would fail after them."""
    for module in ("torch", "matplotlib"):
        if find_spec(module) is None:
            raise MissingExtraError(module, "a study")
    if objects is not None and not objects.is_file():
        raise UsageError(f"there is no file {objects}")
    if quick:
        return
    if data is None and any(one.learns_from_photos for one in studies):
        raise UsageError(
            "a study learns from Flickr8k: give its folder with --data, or try --quick, "
            "which makes photos of its own"
        )
    if data is None:
        return
    if not data.exists():
        raise UsageError(f"--data {data}: no such folder")
    for one in studies:
        if missing := _lacking(one, data):
            raise UsageError(
                f"{one.name} needs {missing[0]} in {data}: a table image,caption,split of the same "
                "photos in another language"
            )


def _check_text(studies: list[Study], paths: Paths, text: Path | None) -> None:
    reading = next((one.name for one in studies if one.reads_text), None)
    if reading is not None and paths.text is None:
        raise UsageError(
            f"{reading} learns from sentences without pictures, and "
            f"{text or f'the folder beside {paths.data}'} holds no folder text/: give one with "
            "--text"
        )


def _paths(data: Path | None, text: Path | None, work: Path, features: Path, quick: bool) -> Paths:
    """Where photos and texts are, and the folder in which each study gets one of its own."""
    from negah.studies.made import make_photos
    from negah.studies.study import Paths

    here = work / ("quick" if quick else "full")
    if quick:
        return Paths(make_photos(here / "made" / "photos"), here, here / "made" / "features")
    if data is None:
        return Paths(here, here, features)
    texts = text or data.resolve().parent
    return Paths(data, here, features, texts if (texts / "text").is_dir() else None)


def _refuse_to_replace(output: Path, studies: list[Study], quick: bool, seeds: int | None) -> None:
    """Numbers that mean nothing, or less, do not replace those that are there."""
    from negah.studies.report import read_results

    found = read_results(output)
    for one in studies:
        if one.name not in found or found[one.name].get("quick"):
            continue
        new = seeds or len(one.options(quick=False).seeds)
        old = len(found[one.name].get("options", {}).get("seeds", ()))
        if quick or new < old:
            raise UsageError(
                f"{output} holds full results of {one.name}, which "
                f"{'--quick' if quick else f'{new} seeds, not {old},'} would replace: give "
                "another folder with --output"
            )


def _run(
    study: Study,
    paths: Paths,
    output: Path,
    effort: _Effort,
    progress: TrainingProgress,
    interrupt: Interrupt,
) -> bool:
    """Run one study and write what it found; False if it was stopped."""
    from negah.files import write_json
    from negah.studies.pages import made_parts
    from negah.studies.results import Results
    from negah.studies.run import run_study

    options = study.options(effort.quick)
    if effort.seeds is not None:
        options = options.model_copy(update={"seeds": tuple(range(effort.seeds))})
    results = run_study(
        study, options, paths, progress=lambda *told: progress.advance(*told),
        jobs=effort.jobs or os.cpu_count() or 1, stop=lambda: interrupt.asked,
    )  # fmt: skip
    if results is None:
        return False
    results["quick"] = effort.quick
    results["command"] += " --quick" if effort.quick else _arguments(paths)
    write_json(output / f"{study.name}.json", results)
    study.figures(Results(results), output)
    parts = made_parts(study, results)
    print(f"{study.title}\n{study.question}\n")
    print("\n\n".join(part for title, part in parts.items() if title != "setting" and part), "\n")
    return True


def _arguments(paths: Paths) -> str:
    """What a study was given, without the folders that it lies in."""
    captioned = paths.captioned
    if captioned is None:
        return ""
    data = captioned.data.resolve()
    given = {
        "--data": data.name + "/" * data.is_dir(),
        "--images": captioned.images and captioned.images.name,
        "--objects": captioned.objects and captioned.objects.name,
        "--model": captioned.model and Path(captioned.model).name,
    }
    return "".join(f" {option} {name}" for option, name in given.items() if name)


def _say_when(progress: TrainingProgress) -> Callable[[], None]:
    return lambda: progress.message(
        "ending after the trainings that run; Ctrl-C again ends them at once"
    )


def _report(output: Path, others: Sequence[Path]) -> None:
    """Renew the words of the results, the pages beside them and other texts; make the report."""
    from negah.studies.report import renew_pages, renew_words, write_report

    renew_words(output)
    report = output / "report.html"
    shown = write_report(output, report)
    renew_pages(output, others)
    say_written(report, f"report of {', '.join(shown)}")
