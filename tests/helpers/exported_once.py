"""ONNX graphs of a test run, each captured once and shared by its workers.

A capture takes seconds, and many tests export a model of the same form. A captured graph holds the
form of a module and the names of its weights; the graph of a trunk holds its weights, too. What
stands in :func:`_form` decides both: whoever exports another form has another key. Every bundle is
written and proven as it would be without.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx_ir as ir
from torch import Tensor, nn

from negah.export.graphs import CapturedGraph
from negah.models import Encoder

_PLAIN = (bool, int, float, str, bytes, type(None))


def capturing_once(
    capture: Callable[..., CapturedGraph], folder: Path
) -> Callable[..., CapturedGraph]:
    """``negah.export.graphs.capture`` that reads what it has captured before.

    Args:
        capture: the real one.
        folder: where graphs are kept.
    """

    def capture_once(
        module: nn.Module,
        arguments: Mapping[str, Any],
        dynamic: Mapping[str, Any],
        outputs: list[str],
        weights: Mapping[str, Tensor],
    ) -> CapturedGraph:
        names = {id(tensor): name for name, tensor in weights.items()}
        own = module.state_dict(keep_vars=True)
        known = {name: names.get(id(tensor)) for name, tensor in own.items()}
        given = {name: _shapes(value) for name, value in arguments.items()}
        kept = folder / _digest(_form(module), known, given, dynamic, outputs)
        if not kept.is_dir():
            graph = capture(module, arguments, dynamic, outputs, weights)
            with _put(kept) as new:
                ir.save(graph.model, new / "graph.onnx")
                sides = [graph.inputs, graph.outputs, graph.weights]
                (new / "sides.json").write_text(json.dumps(sides), encoding="utf-8")
        sides = json.loads((kept / "sides.json").read_text(encoding="utf-8"))
        return CapturedGraph(ir.load(kept / "graph.onnx"), *map(tuple, sides))

    return capture_once


def exporting_once(
    export: Callable[[Encoder, Path], None], folder: Path
) -> Callable[[Encoder, Path], None]:
    """What exports a trunk, but copies the file of one with the same form and weights.

    Args:
        export: the real one.
        folder: where files are kept.
    """

    def export_once(encoder: Encoder, path: Path) -> None:
        size = encoder.preprocessing.size
        kept = folder / _digest(_form(encoder), encoder.fingerprint(), size, path.name)
        if not kept.is_dir():
            with _put(kept) as new:
                export(encoder, new / path.name)
        shutil.copytree(kept, path.parent, dirs_exist_ok=True)

    return export_once


def _form(module: nn.Module) -> list[Any]:
    """All that a module's graph depends on but the weights: types, settings, shapes."""
    settings = [
        (name, type(part).__qualname__, {key: _setting(value) for key, value in vars(part).items()})
        for name, part in module.named_modules()
    ]
    return [settings, _shapes(module.state_dict()), _buffers(module)]


def _buffers(module: nn.Module) -> dict[str, str]:
    """Tensors that the state does not hold: a graph may hold their values."""
    state = module.state_dict()
    return {
        name: hashlib.sha256(buffer.detach().cpu().numpy().tobytes()).hexdigest()
        for name, buffer in module.named_buffers()
        if name not in state
    }


def _setting(value: Any) -> Any:
    if isinstance(value, _PLAIN):
        return value
    if isinstance(value, tuple | list):
        return [_setting(part) for part in value]
    if hasattr(value, "model_dump_json"):
        return value.model_dump_json()
    return getattr(value, "__qualname__", type(value).__qualname__)


def _shapes(value: Any) -> Any:
    if isinstance(value, Tensor):
        return [list(value.shape), str(value.dtype)]
    return {name: _shapes(part) for name, part in value.items()}


def _digest(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=repr).encode()).hexdigest()


@contextmanager
def _put(folder: Path) -> Iterator[Path]:
    """A new folder that takes its place when it is complete; another worker's may be first."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    new = Path(tempfile.mkdtemp(dir=folder.parent))
    yield new
    try:
        new.rename(folder)
    except OSError:
        if not folder.is_dir():
            raise
        shutil.rmtree(new)
