"""The location of a Hugging Face model, a folder or a repository of the hub, validated before use.

Only the JSON, text and safetensors files that a captioner needs are read; other files are ignored.
Nothing is unpickled, and code of a model (``auto_map``) is never run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from negah.errors import BundleError, UsageError
from negah.hashing import content_sha256
from negah.hf import hub

CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

#: What configures a model: all that it says is checked.
_CONFIGURATIONS = (
    CONFIG, "generation_config.json", "preprocessor_config.json", "processor_config.json",
    "image_processor_config.json", "tokenizer_config.json",
)  # fmt: skip
_WORDS = (
    "tokenizer.json", "vocab.json", "vocab.txt", "merges.txt", "added_tokens.json",
    "special_tokens_map.json",
)  # fmt: skip
_CARD = "README.md"
#: What is read beside the weights.
_READ = (*_CONFIGURATIONS, *_WORDS, "*.model", _CARD)
#: What is fetched of a repository of the hub.
_FETCHED = (*_READ, INDEX, WEIGHTS, "model-*-of-*.safetensors")

#: Bytes of a file that are read at most; vocabularies have some megabytes, all else kilobytes.
_MOST_BYTES = dict.fromkeys((*_CONFIGURATIONS, *_WORDS[-2:]), 4 * 2**20)
_MOST_OTHERS = 64 * 2**20
_MOST_FRONT_MATTER = 64 * 2**10
_MOST_DEPTH = 12
#: Files that a message names at most.
_NAMED = 5
#: Characters of what it says of its licence.
_MOST_LICENCE = 1000
_FRONT_MATTER = re.compile(r"---[ \t]*\r?\n(.*?)^---", re.DOTALL | re.MULTILINE)
#: The key and the lines of its value: reading all of a card takes YAML long.
_LICENCE = re.compile(r"^license:.*(?:\n[ \t-].*)*", re.MULTILINE)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")

#: Keys of a configuration with which transformers would read other files than those that were
#: checked, or compute with other numbers.
_REFUSED = {
    "transformers_weights": "names another file of weights",
    "configuration_files": "names other configurations",
    "fast_tokenizer_files": "names other tokenizers",
    "quantization_config": "has quantised weights",
    "fusion_config": "replaces layers",
}

#: Largest sensible values of a configuration, by the end of their names.
_MOST = {
    "layers": 512, "layer": 512, "depths": 512, "heads": 1024, "groups": 1024,
    "hidden_size": 65_536, "embd": 65_536, "d_model": 65_536, "dim": 65_536,
    "intermediate_size": 1_048_576, "inner": 1_048_576, "ffn_dim": 1_048_576,
    "vocab_size": 4_194_304, "positions": 1_048_576, "max_position_embeddings": 1_048_576,
    "image_size": 16_384, "patch_size": 16_384, "window_size": 16_384,
    "num_image_with_embedding": 1024,
}  # fmt: skip


@dataclass(frozen=True)
class ModelFolder:
    """A validated model folder.

    Attributes:
        name: in reports: ``hf:ORG/NAME``, or the folder's name.
        folder: of the files.
        config: the content of ``config.json``.
        weights: the safetensors files.
    """

    name: str
    folder: Path
    config: Mapping[str, Any] = field(repr=False)
    weights: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that will be read."""
        return (*self.weights, *_read_files(self.folder))

    @property
    def origin(self) -> str:
        """The folder, or ``hf:ORG/NAME@COMMIT``."""
        if not self.name.startswith(hub.SCHEME):
            return str(self.folder)
        commit = self.folder.name
        name = self.name.partition("@")[0]
        return f"{name}@{commit}" if _COMMIT.fullmatch(commit) else self.name

    def json(self, name: str) -> Mapping[str, Any]:
        """The content of one of its files; empty if there is no such file."""
        path = self.folder / name
        return _read_json(path) if path.is_file() else {}

    def sha256(self) -> str:
        """The SHA-256 of the weights; for several files, of the list ``SHA256  NAME``."""
        fetched = self.name.startswith(hub.SCHEME)
        digests = [(_weights_sha256(path, cached=fetched), path.name) for path in self.weights]
        if len(digests) == 1:
            return digests[0][0]
        listed = "".join(f"{digest}  {name}\n" for digest, name in digests)
        return hashlib.sha256(listed.encode()).hexdigest()

    def licence(self) -> str:
        """The licence in the model card, or "not stated"."""
        import yaml

        try:
            with (self.folder / _CARD).open("rb") as file:
                text = file.read(_MOST_FRONT_MATTER).decode(errors="replace")
            matter = _FRONT_MATTER.match(text)
            entry = _LICENCE.search(matter[1]) if matter else None
            if entry is None or len(entry[0]) > _MOST_LICENCE:
                return "not stated"
            # of this loader every value is text, a list or a mapping: no dates, no numbers
            stated = yaml.load(entry[0], Loader=yaml.BaseLoader)["license"]
        except (OSError, ValueError, KeyError, TypeError, RecursionError, yaml.YAMLError):
            return "not stated"
        parts = stated if isinstance(stated, list) else [stated]
        if not parts or not all(isinstance(one, str) and one.isprintable() for one in parts):
            return "not stated"
        return ", ".join(parts) or "not stated"


