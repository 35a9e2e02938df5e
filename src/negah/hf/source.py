"""Where a model of Hugging Face is: a folder, or a repository of the hub. Checked before use.

Only JSON, text and safetensors files are read. Nothing is unpickled, and code that a model
brings (``auto_map``) is never run.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from negah.errors import BundleError, UsageError

SCHEME = "hf:"
CONFIG = "config.json"
WEIGHTS = "model.safetensors"
INDEX = "model.safetensors.index.json"

#: Bytes of a file that are read at most; vocabularies have some megabytes, all else kilobytes.
_MOST_BYTES = {"tokenizer.json": 64 * 2**20, "vocab.json": 64 * 2**20, INDEX: 64 * 2**20}
_MOST_JSON = 4 * 2**20
#: What is fetched of a repository of the hub.
_FETCHED = ("*.json", "*.txt", "*.model", "README.md", WEIGHTS, "model-*-of-*.safetensors")
_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")
_SHA256 = re.compile(r"[0-9a-f]{64}")

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
class Source:
    """A folder with a model, checked.

    Attributes:
        name: as reports call it: ``hf:ORG/NAME``, or the folder's name.
        folder: where the files are.
        config: the content of ``config.json``.
        weights: the safetensors files.
        revision: of the hub, None for a folder.
    """

    name: str
    folder: Path
    config: Mapping[str, Any] = field(repr=False)
    weights: tuple[Path, ...]

    @property
    def files(self) -> tuple[Path, ...]:
        """All files that are read."""
        others = [path for path in sorted(self.folder.iterdir()) if path.suffix in _READ]
        return (*self.weights, *others)

    def sha256(self) -> str:
        """Of the weights: of the file, or of the list ``SHA256  NAME`` of several files."""
        digests = [(_sha256(path), path.name) for path in self.weights]
        if len(digests) == 1:
            return digests[0][0]
        listed = "".join(f"{digest}  {name}\n" for digest, name in digests)
        return hashlib.sha256(listed.encode()).hexdigest()

    def licence(self) -> str:
        """As the model card states it; "not stated" where it does not."""
        import yaml

        try:
            text = (self.folder / "README.md").read_text(encoding="utf-8")[:_MOST_JSON]
            matter = yaml.safe_load(text.split("---", 2)[1]) if text.startswith("---") else None
        except (OSError, UnicodeDecodeError, yaml.YAMLError, IndexError):
            matter = None
        stated = matter.get("license") if isinstance(matter, dict) else None
        stated = ", ".join(map(str, stated)) if isinstance(stated, list) else stated
        return stated if isinstance(stated, str) and stated.isprintable() else "not stated"


_READ = {".json", ".txt", ".model", ".md"}


def model_type(folder: Path) -> str | None:
    """The ``model_type`` of a folder's ``config.json``; None where there is none to read."""
    try:
        return str(_read_json(folder / CONFIG)["model_type"])
    except (BundleError, KeyError):
        return None


def find(source: str | os.PathLike[str]) -> Source:
    """The folder of a model, after its files were checked.

    Args:
        source: ``hf:ORG/NAME``, with ``@REVISION`` or without, is fetched from the hub unless
            it is in the cache; anything else is a folder, for which no network is touched.

    Raises:
        UsageError: there is no such model, it brings pickles or code of its own, or the hub
            cannot be reached.
        BundleError: a file is missing or damaged.
    """
    name = os.fspath(source)
    if name.startswith(SCHEME):
        folder = _fetch(name)
    else:
        folder = Path(source)
        name = folder.resolve().name
        if not (folder / CONFIG).is_file():
            raise UsageError(f"{folder}: no model of Hugging Face, which has a {CONFIG}")
    config = _read_json(folder / CONFIG)
    for path in sorted(folder.glob("*.json")):
        _refuse_code(path, name)
    _check_sizes(config, f"{CONFIG} of {name}")
    return Source(name=name, folder=folder, config=config, weights=_find_weights(folder, name))


def _read_json(path: Path) -> Mapping[str, Any]:
    most = _MOST_BYTES.get(path.name, _MOST_JSON)
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
        if len(content) > most:
            raise BundleError(f"{path}: larger than {most // 2**20} MiB, the most that is read")
        values = json.loads(content)
    except (OSError, ValueError, RecursionError) as error:
        raise BundleError(f"{path}: cannot be read as JSON: {error}") from None
    if not isinstance(values, dict):
        raise BundleError(f"{path}: is not a JSON object")
    return values


