"""Running a study: each cell in a process of its own, several side by side, finished ones kept.

A cell is one variant with one seed. What it found is a file, named after all that decides it, so
that a study that was stopped or killed goes on with the cells that are missing. A process of its
own makes its peak memory its own, too.

What a study learns from is not in the names, but noted beside the cells when they begin
(:mod:`negah.studies.made_of`): cells of other photos or captions are refused.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
import sys
import time
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, Literal

from negah.errors import NegahError
from negah.files import write_json
from negah.studies.made_of import MADE_OF, PREPARED, check_data, note_data
from negah.studies.results import Results
from negah.studies.study import Paths, Progress, Study, StudyOptions, key_of

#: Seconds between two words of a cell on how far it is.
_TOLD_EVERY = 0.5


@dataclass(frozen=True, slots=True)
class _Task:
    """One thing to do in a process of its own, and the file that it leaves."""

    kind: Literal["prepare", "facts", "cell"]
    label: str
    path: Path
    variant: str = ""
    seed: int = 0


def run_study(
    study: Study,
    options: StudyOptions,
    paths: Paths,
    *,
    progress: Progress,
    jobs: int = 1,
    stop: Callable[[], bool] = lambda: False,
) -> dict[str, Any] | None:
    """Do what is missing of a study.

    Args:
        study: which.
        options: its setting; cells of other settings stay where they are.
        paths: of data and work.
        progress: told what is under way.
        jobs: cells side by side, each on one core.
        stop: asked before each cell whether to end here.

    Returns:
        the results, JSON-ready, or None if it was stopped before the last cell.

    Raises:
        UsageError: the cells that are kept have learned from other data.
        NegahError: what a cell raised; those that are done are kept.
    """
    folder = paths.work / f"cells-{_key(study, options)}"
    data = study.made_of(paths)
    check_data(folder, data, paths)
    variants = list(study.variants(options))
    cells = [
        _Task("cell", f"{variant}, seed {seed}", folder / _file(variant, seed), variant, seed)
        for seed in options.seeds
        for variant in variants
    ]
    facts_of = study.facts_of(options, paths)
    facts = _Task("facts", "facts", folder / _facts_file(options.seeds, facts_of))
    missing = [task for task in (facts, *cells) if not task.path.is_file()]
    prepared = _Task("prepare", "preparing", folder / PREPARED)
    if missing:
        # what is there already is found again, which takes seconds
        if not _run_all([prepared], study, options, paths, 1, progress, stop):
            return None
        note_data(folder, data)
        if not _run_all(missing, study, options, paths, jobs, progress, stop):
            return None
    note_data(folder, data)
    results: dict[str, Any] = {
        "study": study.name,
        "title": study.title,
        "question": study.question,
        "claim": study.claim,
        "command": f"negah study {study.name}",
        "options": options.model_dump(mode="json"),
        "signatures": study.signatures(paths),
        "environment": _read_json(folder / MADE_OF)["environment"],
        "facts": _read_json(facts.path),
        "cells": [
            {"variant": cell.variant, "seed": cell.seed, **_read_json(cell.path)} for cell in cells
        ],
    }
    results["verdicts"] = study.verdicts(Results(results))
    return results


def _run_all(
    tasks: list[_Task],
    study: Study,
    options: StudyOptions,
    paths: Paths,
    jobs: int,
    progress: Progress,
    stop: Callable[[], bool],
) -> bool:
    """Run tasks, ``jobs`` at a time; False if asked to stop before the last."""
    # a fork of a server that has PyTorch already starts in no time; Windows cannot fork
    context: Any = multiprocessing.get_context("spawn" if os.name == "nt" else "forkserver")
    if os.name != "nt":
        context.set_forkserver_preload(["negah.studies.worker", study.computing])
    waiting = iter(enumerate(tasks, 1))
    running: dict[Connection, tuple[Any, _Task, str]] = {}
    failed: BaseException | None = None
    stopped = False
    try:
        while True:
            while len(running) < jobs and failed is None and not (stopped := stopped or stop()):
                number, task = next(waiting, (0, None))
                if task is None:
                    break
                ours, theirs = context.Pipe(duplex=False)
                arguments = (theirs, study, options, paths, task)
                process = context.Process(target=_work, args=arguments, daemon=True)
                process.start()
                theirs.close()
                running[ours] = (process, task, f"{task.label} ({number} of {len(tasks)})")
            if not running:
                break
            for ready in wait(list(running), timeout=1.0):
                assert isinstance(ready, Connection)
                process, task, label = running[ready]
                ended, error = _hear(ready, label, progress)
                if ended:
                    process.join()
                    del running[ready]
                    if error is None and not task.path.is_file():
                        error = NegahError(
                            f"{study.name}: {label} ended without a result (exit code "
                            f"{process.exitcode}). If it was killed for want of memory, give "
                            "--jobs 1. What is finished is kept."
                        )
                    failed = failed or error
    finally:
        for process, *_ in running.values():
            process.terminate()
    if failed is not None:
        raise failed
    return next(waiting, None) is None


def _hear(
    connection: Connection, label: str, progress: Progress
) -> tuple[bool, BaseException | None]:
    """Take in one message; whether the task has ended, and with which error."""
    try:
        message = connection.recv()
    except EOFError:
        return True, None
    if isinstance(message, BaseException):
        return True, message
    what, done, total = message
    progress(f"{label}: {what}", done, total)
    return False, None


def _work(
    connection: Connection, study: Study, options: StudyOptions, paths: Paths, task: _Task
) -> None:
    """One task, in a process of its own. Ctrl-C is for the process that started it."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        import torch

        torch.set_num_threads(1)
        write_json(task.path, _found(study, options, paths, task, _teller(connection)))
    except BrokenPipeError:
        os._exit(1)  # nobody waits for it any more
    except NegahError as error:
        connection.send(error)
    except Exception:
        text = f"{study.name}: {task.label} failed\n{traceback.format_exc()}"
        connection.send(RuntimeError(text))
    finally:
        with suppress(OSError):
            connection.close()