def find_model_folder(source: str | os.PathLike[str]) -> ModelFolder:
    """Find the folder of a model and validate its files.

    Args:
        source: ``hf:ORG/NAME``, optionally with ``@REVISION``, which is fetched from the hub unless
            the cache has all of it; anything else is a folder, and the network is not used.

    Raises:
        UsageError: there is no such model, it contains pickles or code, or the hub cannot be
            reached.
        BundleError: a file is missing or damaged.
    """
    name = os.fspath(source)
    if name.startswith(hub.SCHEME):
        folder = hub.fetch(name, _FETCHED, _is_whole)
    else:
        folder = Path(source)
        name = folder.resolve().name
        if not (folder / CONFIG).is_file():
            raise UsageError(f"{folder}: no model of Hugging Face, which has a {CONFIG}")
    config = _read_json(folder / CONFIG)
    for path in _read_files(folder):
        if path.name in _CONFIGURATIONS:
            _check_keys(_read_json(path), f"{path.name} of {name}", name)
        elif path.suffix == ".json":
            _read_json(path)
        elif path.name != _CARD and path.stat().st_size > _MOST_OTHERS:
            raise BundleError(_too_large(path, _MOST_OTHERS))
    _check_sizes(config, f"{CONFIG} of {name}")
    return ModelFolder(name=name, folder=folder, config=config, weights=_find_weights(folder, name))


def _read_files(folder: Path) -> list[Path]:
    found = {path for pattern in _READ for path in folder.glob(pattern) if path.is_file()}
    return sorted(found)


def _is_whole(folder: Path) -> bool:
    """Whether a copy of a repository has all files that a captioner needs."""
    named = [folder / CONFIG, folder / "tokenizer.json"]
    try:
        named += _find_weights(folder, folder.name)
    except (UsageError, BundleError):
        return False
    processors = [folder / name for name in ("preprocessor_config.json", "processor_config.json")]
    return all(path.is_file() for path in named) and any(path.is_file() for path in processors)


def _too_large(path: Path, most: int) -> str:
    return f"{path}: larger than {most // 2**20} MiB, the most that is read"


def json_numbers(values: Any, where: str, depth: int = 0) -> Iterator[tuple[str, str, float]]:
    """All numbers in a JSON value, at any depth.

    Yields:
        Its location, the nearest key above it, and the number.

    Raises:
        BundleError: it is nested too deeply.
    """
    if depth > _MOST_DEPTH:
        raise BundleError(f"{where}: nested too deeply")
    key = where.rpartition(": ")[2]
    for name, value in values.items() if isinstance(values, dict) else ((key, v) for v in values):
        inside = f"{where}: {name}" if isinstance(values, dict) else where
        if isinstance(value, dict | list):
            yield from json_numbers(value, inside, depth + 1)
        elif isinstance(value, int | float) and not isinstance(value, bool):
            yield inside, name, value


def _read_json(path: Path) -> Mapping[str, Any]:
    most = _MOST_BYTES.get(path.name, _MOST_OTHERS)
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise BundleError(_too_large(path, most))
        values = json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(values, dict):
        raise BundleError(f"{path}: is not a JSON object")
    return values


def _check_keys(values: Any, where: str, name: str, depth: int = 0) -> None:
    """Refuse keys that contain code or refer transformers to other files, at any depth."""
    if depth > _MOST_DEPTH:
        raise BundleError(f"{where}: nested too deeply")
    if isinstance(values, dict):
        if "auto_map" in values:
            raise UsageError(
                f"{name} brings code of its own ({where} has 'auto_map'), which is never run: use "
                "a version that was saved for the classes of transformers itself (of Florence-2, "
                "those of florence-community)"
            )
        for key, does in _REFUSED.items():
            if values.get(key) is not None:
                raise UsageError(
                    f"{where} {does} ({key!r}), which is not supported: load the model with "
                    "transformers where you trust it, and save it with save_pretrained(FOLDER)"
                )
    for value in values.values() if isinstance(values, dict) else values:
        if isinstance(value, dict | list):
            _check_keys(value, where, name, depth + 1)


def _check_sizes(config: Mapping[str, Any], where: str) -> None:
    """Refuse implausible sizes, before anything is built."""
    for inside, key, number in json_numbers(config, where):
        most = next((limit for end, limit in _MOST.items() if key.endswith(end)), 2**40)
        if isinstance(number, int) and not -(2**40) <= number <= most:
            raise BundleError(f"{inside} is {number}, and {most} at most is sensible")


def _find_weights(folder: Path, name: str) -> tuple[Path, ...]:
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS,)
    if not (folder / INDEX).is_file():
        if any(folder.glob("*.bin")):
            raise UsageError(
                f"{name} has no {WEIGHTS}; weights in pytorch_model.bin are pickles, which may run "
                "code when they are read, and are refused. Convert them where you trust them: "
                "load the model with transformers and save it with save_pretrained(FOLDER)"
            )
        if name.startswith(hub.SCHEME):
            raise UsageError(
                f"{name}: its copy in the cache ({folder}) has no safetensors weights. Either it "
                f"was fetched in part: run 'hf download {hub.repository(name)}' where there is a "
                f"network; or the repository has no {WEIGHTS}, and is not supported"
            )
        raise UsageError(f"{name} has no {WEIGHTS}, nor {INDEX}")
    named = _read_json(folder / INDEX).get("weight_map")
    parts = list(named.values()) if isinstance(named, dict) else []
    for part in parts:
        if not isinstance(part, str) or Path(part).name != part or not part.endswith("tensors"):
            raise BundleError(f"{folder / INDEX}: {part!r} is no safetensors file of the folder")
    missing = sorted({part for part in parts if not (folder / part).is_file()})
    if missing or not parts:
        listed = ", ".join(map(repr, missing[:_NAMED])) + ", ..." * (len(missing) > _NAMED)
        raise BundleError(f"{name}: weights are missing: {listed or 'none listed'}")
    return tuple(folder / part for part in sorted(set(parts)))


def _weights_sha256(path: Path, *, cached: bool) -> str:
    """The SHA-256 of weights; in the hub's cache it is the file name."""
    real = path.resolve()
    if cached and path.is_symlink() and _SHA256.fullmatch(real.name):
        return real.name
    return content_sha256(path)
