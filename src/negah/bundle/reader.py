"""Reading a bundle: everything is checked here, before ONNX Runtime sees any of it.

Nothing in a bundle is executed for this: JSON is parsed and validated, sizes and checksums are
compared, and the graphs are searched for tensors in other files and for operators of custom
libraries. Only the arithmetic of ONNX's own operators has to be trusted.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from negah.bundle.calibration import CALIBRATION_FILE, Calibration, read_calibration
from negah.bundle.expected_cider import EXPECTED_CIDER_FILE, read_expected_cider
from negah.bundle.onnx_reader import MAX_GRAPH_BYTES, ExternalData, GraphSummary, read_graph
from negah.bundle.packaged import encoder_folder
from negah.bundle.schema import (
    CARD_FILE,
    CONFIG_FILE,
    FORMAT_VERSION,
    TOKENIZER_FILE,
    WEIGHTS_FILE,
    BundleConfig,
)
from negah.decoding import ExpectedCider
from negah.errors import BundleError, DataError, UsageError
from negah.hashing import content_sha256
from negah.pipeline import beside
from negah.text import Tokenizer, load_tokenizer

MAX_CONFIG_BYTES = 4 * 2**20
_ADVICE = "Get the bundle again from where it came from, or export it again."
_DOMAINS = {"", "ai.onnx"}


@dataclass(frozen=True, slots=True)
class Bundle:
    """A bundle that has passed every check.

    Attributes:
        path: its folder.
        config: its description.
        tokenizer: its tokenizer.
        calibration: computes ``seen`` and ``confidence``; None if it was not calibrated.
        encoder_path: the folder of the bundled model whose encoder it uses; None if it has its
            own.
        expected_cider: predicts CIDEr, to rank candidates again; None if it was not fitted.
    """

    path: Path
    config: BundleConfig
    tokenizer: Tokenizer
    calibration: Calibration | None = None
    encoder_path: Path | None = None
    expected_cider: ExpectedCider | None = None

    def graph_path(self, graph: str) -> Path:
        """The file of graph ``encoder``, ``start`` or ``step``."""
        folder = self.encoder_path if graph == "encoder" and self.encoder_path else self.path
        return folder / self.config.graphs.each()[graph].file

    @property
    def weights_path(self) -> Path:
        """The weights of its own graphs."""
        return self.path / WEIGHTS_FILE

    @property
    def weights_paths(self) -> tuple[Path, ...]:
        """The weights of all graphs; the bundle's own file is the last."""
        shared = () if self.encoder_path is None else (self.encoder_path / WEIGHTS_FILE,)
        return (*shared, self.weights_path)

    @property
    def files(self) -> tuple[Path, ...]:
        """All files of the bundle."""
        own = (CONFIG_FILE, *self.config.files)
        shared = () if self.encoder_path is None else (self.graph_path("encoder"),)
        return (*(self.path / name for name in own), *shared, *self.weights_paths[:-1])


def read_bundle(path: str | Path) -> Bundle:
    """Read and check a bundle.

    Raises:
        BundleError: it is not a bundle, is damaged or hostile, or needs a newer Negah. The
            message states the bundle, the problem, and what to do.
    """
    with _naming_bundle(Path(path)) as folder:
        return _read(folder)


def read_config(path: str | Path) -> BundleConfig:
    """The description of a bundle; its other files are not read.

    Raises:
        BundleError: as :func:`read_bundle`.
    """
    with _naming_bundle(Path(path)) as folder:
        return _read_config(folder)


@contextmanager
def _naming_bundle(folder: Path) -> Iterator[Path]:
    """Add the name of the bundle to exceptions."""
    try:
        yield folder
    except BundleError as error:
        raise BundleError(f"bundle {folder}: {error}") from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise BundleError(f"bundle {folder}: cannot be read ({reason}). {_ADVICE}") from None


