"""Loading of a validated folder as a transformers model in evaluation mode, with all weights from
the file.

transformers receives the validated configuration and weights, and does not look for them itself.
It would initialise missing weights at random with a warning; here they are an error.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file
from transformers.utils import logging as messages

from negah.errors import BundleError, NegahError
from negah.hf.model_folder import ModelFolder

_NAMED = 5


def load_model(source: ModelFolder, model_class: str, attention: dict[str, str] | str) -> Any:
    """Load the model, float32, on the CPU.

    Args:
        source: where it is.
        model_class: the name of its class in transformers.
        attention: implementations of attention, for all or by part of the configuration.

    Raises:
        BundleError: the weights are damaged, incomplete, or do not fit the configuration.
    """
    builder = getattr(transformers, model_class)
    config = attempt(source, lambda: builder.config_class.from_dict(dict(source.config)))
    _check_total(source, builder, config)

    def build() -> Any:
        weights = {}
        for path in source.weights:
            weights.update(load_file(path))
        return builder.from_pretrained(
            None,
            config=config,
            state_dict=weights,
            dtype=torch.float32,
            attn_implementation=attention,
            ignore_mismatched_sizes=True,  # reported, and refused below
            output_loading_info=True,
        )

    with _silence():
        model, report = attempt(source, build)
    _check_report(source, report)
    model.generation_config = attempt(source, lambda: _generation_config(source))
    return model.eval()


def _generation_config(source: ModelFolder) -> Any:
    """As in transformers: from its own file, otherwise from the model's configuration."""
    own = (source.folder / "generation_config.json").is_file()
    return transformers.GenerationConfig.from_pretrained(
        str(source.folder),
        config_file_name="generation_config.json" if own else "config.json",
        _from_model_config=not own,
        local_files_only=True,
    )


_silencing = threading.Lock()


def _no_bar(_: Any, args: Any, kwargs: Any) -> Any:
    return messages.EmptyTqdm(*args, **kwargs)  # type: ignore[no-untyped-call]


@contextmanager
def _silence() -> Iterator[None]:
    """Suppress the progress bar and the report of transformers; problems are errors here."""
    with _silencing:
        verbosity = messages.get_verbosity()
        hook = messages.set_tqdm_hook(_no_bar)
        messages.set_verbosity(logging.ERROR)
        try:
            yield
        finally:
            messages.set_verbosity(verbosity)
            messages.set_tqdm_hook(hook)


def attempt(source: ModelFolder, build: Any) -> Any:
    """Call ``build``; its errors become a one-line :class:`BundleError`."""
    try:
        return build()
    except NegahError:
        raise
    except Exception as error:  # transformers and what it calls have many, and no base
        words = " ".join(str(error).split())
        raise BundleError(
            f"transformers cannot open {source.name} ({source.folder}): "
            f"{type(error).__name__}: {words:.400}"
        ) from error


def _check_total(source: ModelFolder, builder: Any, config: Any) -> None:
    """Refuse a configuration with far more weights than the files, before allocating memory."""
    stored = 0
    for path in source.weights:
        try:
            with safe_open(path, framework="pt") as file:
                shapes = [file.get_slice(name).get_shape() for name in file.keys()]  # noqa: SIM118
        except (SafetensorError, OSError) as error:
            raise BundleError(f"{path}: damaged: {error}") from None
        stored += sum(torch.Size(shape).numel() for shape in shapes)

    def count() -> int:
        with torch.device("meta"):
            return sum(weight.numel() for weight in builder(config).parameters())

    described = attempt(source, count)
    if described > 2 * stored + 1_000_000:
        raise BundleError(
            f"{source.name}: config.json describes {described:,} weights, and the files hold "
            f"{stored:,}"
        )


def _check_report(source: ModelFolder, report: dict[str, Any]) -> None:
    # Encoders of published models often come without their pooler, which captions do not use.
    missing = sorted(key for key in report["missing_keys"] if ".pooler." not in key)
    if missing:
        raise BundleError(
            f"{source.name}: its files lack {len(missing)} weights of {source.config['model_type']}"
            f" models, which would be random: {_abridged(missing)}. Was it saved as another class?"
        )
    mismatched = sorted(str(key) for key, *_ in report["mismatched_keys"])
    if mismatched:
        raise BundleError(
            f"{source.name}: {len(mismatched)} weights have other shapes than config.json "
            f"describes: {_abridged(mismatched)}"
        )


def _abridged(names: list[str]) -> str:
    more = ", ..." if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
