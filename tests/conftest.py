"""Fixtures that several test files share."""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hypothesis
import pytest

from common import PATIENCE, REPOSITORY
from negah.locks import exclusive
from negah.metrics.meteor import score

# A deadline for one example is a timed test: it fails on a busy machine and proves nothing.
# The same examples in every run, so that a run fails for what was changed. Whoever changes a
# property draws others: HYPOTHESIS_PROFILE=random.
hypothesis.settings.register_profile("negah", deadline=None, derandomize=True)
hypothesis.settings.register_profile("random", deadline=None)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "negah"))


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of this test run, which its workers share."""
    base = tmp_path_factory.getbasetemp()
    return base.parent if "PYTEST_XDIST_WORKER" in os.environ else base


@pytest.fixture(scope="session", autouse=True)
def _own_cache(shared_folder: Path) -> Iterator[None]:
    """What is compiled once goes into a folder of this test run; one worker compiles METEOR's data.

    That takes half a minute of a core, and a second worker may just as well wait.
    """
    os.environ["NEGAH_CACHE"] = str(shared_folder / "negah-cache")
    load = score.load_arrays

    def load_alone(**more: Any) -> Any:
        with exclusive(shared_folder / "meteor.lock", "compiling METEOR's data", patience=PATIENCE):
            return load(**more)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(score, "load_arrays", load_alone)
        yield


@pytest.fixture(scope="session")
def one_export(shared_folder: Path, one_translation_table: None) -> Iterator[None]:
    """Graphs of one form are captured once (see tests/helpers/exported_once.py).

    Every test that exports has it: those of run/, train/, top/ and project/ by the conftest.py of
    their folder. The ground floor has not, so that its tests start without PyTorch.
    """
    try:
        import negah.export.onnx
        import negah.training.features
    except ImportError:  # without the train extra nothing is exported
        yield
        return
    from exported_once import capturing_once, exporting_once

    graphs, trunks = shared_folder / "graphs", shared_folder / "trunks"
    with pytest.MonkeyPatch.context() as patch:
        exporting, features = negah.export.onnx, negah.training.features
        patch.setattr(exporting, "capture", capturing_once(exporting.capture, graphs))
        patch.setattr(features, "export_trunk", exporting_once(features.export_trunk, trunks))
        yield


@pytest.fixture(scope="session")
def one_translation_table() -> Iterator[None]:
    """PyTorch reads its table of ONNX translations anew for every graph: a fifth of an export.

    Its place is private to PyTorch; where it has moved, exports in tests take that fifth longer.
    """
    try:
        from torch.onnx._internal.exporter._registration import ONNXRegistry
    except ImportError:
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        once = functools.cache(ONNXRegistry.from_torchlib)
        patch.setattr(ONNXRegistry, "from_torchlib", staticmethod(once))
        yield


@pytest.fixture(scope="session")
def data_root() -> Path:
    """The research data: ``NEGAH_DATA``, else ``../shared/data``; skips where neither exists."""
    named = os.environ.get("NEGAH_DATA")
    root = Path(named) if named else REPOSITORY.parent / "shared" / "data"
    if not (root / "flickr8k").is_dir():
        pytest.skip(f"research data not found at {root}; set NEGAH_DATA to its folder")
    return root


@pytest.fixture(scope="module")
def one_thread() -> Iterator[None]:
    """PyTorch on one thread: sums in one order, and no second thread to wait for."""
    torch = pytest.importorskip("torch", reason="this needs the train extra")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory, one_export: None) -> Path:
    """A real bundle of a tiny cam-rnn with random weights (see tests/helpers/tiny_bundle.py)."""
    pytest.importorskip("torch", reason="exporting a bundle needs the train extra")
    from tiny_bundle import make_tiny_bundle

    return make_tiny_bundle(tmp_path_factory.mktemp("tiny") / "bundle")


@pytest.fixture(scope="session")
def tiny_persian(tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same with Persian words (see tests/helpers/tiny_persian.py)."""
    from tiny_persian import make_tiny_persian

    return make_tiny_persian(tiny_bundle, tmp_path_factory.mktemp("persian") / "negah-photo-fa")
