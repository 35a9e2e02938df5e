"""Evaluation: caption a data set, score the captions, and add the scores to the model card.

The captions are those that a user gets: decoded from the files by the runtime, with the model's own
decoding options by default. A photo that cannot be read is recorded and not scored; every score is
reported with the number of photos.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from negah import __version__
from negah.bundle import Bundle, BundleConfig, Score, read_bundle
from negah.bundle.revise import revise_bundle
from negah.bundle.schema import WEIGHTS_FILE
from negah.data import Example
from negah.data.names import coco_number
from negah.decoding import DecodingOptions
from negah.errors import DataError, UsageError
from negah.files import write_json
from negah.metrics import Scores, score
from negah.runtime import Captioner, ClipSpan

__all__ = [
    "Evaluation",
    "Fused",
    "Unread",
    "add_scores",
    "evaluate",
    "scores_on_card",
    "write_evaluations",
]


@dataclass(frozen=True, slots=True)
class Unread:
    """A photo that could not be read, or only partly.

    Attributes:
        name: of the example.
        reason: why, in a clause.
    """

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Fused:
    """A model that was fused with the first.

    Attributes:
        name: of the model.
        weights_sha256: of its weights.
    """

    name: str
    weights_sha256: str


@dataclass(frozen=True, slots=True, eq=False)
class Evaluation:
    """The scores of a model on one part of a data set of photos or clips.

    Attributes:
        model: its name.
        weights_sha256: of its weights, which identify it.
        fused: the models that it was fused with, if any.
        dataset: the data set's name.
        split: the part of it.
        frames: maximum number of frames of each clip that were used.
        decoding: the options that the captions were decoded with.
        captions: by name of the example, for every photo that could be read.
        scores: of those captions.
        failures: the photos that could not be read.
        partial: those that could be read only in part; their captions are scored.
    """

    model: str
    weights_sha256: str
    fused: tuple[Fused, ...]
    dataset: str
    split: str
    frames: int
    decoding: DecodingOptions
    captions: Mapping[str, str]
    scores: Scores
    failures: tuple[Unread, ...]
    partial: tuple[Unread, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with 95% intervals and without the captions."""
        return {
            "model": {"name": self.model, "weights_sha256": self.weights_sha256},
            "fused": [asdict(other) for other in self.fused],
            "dataset": self.dataset,
            "split": self.split,
            "frames": self.frames,
            "decoding": self.decoding.model_dump(mode="json"),
            **self.scores.to_dict(),
            "failures": [{"name": one.name, "reason": one.reason} for one in self.failures],
            "partial": [{"name": one.name, "reason": one.reason} for one in self.partial],
        }

    def to_coco_results(self) -> list[dict[str, Any]]:
        """The captions as COCO's results format, which other evaluation tools read.

        ``image_id`` is COCO's number if every name ends in one, as COCO's files do, and the
        name of the example otherwise.
        """
        numbers = [coco_number(name) for name in self.captions]
        ids: list[int | str] = list(self.captions)
        if None not in numbers:
            ids = [number for number in numbers if number is not None]
        return [
            {"image_id": image, "caption": caption}
            for image, caption in zip(ids, self.captions.values(), strict=True)
        ]


