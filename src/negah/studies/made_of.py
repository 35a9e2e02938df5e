"""What the finished cells of a study have learned from, noted beside them.

The names of cells hold the setting, and not the data: the same photos may lie anywhere. So a note
keeps a digest of the captions, and what computed the first cells.
"""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Iterable
from importlib import metadata
from pathlib import Path

from negah import __version__
from negah.data import load_dataset
from negah.errors import DataError, UsageError
from negah.files import write_json
from negah.metrics import CaptionScorer
from negah.studies.captioning.options import METRIC_NAMES
from negah.studies.study import Paths
from negah.text.languages import DEFAULT

#: Beside the cells: that the work before them was done, and what they learn from.
PREPARED, MADE_OF = "prepared.json", "made_of.json"


def environment() -> dict[str, str]:
    """What computed the numbers, as far as it matters."""
    return {
        "negah": __version__,
        "python": platform.python_version(),
        "torch": metadata.version("torch").partition("+")[0],
        "machine": f"{platform.system()} {platform.machine()}, one core a cell",
    }


def check_data(folder: Path, data: str, paths: Paths) -> None:
    """Refuse data that the finished cells of a folder have not learned from.

    Args:
        folder: of the cells.
        data: the :func:`digest` of what is given now.
        paths: of the study.

    Raises:
        UsageError: it is other data.
    """
    note = folder / MADE_OF
    if note.is_file() and json.loads(note.read_text("utf-8"))["data"] != data:
        if any(path.name not in (MADE_OF, PREPARED) for path in folder.glob("*.json")):
            raise UsageError(
                f"the finished trainings in {folder} have learned from other photos or captions "
                f"than those of {paths.data}: give another folder with --work"
            )
        note.unlink()


def note_data(folder: Path, data: str) -> None:
    """Note what cells learn from and what computes them, unless it stands there."""
    if not (folder / MADE_OF).is_file():
        write_json(folder / MADE_OF, {"data": data, "environment": environment()})


def metric_signatures(
    data: Path, measures: Iterable[str], language: str = DEFAULT
) -> dict[str, str]:
    """Of the metrics among the measures of a study, on the test part; empty if it has none."""
    chosen = [METRIC_NAMES[name] for name in measures if name in METRIC_NAMES]
    if not chosen:
        return {}
    references = [e.captions for e in load_dataset(data).examples if e.split == "test"]
    signatures = CaptionScorer(references, metrics=chosen, language=language).signatures
    return {name: signatures[name] for name in chosen}


def digest(data: Path) -> str:
    """Of the photos' names, parts and captions; empty if there are none, as some need none."""
    try:
        examples = load_dataset(data).examples
    except DataError:
        return ""
    rows = sorted((e.name, e.split, e.captions) for e in examples)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
