"""A bundle as a backend: its graphs, run by ONNX Runtime on the CPU.

``OnnxEncoder`` turns pixels into region features, ``OnnxStepModel`` is what decoding walks.
A photo's memory is computed once and handed to every step as it is: the graph shares it among
the hypotheses of the photo, and no copy is made per hypothesis.

Axes: N images, B photos or clips, K hypotheses of each, F frames, R regions, C channels,
V vocabulary, H and W the rows and columns of pixels.
"""

from __future__ import annotations

import copy
import functools
import os
import threading
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

import numpy as np
import numpy.typing as npt
from PIL import Image

from negah.arrays import BoolArray, FloatArray, IntArray
from negah.backends import Encoded, Identity, Sight
from negah.bundle import Bundle, read_bundle
from negah.bundle.schema import CONFIG_FILE, WEIGHTS_FILE
from negah.bundle.tensors import read_tensors
from negah.decoding import DecodingOptions, Step
from negah.errors import BundleError
from negah.pipeline import beside
from negah.runtime.seen import Judge
from negah.text import Tokenizer

#: PyTorch's names of the concept layer: weights (W, C) and biases (W,).
_CONCEPT_LAYER = ("encoder.concepts.layer.weight", "encoder.concepts.layer.bias")

Arrays = dict[str, npt.NDArray[Any]]

#: Sessions of encoders that are open, by the checksums of graph and weights and the threads.
_ENCODERS: WeakValueDictionary[tuple[str, str, int | None], Any] = WeakValueDictionary()
_OPENING = threading.Lock()


class OnnxEncoder:
    """Pixels to region features and concepts.

    Encoders with the same graph and weights share one session of ONNX Runtime, and so their memory.

    Args:
        bundle: what to run.
        threads: of the arithmetic; None for one on each physical core.

    Raises:
        BundleError: ONNX Runtime refuses the graph.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        self._bundle = bundle
        self._graph = _GraphSession(bundle, "encoder", threads)
        self._layer: list[FloatArray] | None = None

    def encode(self, pixels_N3HW: FloatArray) -> Encoded:
        """What the model reads of preprocessed images, float32 (N, 3, H, W)."""
        outputs = self._graph.run({"pixels": pixels_N3HW})
        features_NRC, concepts_NW = outputs["features"], outputs.get("concepts")
        if self._bundle.encoder_path is not None:  # another model's, and concepts are each its own
            absent_NRW = self.absent(features_NRC)
            concepts_NW = None if absent_NRW is None else -np.expm1(absent_NRW.sum(1))
        return Encoded(features_NRC, concepts_NW)

    def absent(self, features_NRC: FloatArray) -> FloatArray | None:
        """log(1 - P) of each region and concept, float32 (N, R, W); None without concepts.

        The layer is read when it is first needed.
        """
        words, path = self._bundle.config.encoder.concepts, self._bundle.path
        if words and self._layer is None:
            self._layer = read_tensors(self._bundle.weights_path, _CONCEPT_LAYER)
        if self._layer is None:
            return None
        weight_WC, bias_W = self._layer
        if weight_WC.shape != (len(words), features_NRC.shape[2]):
            raise BundleError(f"{path}: its concept layer is not that of its concepts")
        return np.asarray(-np.logaddexp(0, features_NRC @ weight_WC.T + bias_W), np.float32)


@dataclass(frozen=True, slots=True)
class OnnxState:
    """What the step graph is fed besides the tokens, under the graph's names.

    Attributes:
        memory: constant from word to word; axis 0 is B.
        state: what a step replaces; axes 0 and 1 are B, K.
    """

    memory: Arrays
    state: Arrays


class OnnxStepModel:
    """The :class:`~negah.decoding.StepModel` of a bundle.

    Args:
        bundle: what to run.
        threads: of the arithmetic; None for one on each physical core.

    Raises:
        BundleError: as :class:`OnnxEncoder`.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = None) -> None:
        self._start = _GraphSession(bundle, "start", threads)
        self._step = _GraphSession(bundle, "step", threads)

    def start(self, features: FloatArray, real_frames: BoolArray | None = None) -> OnnxState:
        """Everything that does not depend on the words.

        Args:
            features: float32 (B, F, R, C).
            real_frames: True where a frame is real and False where it pads a shorter clip, bool
                (B, F); None for all real.
        """
        if real_frames is None:
            real_frames = np.ones(features.shape[:2], dtype=np.bool_)
        outputs = self._start.run(
            {
                "features": np.ascontiguousarray(features),
                "frames": np.ascontiguousarray(real_frames),
            }
        )
        return OnnxState(
            memory={f"memory.{name}": array for name, array in _of(outputs, "memory.").items()},
            state={f"state.{name}": array for name, array in _of(outputs, "state.").items()},
        )

    def step(self, state: OnnxState, tokens: IntArray) -> Step:
        """Read one token per hypothesis, int64 (B, K), and predict the next."""
        tokens_BK = np.ascontiguousarray(tokens)
        outputs = self._step.run({"tokens": tokens_BK, **state.memory, **state.state})
        after = {f"state.{name}": array for name, array in _of(outputs, "next_state.").items()}
        return Step(
            logprobs=outputs["logprobs"],
            state=OnnxState(memory=state.memory, state=after),
            evidence=_of(outputs, "evidence."),
        )

    def select(self, state: OnnxState, photos: IntArray) -> OnnxState:
        """The memory and state of some photos alone."""
        return OnnxState(
            memory={name: array[photos] for name, array in state.memory.items()},
            state={name: array[photos] for name, array in state.state.items()},
        )

    def reorder(self, state: OnnxState, parents: IntArray) -> OnnxState:
        """Hypothesis k of photo b continues ``parents[b, k]``; the memory is not touched."""
        photos_B1 = np.arange(len(parents))[:, None]
        return OnnxState(
            memory=state.memory,
            state={name: array[photos_B1, parents] for name, array in state.state.items()},
        )