def _refuse_code(path: Path, name: str) -> None:
    if "auto_map" in _read_json(path):
        raise UsageError(
            f"{name} brings code of its own ({path.name} has 'auto_map'), which is never run: use "
            "a version that was saved for the classes of transformers itself (of Florence-2, "
            "those of florence-community)"
        )


def _check_sizes(config: Mapping[str, Any], where: str, depth: int = 0) -> None:
    """Refuse numbers that no model has, before anything is built of them."""
    if depth > 8:
        raise BundleError(f"{where}: configurations are nested too deeply")
    for key, value in config.items():
        if isinstance(value, dict):
            _check_sizes(value, f"{where}: {key}", depth + 1)
            continue
        most = next((limit for end, limit in _MOST.items() if key.endswith(end)), 2**40)
        for number in value if isinstance(value, list) else [value]:
            if isinstance(number, int) and not -(2**40) <= number <= most:
                raise BundleError(f"{where}: {key} is {number}, and {most} at most is sensible")


def _find_weights(folder: Path, name: str) -> tuple[Path, ...]:
    if (folder / WEIGHTS).is_file():
        return (folder / WEIGHTS,)
    if not (folder / INDEX).is_file():
        pickled = any(folder.glob("*.bin")) or name.startswith(SCHEME)
        raise UsageError(
            f"{name} has no {WEIGHTS}"
            + (
                "; weights in pytorch_model.bin are pickles, which may run code when they are "
                "read, and are refused. Convert them where you trust them: load the model with "
                "transformers and save it with save_pretrained(FOLDER)"
                if pickled
                else f", nor {INDEX}"
            )
        )
    named = _read_json(folder / INDEX).get("weight_map")
    names = set(named.values()) if isinstance(named, dict) else set[Any]()
    for part in names:
        if not isinstance(part, str) or Path(part).name != part or not part.endswith("tensors"):
            raise BundleError(f"{folder / INDEX}: {part!r} is no safetensors file of the folder")
    missing = sorted(part for part in names if not (folder / part).is_file())
    if missing or not names:
        raise BundleError(f"{name}: weights are missing: {', '.join(missing) or 'none listed'}")
    return tuple(folder / part for part in sorted(names))


def _sha256(path: Path) -> str:
    """The hub's cache names a file of weights by its SHA-256."""
    real = path.resolve()
    if path.is_symlink() and _SHA256.fullmatch(real.name):
        return real.name
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _fetch(name: str) -> Path:
    """The folder of a repository in the cache of the hub, fetched where it is not there."""
    from huggingface_hub import constants, snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    wanted = name.removeprefix(SCHEME)
    if not _NAME.fullmatch(wanted):
        raise UsageError(f"a model of the hub is named hf:ORG/NAME or hf:ORG/NAME@REVISION: {name}")
    repository, _, revision = wanted.partition("@")
    try:
        folder = snapshot_download(
            repository,
            revision=revision or None,
            allow_patterns=list(_FETCHED),
            ignore_patterns=["*/*"],
        )
    except GatedRepoError:
        raise UsageError(
            f"{name}: its owners give it to those who agreed to their terms: agree on "
            f"https://huggingface.co/{repository}, then run: hf auth login"
        ) from None
    except RevisionNotFoundError:
        raise UsageError(f"{name}: the repository has no revision {revision!r}") from None
    except RepositoryNotFoundError:
        raise UsageError(f"{name}: the hub has no such model, or it is private") from None
    except LocalEntryNotFoundError:
        raise UsageError(
            f"{name}: the hub cannot be reached, and the model is not in the cache "
            f"({constants.HF_HUB_CACHE}): connect once, run 'hf download {repository}' where "
            "there is a network, or give the folder of the model"
        ) from None
    except Exception as error:  # HTTP, proxies, disks: many classes, and no base
        first = str(error).strip().partition("\n")[0]
        raise UsageError(f"{name} cannot be fetched: {type(error).__name__}: {first}") from error
    return Path(folder)