def _found(
    study: Study, options: StudyOptions, paths: Paths, task: _Task, progress: Progress
) -> dict[str, Any]:
    if task.kind == "prepare":
        study.prepare(options, paths, progress)
        return {"prepared": True}
    if task.kind == "facts":
        return dict(_rounded(study.facts(options, paths, progress)))
    started = time.perf_counter()
    cell = study.run_cell(options, paths, task.variant, task.seed, progress)
    seconds = time.perf_counter() - started
    values = {**cell["values"], "seconds": seconds, **_peak()}
    return dict(_rounded({**cell, "values": values}))


def _teller(connection: Connection) -> Progress:
    told = 0.0

    def tell(what: str, done: int, total: int) -> None:
        nonlocal told
        now = time.monotonic()
        if now - told >= _TOLD_EVERY or done == total:
            told = now
            connection.send((what, done, total))

    return tell


def _peak() -> dict[str, float]:
    """The most memory that this process took, in megabytes; nothing on Windows."""
    if sys.platform == "win32":
        return {}
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return {"peak_mb": peak * (1 if sys.platform == "darwin" else 1024) / 1e6}


def _rounded(value: Any) -> Any:
    """Six significant digits: more are noise, and the files are read by people, too."""
    if isinstance(value, float):
        return float(f"{value:.6g}")
    if isinstance(value, dict):
        return {name: _rounded(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(one) for one in value]
    return value


def _key(study: Study, options: StudyOptions) -> str:
    """Names all that decides the numbers of a cell besides its variant and seed."""
    return key_of({"study": study.name, **options.model_dump(mode="json", exclude={"seeds"})})


def _facts_file(seeds: tuple[int, ...], facts_of: Mapping[str, Any]) -> str:
    """Facts may be means over seeds, so those of other seeds than the usual are others."""
    usual = StudyOptions().seeds
    name = "facts" if seeds == usual else f"facts_{'_'.join(map(str, seeds))}"
    return f"{name}-{key_of(facts_of)}.json" if facts_of else f"{name}.json"


def _file(variant: str, seed: int) -> str:
    name = "-".join("".join(c if c.isalnum() else " " for c in variant.lower()).split())
    return f"{name}-{seed}.json"


def _read_json(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found