class OnnxBackend:
    """The :class:`~negah.backends.Backend` of a bundle.

    Args:
        bundle: what to run.
        threads: of the arithmetic of a batch; None for one on each physical core.
        cores: among which :meth:`alone` divides the encoder's arithmetic of one photo.

    Attributes:
        bundle: as given.
        identity, sight, decoding, tokenizer, model: see :class:`~negah.backends.Backend`.

    Raises:
        BundleError: ONNX Runtime refuses a graph.
    """

    def __init__(self, bundle: Bundle, *, threads: int | None = 1, cores: int = 1) -> None:
        config = bundle.config
        self.bundle = bundle
        self._cores = cores
        self._wide: OnnxEncoder | None = None
        self._opening = threading.Lock()
        self.identity = Identity(
            name=config.name,
            kind="bundle",
            source=str(bundle.path),
            licence=config.licence,
            sha256=config.files[WEIGHTS_FILE].sha256,
            files=bundle.files,
            split=config.provenance.split,
            scores=config.scores,
            language=bundle.tokenizer.language.code,
        )
        self.tokenizer: Tokenizer = bundle.tokenizer
        # One thread a graph, as a rule: batches side by side use the cores better. The encoder is
        # opened beside the other graphs, which takes as long; ONNX Runtime releases Python's lock.
        with beside(lambda: OnnxEncoder(bundle, threads=threads)) as encoder:
            self.model = OnnxStepModel(bundle, threads=threads)
            self._encoder = encoder.result()
        calibration = bundle.calibration
        self.sight = Sight(
            size=config.preprocessing.size,
            grid=(
                (config.encoder.rows, config.encoder.columns)
                if any(spec.name == "regions" for spec in config.evidence)
                else None
            ),
            motion=config.encoder.motion,
            clip_frames=config.clip_frames,
            max_frames=config.max_frames,
            concepts=config.encoder.concepts,
            expected_cider=bundle.expected_cider,
            judge=None if calibration is None else Judge(calibration, self.model, self.tokenizer),
        )
        self.decoding: DecodingOptions = config.decoding

    def resize(self, image: Image.Image) -> Image.Image:
        """See :meth:`negah.backends.Backend.resize`."""
        return self.bundle.config.preprocessing.resize(image)

    def pixels(self, images: Sequence[Image.Image]) -> FloatArray:
        """See :meth:`negah.backends.Backend.pixels`."""
        return self.bundle.config.preprocessing.to_pixels_NCHW(images)

    def encode(self, pixels_N3HW: FloatArray) -> Encoded:
        """See :meth:`negah.backends.Backend.encode`."""
        return self._encoder.encode(pixels_N3HW)

    def alone(self) -> OnnxBackend:
        """See :class:`negah.backends.Widening`. Only the encoder gains from further threads: a
        step multiplies a few rows."""
        if self._cores == 1:
            return self
        with self._opening:
            if self._wide is None:
                self._wide = OnnxEncoder(self.bundle, threads=self._cores)
        wide = copy.copy(self)
        wide._encoder = self._wide
        return wide

    def absent(self, features_NRC: FloatArray) -> FloatArray | None:
        """See :class:`negah.backends.ConceptLayer`."""
        return self._encoder.absent(features_NRC)


