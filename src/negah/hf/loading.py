"""A checked folder -> a model of transformers in evaluation mode, all weights from the file.

transformers fills weights that a file lacks with random numbers, and warns; here that is an error.
"""

from __future__ import annotations

from typing import Any

import torch
import transformers
from safetensors import SafetensorError, safe_open

from negah.errors import BundleError, NegahError
from negah.hf.source import Source

_NAMED = 5


def load_model(source: Source, model_class: str, attention: dict[str, str] | str) -> Any:
    """The model, float32, on the CPU.

    Args:
        source: where it is.
        model_class: the name of its class in transformers.
        attention: implementations of attention, for all or by part of the configuration.

    Raises:
        BundleError: the weights are damaged, do not fit the configuration or are not all there.
    """
    builder = getattr(transformers, model_class)
    config = attempt(
        source,
        lambda: builder.config_class.from_pretrained(str(source.folder), local_files_only=True),
    )
    _check_total(source, builder, config)
    model, report = attempt(
        source,
        lambda: builder.from_pretrained(
            str(source.folder),
            config=config,
            dtype=torch.float32,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            attn_implementation=attention,
            ignore_mismatched_sizes=True,  # reported, and refused below
            output_loading_info=True,
        ),
    )
    _check_report(source, report)
    return model.eval()


def attempt(source: Source, build: Any) -> Any:
    """What ``build`` gives; its errors become a :class:`BundleError` of one line."""
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


def _check_total(source: Source, builder: Any, config: Any) -> None:
    """Refuse a configuration of far more numbers than the files hold, before memory is taken."""
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


def _check_report(source: Source, report: dict[str, Any]) -> None:
    # Encoders of published models often come without their pooler, which captions do not use.
    missing = sorted(key for key in report["missing_keys"] if ".pooler." not in key)
    if missing:
        raise BundleError(
            f"{source.name}: its files lack {len(missing)} weights of {source.config['model_type']}"
            f" models, which would be random: {_named(missing)}. Was it saved as another class?"
        )
    mismatched = sorted(str(key) for key, *_ in report["mismatched_keys"])
    if mismatched:
        raise BundleError(
            f"{source.name}: {len(mismatched)} weights have other shapes than config.json "
            f"describes: {_named(mismatched)}"
        )


def _named(names: list[str]) -> str:
    more = ", ..." if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more
