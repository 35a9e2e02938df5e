"""``negah study``: an experiment from data to tables and figures."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from negah.cli.compute import use_threads, wait_passively
from negah.cli.training_progress import training_progress
from negah.errors import UnknownNameError
from negah.interrupt import Interrupt
from negah.studies import STUDIES


def study(
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="The study; there is: synthetic.")
    ] = "synthetic",
    output: Annotated[
        Path, typer.Option("--output", "-o", help="The folder of the numbers and figures.")
    ] = Path("studies"),
    work: Annotated[
        Path, typer.Option(help="The folder of features and finished trainings.")
    ] = Path("runs/study-synthetic"),
    seeds: Annotated[int, typer.Option(min=1, max=10, help="Trainings of each system.")] = 3,
    quick: Annotated[
        bool, typer.Option("--quick", help="The whole path in seconds; its numbers mean nothing.")
    ] = False,
    threads: Annotated[int, typer.Option(min=1, help="Threads to compute with.")] = 1,
) -> None:
    """Repeat a study: train its systems, measure them, write numbers and figures.

    synthetic: which attention of CAM-RNN finds what, on made clips whose truth is known. Nine
    systems, three seeds each. Finished trainings are kept, so that an interrupted study goes
    on; Ctrl-C ends it after the training that runs, a second one at once. Where the folder of
    the output has the report synthetic.md, its tables are renewed.

    \b
    negah study synthetic --output docs/studies
    negah study synthetic --quick --output /tmp/study --work /tmp/study-work
    """
    if name not in STUDIES:
        raise UnknownNameError("study", name, STUDIES)
    wait_passively()
    from negah.files import write_json, write_text
    from negah.studies.synthetic import StudyOptions, quick_options, verdicts
    from negah.studies.synthetic.figures import draw_figures
    from negah.studies.synthetic.report import made_parts, renew
    from negah.studies.synthetic.run import draw_looks, run_study

    use_threads(threads)
    options = quick_options() if quick else StudyOptions(seeds=tuple(range(seeds)))
    with training_progress() as progress, Interrupt() as interrupt:
        results = run_study(options, work, progress=progress.advance, stop=lambda: interrupt.asked)
    if results is None:
        raise KeyboardInterrupt
    results["verdicts"] = verdicts(results)
    write_json(output / "synthetic.json", results)
    for title, part in made_parts(results).items():
        print(f"{title}\n\n{part}\n")
    report = output / "synthetic.md"
    if report.is_file():
        write_text(report, renew(report.read_text(encoding="utf-8"), results))
    drawn = [
        *draw_figures(results, output),
        draw_looks(options, work, output / "synthetic-look.png"),
    ]
    print(", ".join(str(path) for path in [output / "synthetic.json", *drawn] if path))