def _read(folder: Path) -> Bundle:
    config = _read_config(folder)
    for name, spec in config.files.items():
        _check_size(folder, name, spec.bytes)
        if name != WEIGHTS_FILE:
            _check_content(folder, name, spec.sha256)
    # nearly all bytes are the weights'; hashing them releases Python's lock
    with beside(
        lambda: _check_content(folder, WEIGHTS_FILE, config.files[WEIGHTS_FILE].sha256)
    ) as weights:
        bundle = _read_parts(folder, config)
        weights.result()
    return bundle


def _read_parts(folder: Path, config: BundleConfig) -> Bundle:
    """What a bundle consists of, besides its weights."""
    try:
        tokenizer = load_tokenizer(folder / TOKENIZER_FILE)
    except DataError as error:
        raise BundleError(f"{error}. {_ADVICE}") from None
    if len(tokenizer) != config.vocabulary_size:
        raise BundleError(
            f"{TOKENIZER_FILE} has {len(tokenizer):,} tokens, but {CONFIG_FILE} says "
            f"vocabulary_size {config.vocabulary_size:,}. {_ADVICE}"
        )
    shared = encoder_folder(config)
    calibration, expected = _calibration(folder, config), _expected_cider(folder, config)
    bundle = Bundle(folder, config, tokenizer, calibration, shared, expected)
    for graph, names in config.expected_names().items():
        file = bundle.graph_path(graph)
        of_another = graph not in config.own_graphs
        try:
            summary = read_graph(file.read_bytes())
            weights = (file.parent / WEIGHTS_FILE).stat().st_size
            _check_graph(summary, names, weights, of_another=of_another)
        except BundleError as error:
            raise BundleError(f"{file.name}: {error}. {_ADVICE}") from None
    return bundle


def _calibration(folder: Path, config: BundleConfig) -> Calibration | None:
    if CALIBRATION_FILE not in config.files:
        return None
    try:
        return read_calibration(
            folder,
            vocabulary=config.vocabulary_size,
            concepts=len(config.encoder.concepts),
            regions=config.encoder.regions,
            channels=config.encoder.channels,
        )
    except BundleError as error:
        raise BundleError(f"{error}. {_ADVICE}") from None


def _expected_cider(folder: Path, config: BundleConfig) -> ExpectedCider | None:
    if EXPECTED_CIDER_FILE not in config.files:
        if config.decoding.expected_cider:
            raise BundleError(
                f"its captions are chosen by expected CIDEr, and it has no {EXPECTED_CIDER_FILE}. "
                f"{_ADVICE}"
            )
        return None
    try:
        return read_expected_cider(
            folder / EXPECTED_CIDER_FILE,
            vocabulary=config.vocabulary_size,
            concepts=len(config.encoder.concepts),
        )
    except BundleError as error:
        raise BundleError(f"{error}. {_ADVICE}") from None


def _read_config(folder: Path) -> BundleConfig:
    if not folder.is_dir():
        what = "is a file, not a folder" if folder.exists() else "no such folder"
        raise BundleError(f"{what}. Give the folder that holds {CONFIG_FILE}.")
    file = folder / CONFIG_FILE
    if not file.is_file() or file.is_symlink():
        raise BundleError(
            f"holds no file {CONFIG_FILE}, so it is not a bundle. Give a folder that "
            "'negah export' wrote."
        )
    if file.stat().st_size > MAX_CONFIG_BYTES:
        raise BundleError(f"{CONFIG_FILE} is larger than {MAX_CONFIG_BYTES:,} bytes. {_ADVICE}")
    try:
        values = json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        raise BundleError(f"{CONFIG_FILE} is not JSON ({error}). {_ADVICE}") from None
    _check_version(values)
    try:
        config = BundleConfig.parse(values, where=CONFIG_FILE)
    except (UsageError, RecursionError) as error:
        raise BundleError(f"{str(error).rstrip('.')[:2000]}. {_ADVICE}") from None
    _check_listing(config)
    return config