def evaluate(
    captioner: Captioner,
    examples: Sequence[Example],
    *,
    dataset: str,
    progress: Callable[[], None] | None = None,
    frames: int | None = None,
    scoring: Mapping[str, Any] | None = None,
    **decoding: Any,
) -> Evaluation:
    """Caption photos or clips and score the captions against human references.

    Args:
        captioner: the model.
        examples: photos with their references, of one part as a rule.
        dataset: what the data set is called.
        progress: called after each photo.
        frames: maximum number of frames of each clip; by default that of the model.
        scoring: keyword arguments of :func:`negah.metrics.score`, such as ``metrics``.
        decoding: fields of :class:`~negah.decoding.DecodingOptions` in place of the model's own.

    Raises:
        DataError: there are no examples, or none of their photos can be read.
        UsageError: a decoding option is wrong.
    """
    if not examples:
        raise DataError(f"{dataset}: there are no photos or clips to evaluate on")
    captions: dict[str, str] = {}
    failures: list[Unread] = []
    partial: list[Unread] = []
    shown = [
        example.path if example.span is None else ClipSpan(example.path, example.span)
        for example in examples
    ]
    results = captioner.caption_many(shown, on_error="report", frames=frames, **decoding)
    for example, result in zip(examples, results, strict=True):
        if result.caption is not None:
            captions[example.name] = result.caption.text
            partial += [Unread(example.name, why) for why in result.caption.warnings]
        elif result.error is not None:
            failures.append(Unread(example.name, result.error.reason))
        if progress is not None:
            progress()
    if not captions:
        raise DataError(
            f"{dataset}: none of the {len(examples)} files could be read "
            f"(the first: {failures[0].name}: {failures[0].reason})"
        )
    references = {e.name: list(e.captions) for e in examples if e.name in captions}
    backend = captioner.backend
    return Evaluation(
        model=backend.identity.name,
        weights_sha256=backend.identity.sha256,
        fused=tuple(Fused(other.identity.name, other.identity.sha256) for other in captioner.fused),
        dataset=dataset,
        split="+".join(sorted({example.split for example in examples})),
        frames=backend.sight.clip_frames if frames is None else frames,
        decoding=captioner.decoding_options(decoding),
        captions=captions,
        scores=score(
            captions, references, **{"language": backend.identity.language, **(scoring or {})}
        ),
        failures=tuple(failures),
        partial=tuple(partial),
    )


def write_evaluations(path: Path, evaluations: Sequence[Evaluation]) -> None:
    """Write scores as the JSON that :func:`add_scores` reads."""
    rows = [evaluation.to_dict() for evaluation in evaluations]
    write_json(path, {"negah": __version__, "evaluations": rows})


def scores_on_card(scores: Sequence[Score], dataset: str, split: str) -> dict[str, Score]:
    """The scores on a model card for one part of a data set, by metric."""
    return {
        score.metric: score
        for score in scores
        if (score.dataset.lower(), score.split) == (dataset.lower(), split)
    }


def add_scores(folder: str | Path, files: Sequence[Path]) -> Bundle:
    """Add measured scores to a bundle's description and model card.

    Earlier scores of the same metric on the same part of the same data set are replaced.

    Args:
        folder: of the bundle.
        files: written by :func:`write_evaluations`.

    Raises:
        BundleError: ``folder`` is no bundle, or a damaged one.
        UsageError: a file is something else, or holds scores of another model or of other
            decoding options than this bundle's, which its card must not claim.
    """
    bundle = read_bundle(folder)
    scores = {_place(score): score for score in bundle.config.scores}
    for file in files:
        scores.update({_place(score): score for score in _read_scores(file, bundle.config)})
    return revise_bundle(bundle, folder, scores=tuple(scores.values()))


def _place(score: Score) -> tuple[str, str, str]:
    return (score.dataset, score.split, score.metric)


def _read_scores(file: Path, config: BundleConfig) -> list[Score]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
        return [score for row in found["evaluations"] for score in _scores_of(row, file, config)]
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise UsageError(
            f"{file} holds no scores; give a file that 'negah evaluate --json FILE' wrote"
        ) from None


def _scores_of(row: Mapping[str, Any], file: Path, config: BundleConfig) -> list[Score]:
    if row["model"]["weights_sha256"] != config.files[WEIGHTS_FILE].sha256:
        raise UsageError(
            f"{file} holds scores of another model ({row['model']['name']}, with other weights): "
            f"evaluate this bundle"
        )
    if row.get("fused"):
        raise UsageError(
            f"{file} was measured with other models fused with this one, and the card is for this "
            f"model only: evaluate without --fuse"
        )
    if row.get("frames", config.clip_frames) != config.clip_frames:
        raise UsageError(
            f"{file} was measured with {row['frames']} frames of each clip, and the bundle "
            f"looks at {config.clip_frames}, which is what its users get: evaluate without --frames"
        )
    # parsed again: scores written before an option existed get its default
    measured = DecodingOptions.parse(row["decoding"], where=f"decoding of {file}")
    if measured != config.decoding:
        raise UsageError(
            f"{file} was measured with other decoding options than the bundle's own, which are "
            "what its users get: evaluate without decoding options"
        )
    return [
        Score(
            dataset=row["dataset"],
            split=row["split"],
            metric=metric,
            value=score["value"],
            low=score["low"],
            high=score["high"],
            n=row["images"],
            signature=score["signature"],
        )
        for metric, score in row["scores"].items()
    ]