class OnnxKind:
    """Bundles, as a :class:`~negah.backends.BackendKind`."""

    def recognises(self, path: Path) -> bool:
        """Whether it is a folder with the description of a bundle."""
        return (path / CONFIG_FILE).is_file()

    def open(self, source: str | os.PathLike[str], *, threads: int) -> OnnxBackend:
        """See :meth:`negah.backends.BackendKind.open`; a batch has one thread, whatever is given.

        Raises:
            BundleError: it is no bundle, or a damaged one.
        """
        return OnnxBackend(read_bundle(Path(source)), cores=threads)


KIND = OnnxKind()


class _GraphSession:
    """One graph of a bundle; ONNX Runtime's errors become a :class:`BundleError`."""

    def __init__(self, bundle: Bundle, name: str, threads: int | None) -> None:
        self._where = f"the {name} graph of bundle {bundle.path}"
        config = bundle.config
        self._outputs = config.graphs.each()[name].outputs
        source = config.encoder_from
        if name != "encoder":
            self._session = _open(bundle.graph_path(name), threads, self._where)
            return
        if source is None:
            graph = config.files[config.graphs.encoder.file].sha256
            content = (graph, config.files[WEIGHTS_FILE].sha256)
        else:
            content = (source.graph_sha256, source.weights_sha256)
        with _OPENING:
            session = _ENCODERS.get((*content, threads))
            if session is None:
                session = _open(bundle.graph_path(name), threads, self._where)
                _ENCODERS[*content, threads] = session
            self._session = session

    def run(self, inputs: Mapping[str, npt.NDArray[Any]]) -> Arrays:
        try:
            values = self._session.run(self._outputs, inputs)
        except Exception as error:  # ONNX Runtime has a class for every status, and no base
            raise BundleError(f"{self._where} failed: {_one_line(error)}") from error
        return dict(zip(self._outputs, values, strict=True))


def _open(path: Path, threads: int | None, where: str) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors; they come as exceptions too
    _share_arena()
    options.add_session_config_entry("session.use_env_allocators", "1")
    # Threads that wait in a loop for work would take the cores from those that open photos.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    if threads is not None:
        options.intra_op_num_threads = threads
    try:
        return onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:
        raise BundleError(f"ONNX Runtime refuses {where}: {_one_line(error)}") from error


@functools.cache
def _share_arena() -> None:
    """Let the sessions of this process share one arena.

    ONNX Runtime gives each session an arena of its own, which doubles when it grows and keeps what
    it has. Graphs that run one after the other use the same memory when they share it.
    """
    import onnxruntime as ort

    memory = ort.OrtMemoryInfo(
        "Cpu", ort.OrtAllocatorType.ORT_ARENA_ALLOCATOR, 0, ort.OrtMemType.DEFAULT
    )
    with suppress(RuntimeError):  # another package has registered one, which serves as well
        ort.create_and_register_allocator(memory, None)


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())


def _of(arrays: Arrays, prefix: str) -> Arrays:
    """The arrays whose names begin with ``prefix``, without it."""
    return {
        name.removeprefix(prefix): array
        for name, array in arrays.items()
        if name.startswith(prefix)
    }
