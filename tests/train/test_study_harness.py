"""Running studies: every cell once, in a process of its own, kept through stops and kills."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from common import REPOSITORY
from negah.errors import DataError, UsageError
from negah.studies.made import make_photos
from negah.studies.made_of import check_data, digest, note_data
from negah.studies.pages import made_parts, renew, written_text
from negah.studies.report import markdown_to_html
from negah.studies.results import Results, SeedEstimate, estimate
from negah.studies.run import run_study
from negah.studies.study import (
    CaptionTable,
    Comparison,
    CurveTable,
    FactSentence,
    FactTable,
    Measure,
    MeasureGrid,
    Paths,
    PhotoTestTable,
    ReferenceTable,
)
from negah.studies.tables import fact_tables, filled, measure_table
from tiny_study import STUDY, TinyOptions

TESTS = REPOSITORY / "tests" / "helpers"


def silent(label: str, done: int, total: int) -> None:
    """Tell nobody."""


def paths_in(folder: Path) -> Paths:
    return Paths(folder / "data", folder / "work", folder / "features")


def trace(folder: Path) -> list[str]:
    return (folder / "work" / "trace.txt").read_text().splitlines()


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_study_ends_in_all_its_cells(tmp_path: Path, jobs: int) -> None:
    options = STUDY.options(quick=True)
    results = run_study(STUDY, options, paths_in(tmp_path), progress=silent, jobs=jobs)
    assert results is not None
    assert [(cell["variant"], cell["seed"]) for cell in results["cells"]] == [
        ("none", 0), ("one", 0), ("two", 0), ("none", 1), ("one", 1), ("two", 1),
    ]  # fmt: skip
    assert results["facts"] == {"answer": 42}
    assert all(cell["values"]["peak_mb"] > 10 for cell in results["cells"])
    processes = [line.split()[2] for line in trace(tmp_path) if line != "prepare"]
    assert len(set(processes)) == 6, "cells shared a process"
    assert str(os.getpid()) not in processes
    json.dumps(results, allow_nan=False)


def test_finished_cells_are_kept_and_others_run_once(tmp_path: Path) -> None:
    options, asked = STUDY.options(quick=True), iter([False, False, False, True, True, True, True])
    stopped = run_study(
        STUDY, options, paths_in(tmp_path), progress=silent, stop=lambda: next(asked)
    )
    assert stopped is None
    half = Counter(line.rpartition(" ")[0] for line in trace(tmp_path))
    assert 0 < sum(half.values()) < 6
    assert run_study(STUDY, options, paths_in(tmp_path), progress=silent) is not None
    whole = Counter(line.rpartition(" ")[0] for line in trace(tmp_path) if line != "prepare")
    assert set(whole.values()) == {1}
    assert len(whole) == 6
    # another setting is another study
    other = options.model_copy(update={"step": 3.0})
    results = run_study(STUDY, other, paths_in(tmp_path), progress=silent)
    assert results is not None
    assert Results(results).values("two", "score") == [6.0, 7.02]
    # more seeds are more cells of the same
    more = options.model_copy(update={"seeds": (0, 1, 2)})
    before = len(trace(tmp_path))
    run_study(STUDY, more, paths_in(tmp_path), progress=silent)
    assert len(trace(tmp_path)) == before + 3 + 1, "three cells and the preparing"


def test_an_error_of_a_cell_is_told_and_the_others_are_kept(tmp_path: Path) -> None:
    options = TinyOptions(seeds=(0,), failing="one")
    with pytest.raises(DataError, match="one fails"):
        run_study(STUDY, options, paths_in(tmp_path), progress=silent)
    assert len(list((tmp_path / "work").glob("cells-*/none-0.json"))) == 1


def test_cells_of_other_data_are_refused(tmp_path: Path) -> None:
    paths, other = paths_in(tmp_path), make_photos(tmp_path / "photos")
    here, others = digest(paths.data), digest(other)
    assert (here, digest(other)) == ("", others)
    folder = paths.work / "cells"
    note_data(folder, others)
    check_data(folder, others, paths)
    check_data(folder, here, paths)  # nothing has been learned yet
    note_data(folder, others)
    (folder / "one-0.json").write_text("{}")
    with pytest.raises(UsageError, match="--work"):
        check_data(folder, here, paths)


@pytest.mark.heavy
@pytest.mark.skipif(sys.platform == "win32", reason="there is no kill -9 on Windows")
def test_a_kill_loses_at_most_the_running_cells(tmp_path: Path) -> None:
    code = (
        "from pathlib import Path\nfrom tiny_study import STUDY, TinyOptions\n"
        "from negah.studies.run import run_study\nfrom negah.studies.study import Paths\n"
        "if __name__ == '__main__':\n"
        f"    folder = Path({str(tmp_path)!r})\n"
        "    paths = Paths(folder / 'data', folder / 'work', folder / 'features')\n"
        "    options = TinyOptions(seeds=(0, 1), seconds=0.4)\n"
        "    run_study(STUDY, options, paths, progress=lambda *_: None)\n"
    )
    script = tmp_path / "script.py"
    script.write_text(code)
    environment = {**os.environ, "PYTHONPATH": str(TESTS)}
    killed = subprocess.Popen([sys.executable, str(script)], env=environment)
    limit = time.monotonic() + 600
    while not list((tmp_path / "work").glob("cells-*/one-0.json")):
        assert time.monotonic() < limit, "no cell was finished"
        assert killed.poll() is None, "the study ended before it could be killed"
        time.sleep(0.05)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    time.sleep(1)  # the cell that ran ends by itself, or is lost
    kept = {path.name for path in (tmp_path / "work").glob("cells-*/*-?.json")}
    assert {"none-0.json", "one-0.json"} <= kept
    assert len(kept) < 6
    subprocess.run([sys.executable, str(script)], env=environment, check=True, timeout=600)
    ran = Counter(line.rpartition(" ")[0] for line in trace(tmp_path) if line != "prepare")
    assert sum(ran.values()) <= 6 + 1
    assert len(list((tmp_path / "work").glob("cells-*/*-?.json"))) == 6


def test_tables_and_verdicts_are_made_from_the_numbers(tmp_path: Path) -> None:
    results = run_study(STUDY, STUDY.options(quick=False), paths_in(tmp_path), progress=silent)
    assert results is not None
    parts = made_parts(STUDY, results)
    assert parts["results"].splitlines()[:3] == [
        "|  | score | loss | score against none |",
        "| --- | --- | --- | --- |",
        "| none | 1.0 ± 2.5 | 1.00 |  |",
    ]
    assert "| two | 5.0 ± 2.5 | 1.00 | +4.0 ± 0.0 |" in parts["results"]
    assert results["verdicts"] == [
        "Two steps (two − none): score +4.0 ± 0.0, better.",
        "Two steps (two − none): loss +0.00, no significant difference (3 seeds).",
    ]
    page = "Before.\n\n<!-- made: verdicts -->\nold\n<!-- end -->\n\nAfter 7.\n"
    renewed = renew(page, parts)
    assert "better." in renewed
    assert "old" not in renewed
    assert renew(renewed, parts) == renewed
    assert written_text(renewed) == "Before.\n\n\n\nAfter 7.\n"
    with pytest.raises(DataError, match="verdict"):
        renew("<!-- made: nothing -->\n<!-- end -->", parts)


@given(st.lists(st.floats(-100, 100), min_size=2, max_size=10))
def test_intervals_are_those_of_student(values: list[float]) -> None:
    quantiles = {1: 12.7062, 2: 4.3027, 3: 3.1824, 4: 2.7764, 5: 2.5706, 6: 2.4469, 7: 2.3646,
                 8: 2.3060, 9: 2.2622}  # fmt: skip
    found = estimate(values)
    error = np.std(values, ddof=1) / math.sqrt(len(values))
    assert found.mean == pytest.approx(np.mean(values), abs=1e-9)
    assert found.half == pytest.approx(quantiles[len(values) - 1] * error, rel=1e-3, abs=1e-9)
    assert SeedEstimate(1.0, None).beyond_zero is False


@pytest.mark.parametrize(
    ("text", "html"),
    [
        ("| a | b |\n| --- | --- |\n| 1 | <2> |", "<td>&lt;2&gt;</td>"),
        ("- one `x`\n- **two**", "<li>one <code>x</code></li><li><strong>two</strong></li>"),
        ("plain & simple", "<p>plain &amp; simple</p>"),
        ("", ""),
    ],
)
def test_made_parts_become_html(text: str, html: str) -> None:
    assert html in markdown_to_html(text)


def test_studies_say_what_they_ask_before_pytorch_is_loaded() -> None:
    code = (
        "import sys\nfrom negah.studies import STUDIES, find_study\n"
        "for name in STUDIES:\n"
        "    study = find_study(name)\n"
        "    full, quick = study.options(quick=False), study.options(quick=True)\n"
        "    assert 'torch' not in sys.modules, f'{name} loads torch'\n"
        "    assert study.name == name and study.question.endswith('?') and study.claim, name\n"
        "    assert len(full.seeds) >= 3 and len(study.variants(quick)) >= 2, name\n"
        "    rows = set(study.variants(full)); names = {m.name for m in study.all_measures()}\n"
        "    for c in study.comparisons:\n"
        "        assert {c.variant, c.against} <= rows and c.measure in names, (name, c)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=600)


def test_facts_fill_tables_and_sentences() -> None:
    facts = {
        "share": 0.5,
        "by_seed": [1.0, 2.0, 3.0],
        "layers": {"one-hot + dense": {"adds": 2_500_000}, "embedding": {"adds": 1}},
        "rows": [{"words": 1000}, {"words": 20}],
    }
    tables = fact_tables(
        [
            FactTable("layers", ("", "adds"), (("{name}", "{adds!m:.1f}"),), each="layers"),
            FactTable("words", ("words",), (("{words:,}",),), each="rows"),
            FactTable("words", rows=(("{share!p:.0f}%",), ("{by_seed!e:2}",))),
        ],
        facts,
    )
    assert tables["layers"].splitlines()[2:] == ["| one-hot + dense | 2.5 |", "| embedding | 0.0 |"]
    assert tables["words"].splitlines()[2:] == ["| 1,000 |", "| 20 |", "| 50% |", "| 2.00 ± 2.48 |"]
    assert FactSentence("{words} words.", each="rows").sentences(facts) == [
        "1000 words.",
        "20 words.",
    ]
    with pytest.raises(KeyError):
        FactSentence("{gone}").sentences(facts)


def test_sparse_tables_leave_out_what_is_missing() -> None:
    table = FactTable(
        "found",
        ("{photos:,} photos", "by {methods[0]}", "by {methods[1]}", "by both"),
        (
            ("dogs", "{dogs[one]!i}", "{dogs[two]!i}", "{dogs[both]!i}"),
            ("cats", "{cats[one]!i}", "{cats[two]!p:.1f}", "{cats[both]:,}"),
            ("birds", "{birds[one]:.2f}", "{birds[two]}", "{birds!m:.1f}"),
        ),
        sparse=True,
    )
    facts = {
        "photos": 1000,
        "methods": ["eye"],
        "dogs": {"one": [0.5, 0.25, 0.75, 9], "two": None},
        "cats": {"two": 0.125},
    }
    assert table.text(facts).splitlines() == [
        "| 1,000 photos | by eye | by – |",
        "| --- | --- | --- |",
        "| dogs | 0.50 (0.25 to 0.75) | – |",
        "| cats | – | 12.5 |",
    ]
    assert table.text({"photos": 3}) == ""
    assert filled("{n:,} of {all}", {"n": 0}, missing="?") == "0 of ?", "0 is a number"
    with pytest.raises(KeyError):
        filled("{n} of {all}", {"n": 0})
    with pytest.raises(TypeError):
        filled("{n[all]}", {"n": None})


def test_tables_of_cells() -> None:
    cells = [
        {
            "variant": variant,
            "seed": seed,
            "values": {"found": 2.0 * seed + (variant == "new"), "chance": 25.0},
            "curves": {"solved": [[10, 90.0 + seed], [20, 50.0]]},
            "extra": {
                "captions": {"a.jpg": f"{variant} a {seed}", "b.jpg": f"{variant} b {seed}"},
                "references": {"a.jpg": "a dog", "b.jpg": "a cat"},
                "misspelt": ["dgo", "ct"] if variant == "new" else [],
                "photos": {"found": [1.0 * (variant == "new"), 2.0]},
            },
        }
        for variant in ("old", "new")
        for seed in (0, 1)
    ]
    results = Results({"cells": cells})

    def rows(text: str) -> list[str]:
        header, rule, *below = text.splitlines()
        assert set(rule) == set("| -")
        assert rule.count("|") == header.count("|")
        return [header, *below]

    grid = MeasureGrid(
        "grid", ("", "by", "found", "lost"), (("eye", ("found", "lost")),),
        last=("chance", ("chance", 50)),
    )  # fmt: skip
    assert rows(grid.text(results)) == [
        "|  | by | found | lost |",
        "| old | eye | 1.0 ± 12.7 | – |",
        "| new | eye | 2.0 ± 12.7 | – |",
        "| chance |  | 25.0 | 50 |",
    ]
    curve = CurveTable("curve", "solved", "{:g} steps", 1, ("guessing", 3.0))
    assert rows(curve.text(results)) == [
        "|  | 10 steps | 20 steps |",
        "| old | 90.5 ± 6.4 | 50.0 |",
        "| new | 90.5 ± 6.4 | 50.0 |",
        "| guessing | 3.0 | 3.0 |",
    ]
    assert rows(CaptionTable("captions", ("one",)).text(results)) == [
        "|  | one |", "| old | old a 0 |", "| new | new a 0 |",
    ]  # fmt: skip
    examples = ReferenceTable("examples", "a person", 1, ("misspelt words", "misspelt"))
    assert rows(examples.text(results)) == [
        "| a person | old | new |",
        "| a dog | old a 0 | new a 0 |",
        "| misspelt words | – | dgo, ct |",
    ]
    header = ("", "row", "against", "seeds", "photos", "p")
    compared = [
        Comparison("new", "old", "found", "what is new"),
        Comparison("new", "old", "gone", "what is not measured"),
    ]
    title, tested = rows(PhotoTestTable("tests", header, compared).text(results))
    assert title == "|  | row | against | seeds | photos | p |"
    assert tested.startswith("| what is new | new | old | +1.0 | +0.0 to +1.0 | p = ")


def test_tables_hold_the_rows_that_were_measured_beside_chance() -> None:
    cells = [
        {"variant": variant, "seed": seed, "values": values}
        for variant, values in {
            "none": {"score": 1.0},
            "looks": {"score": 2.0, "point": 80.0, "chance": 7.5},
        }.items()
        for seed in (0, 1)
    ]
    point = Measure("point", "pointing", chance="chance")
    found = Results({"cells": cells})
    assert measure_table(found, [point], None).splitlines() == [
        "|  | pointing (chance) |",
        "| --- | --- |",
        "| looks | 80.0 (7.5) |",
    ]
    score = Measure("score", "score")
    assert measure_table(found, [score], score).splitlines()[2:] == [
        "| none | 1.0 |  |",
        "| looks | 2.0 | +1.0 |",
    ]
