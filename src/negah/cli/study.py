"""``negah study``: an experiment from data to tables, figures and a report."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from negah.cli.compute import use_threads, wait_passively
from negah.cli.data import READS_DATA
from negah.cli.paths import READS_MODEL, WRITES_FOLDER, Reads
from negah.cli.training_progress import training_progress
from negah.errors import MissingExtraError, UnknownNameError, UsageError
from negah.interrupt import Interrupt
from negah.studies import STUDIES, find_study

if TYPE_CHECKING:
    from negah.cli.training_progress import TrainingProgress
    from negah.studies.study import Paths

#: Values of NAME besides studies.
_ALL, _REPORT = "all", "report"
#: The study that takes any captioned photos, or none.
_EVIDENCE = "evidence"
#: The study that needs captions in a second language beside those of the photos.
_PERSIAN, _PERSIAN_TABLE = "persian", "captions_fa.csv"
#: Studies that learn sentences without pictures.
_READING = ("word-order", _PERSIAN)
_HTML = "report.html"
#: Trainings of each row, unless told otherwise.
_SEEDS = 3


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
    Ctrl-C ends it after the trainings that run, a second one at once. Where the folder of the
    output has the study's page, NAME.md, its tables are made anew. "report" makes report.html
    from the results that are there, without training.

    \b
    negah study gru-gates --data flickr8k/
    negah study all --data flickr8k/ --output docs/studies
    negah study all --quick --output /tmp/studies --work /tmp/studies/work
    negah study evidence --data captions.csv --images images/ --objects boxes.jsonl
    negah study persian --data flickr8k/
    negah study report --output docs/studies
    """
    if name not in (*STUDIES, _ALL, _REPORT):
        raise UnknownNameError("study", name, [*STUDIES, _ALL, _REPORT])
    names = list(STUDIES) if name == _ALL else [name]
    if name != _REPORT:
        if not quick and data is None and names not in (["synthetic"], [_EVIDENCE]):
            raise UsageError(
                "a study learns from Flickr8k: give its folder with --data, or try --quick, "
                "which makes photos of its own"
            )
        if name == _ALL and data is not None and not (data / _PERSIAN_TABLE).is_file():
            names.remove(_PERSIAN)
        _refuse_to_replace(output, names, quick, seeds)
        _check(names, data, text, quick)
        if objects is not None and not objects.is_file():
            raise UsageError(f"there is no file {objects}")
        wait_passively()
        effort = _Effort(seeds, jobs, quick)
        with training_progress() as progress, Interrupt(_say_when(progress)) as interrupt:
            for each in names:
                work_here = work / ("quick" if quick else "full") / each
                if each == "synthetic":
                    done = _synthetic(work_here, output, effort, progress, interrupt)
                else:
                    paths = _paths(data, text, work_here, features, quick)
                    if each == _EVIDENCE and (quick or data is not None):
                        from negah.studies.study import Captioned

                        captioned = Captioned(paths.data, images, objects, model)
                        paths = replace(paths, captioned=captioned)
                    elif name == _PERSIAN and model is not None and not quick:
                        from negah.studies.study import Captioned

                        paths = replace(paths, captioned=Captioned(paths.data, model=model))
                    done = _study(each, paths, output, effort, progress, interrupt)
                if not done:
                    raise KeyboardInterrupt
    _report(output)


def _check(names: list[str], data: Path | None, text: Path | None, quick: bool) -> None:
    """Refuse before hours of work what would fail after them."""
    for module in ("torch", "matplotlib"):
        if find_spec(module) is None:
            raise MissingExtraError(module, "a study")
    if quick or data is None:
        return
    if not data.exists():
        raise UsageError(f"--data {data}: no such folder")
    reading = next((name for name in names if name in _READING), None)
    if reading is not None and _beside(data, text) is None:
        raise UsageError(
            f"{reading} learns from sentences without pictures, and {text or 'the folder beside'}"
            f"{'' if text else f' {data}'} holds no folder text/: give one with --text"
        )
    if _PERSIAN in names and not (data / _PERSIAN_TABLE).is_file():
        raise UsageError(
            f"persian needs {_PERSIAN_TABLE} in {data}: a table image,caption,split of the same "
            "photos in Persian"
        )


def _say_when(progress: TrainingProgress) -> Callable[[], None]:
    return lambda: progress.message(
        "ending after the trainings that run; Ctrl-C again ends them at once"
    )


