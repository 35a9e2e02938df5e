"""What ``import negah`` gives, and what it costs."""

from __future__ import annotations

import ast
import importlib.metadata
import json
import subprocess
import sys
from pathlib import Path

import pytest

import negah
from common import PATIENCE

HEAVY = {
    "PIL", "av", "numpy", "onnx", "onnxruntime", "pydantic", "rich", "timm", "torch", "typer",
}  # fmt: skip


def run_python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE
    )


def test_all_is_sorted_and_importable() -> None:
    assert negah.__all__ == sorted(negah.__all__)
    assert sorted(dir(negah)) == negah.__all__
    for name in negah.__all__:
        assert getattr(negah, name) is not None


def test_type_checkers_see_the_same_names() -> None:
    stub = ast.parse(Path(negah.__file__).with_suffix(".pyi").read_text())
    stated = next(node.value for node in stub.body if ast.unparse(node).startswith("__all__"))
    assert ast.literal_eval(stated) == negah.__all__


def test_errors_are_the_whole_tree() -> None:
    import negah.errors

    tree = {
        name
        for name, value in vars(negah.errors).items()
        if isinstance(value, type) and issubclass(value, negah.errors.NegahError)
    }
    assert tree <= set(negah.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="captionn"):
        negah.captionn  # noqa: B018


def test_the_version_is_that_of_the_package() -> None:
    assert negah.__version__ == importlib.metadata.version("negah")


def test_importing_loads_nothing_heavy_and_prints_nothing() -> None:
    done = run_python("import negah, sys, os; os.write(1, repr(sorted(sys.modules)).encode())")
    assert done.stderr == ""
    loaded = {name.partition(".")[0] for name in json.loads(done.stdout.replace("'", '"'))}
    assert not loaded & HEAVY


def test_captioning_photos_loads_neither_pytorch_nor_ffmpeg(tiny_bundle: Path) -> None:
    done = run_python(
        "import negah, sys, numpy\n"
        f"captioner = negah.load({str(tiny_bundle)!r})\n"
        "captioner.caption(numpy.zeros((20, 30, 3), numpy.uint8))\n"
        "list(captioner.caption_many([numpy.zeros((20, 30, 3), numpy.uint8)]))\n"
        "print([m for m in sys.modules if m.partition('.')[0] in ('torch', 'timm', 'onnx', 'av')])"
    )
    assert (done.stdout, done.stderr) == ("[]\n", "")


@pytest.mark.parametrize(
    "before", ["", "import negah.runtime", "from negah.captions import Word", "negah.load"]
)
def test_caption_is_the_function_whatever_was_imported_before(before: str) -> None:
    done = run_python(f"import negah\n{before}\nprint(type(negah.caption).__name__)")
    assert done.stdout == "function\n"


def cpu_seconds(code: str) -> float:
    """The least of five runs, interpreter included: other work on the machine only adds."""
    timed = f"{code}\nimport time; print(time.process_time())"
    return min(float(run_python(timed).stdout.split()[-1]) for _ in range(5))


def test_importing_is_quick() -> None:
    assert cpu_seconds("import negah") < 0.3


def test_help_is_quick() -> None:
    assert cpu_seconds("from negah.cli.main import run; run(['--help'])") < 0.3