def _check_version(values: Any) -> None:
    if not isinstance(values, dict):
        raise BundleError(f"{CONFIG_FILE} holds no object. {_ADVICE}")
    version = values.get("format_version")
    if not isinstance(version, int) or isinstance(version, bool) or version < 1:
        raise BundleError(
            f"{CONFIG_FILE} has format_version {version!r:.40}; "
            f"{FORMAT_VERSION} is known. {_ADVICE}"
        )
    if version > FORMAT_VERSION:
        raise BundleError(
            f"it has format_version {version}, and this Negah knows {FORMAT_VERSION}. "
            "Update Negah: pip install --upgrade negah"
        )
    if version < FORMAT_VERSION:
        raise BundleError(
            f"it has format_version {version}, which this Negah no longer reads "
            f"({FORMAT_VERSION} is known). Export it again from its run: negah export RUN."
        )


def _check_listing(config: BundleConfig) -> None:
    """Check that all required files are listed, and that no file has two roles."""
    graphs = [graph.file for graph in config.own_graphs.values()]
    needed = [*graphs, TOKENIZER_FILE, WEIGHTS_FILE, CARD_FILE]
    missing = [name for name in needed if name not in config.files]
    if missing or len(set(needed)) < len(needed):
        raise BundleError(
            f"{CONFIG_FILE} lists the files {', '.join(sorted(config.files)) or '(none)'}; it must "
            f"list {TOKENIZER_FILE}, {WEIGHTS_FILE}, {CARD_FILE} and a file of its own for each "
            f"graph. {_ADVICE}"
        )
    for name in graphs:
        if config.files[name].bytes > MAX_GRAPH_BYTES:
            raise BundleError(
                f"{name} has {config.files[name].bytes:,} bytes; a graph has at most "
                f"{MAX_GRAPH_BYTES:,}. {_ADVICE}"
            )


def _check_size(folder: Path, name: str, size: int) -> None:
    file = folder / name
    if file.is_symlink() and not file.resolve().is_relative_to(folder.resolve()):
        raise BundleError(f"{name} is a link that leaves the bundle. {_ADVICE}")
    if not file.is_file():
        raise BundleError(f"{name} is missing. {_ADVICE}")
    actual = file.stat().st_size
    if actual != size:
        raise BundleError(f"{name} has {actual:,} bytes instead of {size:,}. {_ADVICE}")


def _check_content(folder: Path, name: str, sha256: str) -> None:
    if content_sha256(folder / name) != sha256:
        raise BundleError(f"{name} is not the file that was exported (wrong checksum). {_ADVICE}")


def _check_graph(
    summary: GraphSummary,
    names: tuple[tuple[str, ...], tuple[str, ...]],
    weights: int,
    *,
    of_another: bool,
) -> None:
    outputs = tuple(name for name in summary.outputs if not of_another or name in names[1])
    if (summary.inputs, outputs) != names:
        raise BundleError(
            f"it maps {list(summary.inputs)!r:.300} to {list(summary.outputs)!r:.300}, "
            f"but {CONFIG_FILE} says {list(names[0])} to {list(names[1])}"
        )
    foreign = sorted(summary.domains - _DOMAINS)
    if foreign:
        raise BundleError(
            f"it uses operators from outside ONNX ({', '.join(map(repr, foreign))[:200]}), "
            "which a bundle may not"
        )
    if summary.functions:
        raise BundleError("it defines functions of its own, which a bundle may not")
    for tensor in summary.external:
        _check_external(tensor, weights)


def _check_external(tensor: ExternalData, weights: int) -> None:
    if tensor.location != WEIGHTS_FILE:
        raise BundleError(
            f"tensor {tensor.tensor!r:.100} is kept in {tensor.location!r:.100}; only "
            f"{WEIGHTS_FILE!r} is allowed"
        )
    if tensor.length is None or tensor.offset + tensor.length > weights:
        raise BundleError(
            f"tensor {tensor.tensor!r:.100} lies outside {WEIGHTS_FILE}: {tensor.length} bytes "
            f"from {tensor.offset} in a file of {weights:,}"
        )