def _report(output: Path) -> None:
    """Write the report, and renew the numbers in the texts beside it and above it."""
    from negah.files import write_text
    from negah.studies.numbers import renew_numbers
    from negah.studies.report import read_results, write_report

    shown = write_report(output, output / _HTML)
    results = read_results(output)
    for page in sorted([*output.glob("*.md"), *output.parent.glob("questions*.md")]):
        text = page.read_text(encoding="utf-8")
        renewed = renew_numbers(text, results, persian=page.name.endswith(".fa.md"))
        if renewed != text:
            write_text(page, renewed)
    print(f"{output / _HTML}: {', '.join(shown)}")


def _refuse_to_replace(output: Path, names: list[str], quick: bool, seeds: int | None) -> None:
    """Numbers that mean nothing, or less, do not replace those that are there."""
    from negah.studies.report import read_results

    real = {name: found for name, found in read_results(output).items() if not found.get("quick")}
    for name, found in real.items():
        ours, theirs = seeds or _SEEDS, len(found.get("options", {}).get("seeds", ()))
        if name in names and (quick or ours < theirs):
            raise UsageError(
                f"{output} holds full results of {name}, which "
                f"{'--quick' if quick else f'{ours} seeds, not {theirs},'} would replace: give "
                "another folder with --output"
            )


def _paths(data: Path | None, text: Path | None, work: Path, features: Path, quick: bool) -> Paths:
    """Where photos, work, features and texts are."""
    from negah.studies.made import make_photos
    from negah.studies.study import Paths

    if quick:
        made = work.parent / "made"
        return Paths(make_photos(made / "photos"), work, made / "features")
    if data is None:
        return Paths(work, work, features)
    return Paths(data, work, features, _beside(data, text))


def _beside(data: Path, text: Path | None) -> Path | None:
    """The folder of the texts; None if it holds none."""
    folder = text or data.resolve().parent
    return folder if (folder / "text").is_dir() else None


def _study(
    name: str,
    paths: Paths,
    output: Path,
    effort: _Effort,
    progress: TrainingProgress,
    interrupt: Interrupt,
) -> bool:
    """Run one study and write what it found; False if it was stopped."""
    from negah.files import write_json, write_text
    from negah.studies.pages import made_parts, renew
    from negah.studies.results import Results
    from negah.studies.run import run_study

    chosen = find_study(name)
    quick, options = effort.quick, chosen.options(effort.quick)
    if effort.seeds is not None:
        options = options.model_copy(update={"seeds": tuple(range(effort.seeds))})
    results = run_study(
        chosen, options, paths, progress=lambda *told: progress.advance(*told),
        jobs=effort.jobs or os.cpu_count() or 1, stop=lambda: interrupt.asked,
    )  # fmt: skip
    if results is None:
        return False
    results["quick"] = quick
    results["command"] += " --quick" if quick else _arguments(paths)
    write_json(output / f"{name}.json", results)
    chosen.figures(Results(results), output)
    parts = made_parts(chosen, results)
    page = output / f"{name}.md"
    if page.is_file():
        write_text(page, renew(page.read_text(encoding="utf-8"), parts))
    print(f"{chosen.title}\n{chosen.question}\n")
    print("\n\n".join(part for title, part in parts.items() if title != "setting" and part), "\n")
    return True


def _arguments(paths: Paths) -> str:
    """What a study was given, without the folders that it lies in."""
    captioned = paths.captioned
    if captioned is None:
        return "" if paths.data == paths.work else f" --data {paths.data.resolve().name}/"
    given = {
        "--data": captioned.data, "--images": captioned.images, "--objects": captioned.objects,
        "--model": None if captioned.model is None else Path(captioned.model),
    }  # fmt: skip
    return "".join(f" {name} {path.name}" for name, path in given.items() if path is not None)


def _synthetic(
    work: Path,
    output: Path,
    effort: _Effort,
    progress: TrainingProgress,
    interrupt: Interrupt,
) -> bool:
    from negah.files import write_json, write_text
    from negah.studies.pages import parts_of, renew
    from negah.studies.synthetic import StudyOptions, quick_options, verdicts
    from negah.studies.synthetic.figures import draw_figures
    from negah.studies.synthetic.run import draw_looks, run_study

    use_threads(1)
    quick, seeds = effort.quick, tuple(range(effort.seeds or _SEEDS))
    options = quick_options() if quick else StudyOptions(seeds=seeds)
    results = run_study(options, work, progress=progress.advance, stop=lambda: interrupt.asked)
    if results is None:
        return False
    results |= {"quick": quick, "verdicts": verdicts(results)}
    write_json(output / "synthetic.json", results)
    parts = parts_of("synthetic", results)
    for title, part in parts.items():
        print(f"{title}\n\n{part}\n")
    report = output / "synthetic.md"
    if report.is_file():
        write_text(report, renew(report.read_text(encoding="utf-8"), parts))
    draw_figures(results, output)
    draw_looks(options, work, output / "synthetic-look.png")
    return True
