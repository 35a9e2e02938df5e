"""The model card of a bundle, as Markdown."""

from __future__ import annotations

import json
from collections.abc import Iterator

from negah.bundle.schema import BundleConfig, Score


def model_card(config: BundleConfig) -> str:
    """The README.md of a bundle, generated from its description alone."""
    file = "photo.jpg" if config.encoder.motion is None else "clip.mp4"
    return "\n".join(
        [
            f"# {config.name}",
            "",
            *_summary(config),
            "",
            "## Use",
            "",
            "```sh",
            f"negah caption {file} --model FOLDER",
            "```",
            "",
            "```python",
            "import negah",
            "",
            f'caption = negah.load("FOLDER").caption("{file}")',
            "```",
            "",
            "## Training data",
            "",
            *_training_data(config),
            "",
            "## Scores",
            "",
            *_scores(config),
            "",
            "## Known limits",
            "",
            *(f"- {limit}" for limit in config.limits or ("None were written down.",)),
            "",
            "## Recipe",
            "",
            f"Seeds: {', '.join(map(str, config.provenance.seeds)) or 'not recorded'}.",
            *_objective(config),
            "",
            "```json",
            json.dumps(config.recipe, ensure_ascii=False, indent=2),
            "```",
            "",
        ]
    )


def _summary(config: BundleConfig) -> Iterator[str]:
    encoder, size = config.encoder, config.preprocessing
    subject = "photos" if config.clip_frames == 1 else "clips and photos"
    if encoder.motion is not None:
        subject = f"clips by their motion (changes within {encoder.motion:g} s)"
    yield (
        f"A captioner for {subject}: {config.model.kind} over {encoder.name} "
        f"({size.height} x {size.width} pixels, {encoder.rows} x {encoder.columns} regions of "
        f"{encoder.channels} channels), {config.vocabulary_size:,} tokens."
    )
    yield ""
    yield f"- Licence of the weights: {config.licence}"
    yield f"- Written by Negah {config.negah_version}, {config.created}"
    if config.provenance.encoder_weights:
        digest = config.provenance.encoder_weights_sha256
        yield f"- Encoder initialised from {config.provenance.encoder_weights} (SHA-256 {digest})"
    if config.encoder_from is not None:
        source = config.encoder_from
        yield (
            f"- Encoder: that of {source.model}, which is in the package (SHA-256 of its weights "
            f"{source.weights_sha256}); the bundle opens with no other"
        )
    if config.evidence:
        names = ", ".join(spec.name for spec in config.evidence)
        yield f"- Evidence with every word: {names}"


def _training_data(config: BundleConfig) -> Iterator[str]:
    if not config.provenance.training_data:
        yield "Not recorded."
    for source in config.provenance.training_data:
        images = f", {source.images:,} images" if source.images else ""
        note = f" {source.note}" if source.note else ""
        yield f"- {source.name}{images}. Licence: {source.licence}.{note}"
    split = config.provenance.split
    if split is not None:
        yield ""
        yield (
            f"Divided with `{split.policy}`: {split.policy.rule}. `negah evaluate` divides alike "
            "unless it is told otherwise."
        )


def _objective(config: BundleConfig) -> Iterator[str]:
    if config.provenance.objective:
        yield f"Objective: `{config.provenance.objective}`."


def _scores(config: BundleConfig) -> Iterator[str]:
    if not config.scores:
        yield "Not measured."
        return
    yield "| data | part | metric | score | interval | photos | signature |"
    yield "|---|---|---|---:|---|---:|---|"
    for score in config.scores:
        cells = (
            score.dataset, score.split, score.metric, f"{score.value:.2f}", _interval(score),
            f"{score.n:,}", f"`{score.signature}`",
        )  # fmt: skip
        yield f"| {' | '.join(cell.replace('|', '&#124;') for cell in cells)} |"


def _interval(score: Score) -> str:
    if score.low is None or score.high is None:
        return ""
    return f"{score.low:.2f} to {score.high:.2f}"
