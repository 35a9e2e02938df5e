"""The parts of docs/studies/synthetic.md that are made from the numbers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from negah.studies.synthetic.results import Results, tables, verdicts


def made_parts(results: Mapping[str, Any]) -> dict[str, str]:
    """Every part by name: ``setting``, ``captions``, ``attention``, ``verdicts``."""
    sentences = "\n".join(f"- {sentence}" for sentence in verdicts(results))
    return {"setting": _setting(results), **tables(results), "verdicts": sentences}


def _setting(results: Mapping[str, Any]) -> str:
    """How much of everything, in sentences."""
    options, setting = results["options"], results["setting"]
    synth, training, vision = options["synth"], options["training"], options["vision"]
    sizes = ", ".join(
        f"{letter} = {training[name]}"
        for letter, name in (
            ("hidden D", "hidden_size"),
            ("embedding E", "embedding_size"),
            ("visual M", "visual_size"),
            ("attention A", "attention_size"),
            ("phrase P", "phrase_size"),
        )
    )
    known = ", ".join(f"{name} {100 * share:.1f}%" for name, share in results["features"].items())
    most = max(cell["parameters"] for cell in results["cells"])
    seeds = len(Results(results).seeds)
    return (
        f"{options['clips']:,} training clips and {options['test_clips']:,} held-out clips of "
        f"{synth['frames']} frames, {synth['size']} x {synth['size']} pixels, R = "
        f"{synth['grid'] ** 2} cells; {synth['captions']} captions each. Sizes: {sizes}, dropout "
        f"{training['dropout']}; at most {most:,} parameters. {training['epochs']} epochs, "
        f"{training['batch']} clips with {training['captions']} captions each a step, Adam, "
        f"highest rate {training['learning_rate']:g}, warm-up over {training['warmup_steps']} "
        f"steps, then a cosine to 0. {seeds} seed{'s' * (seeds > 1)}. The network that gives the "
        f"features learned from {vision['clips']} other clips; on held-out cells that hold part "
        f"of a thing it names: {known}. Captions are {setting['decoding']}. Negah "
        f"{setting['negah']}, PyTorch {setting['torch']}, Python {setting['python']}, one thread "
        "of a CPU."
    )
