"""Interpretation of a diagnosis: vanishing, exploding or healthy, where, and what to change.

Every threshold is a field of :class:`Thresholds` with its reason; all are rules of thumb.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from pydantic import Field

from negah.diagnostics.layers import Layer, stack
from negah.options import Options

GradientState = Literal["healthy", "vanishing", "exploding"]


class Thresholds(Options):
    """Thresholds of findings."""

    distance: int = Field(10, ge=1, description="words: about a caption's length")
    forgotten: float = Field(
        0.01, gt=0, description="a state is forgotten when less of a change of it is left"
    )
    grown: float = Field(10.0, gt=1, description="a Jacobian larger than this has exploded")
    layer_share: float = Field(
        0.001, gt=0, description="a layer is starved whose gradient is so much smaller than the top"
    )
    gradient: float = Field(
        100.0, gt=0, description="norm of a gradient of the loss of a word that is too large"
    )
    saturated: float = Field(0.8, gt=0, le=1, description="share of a gate's activations at an end")
    flat: float = Field(0.98, gt=0, le=1, description="normalised entropy of flat attention")
    stuck: float = Field(
        0.005, gt=0, description="information of attention that is always at the same place"
    )
    same_caption: float = Field(0.5, gt=0, description="share of photos with one caption")
    distinct: float = Field(0.1, gt=0, description="share of captions that are different")
    dead: float = Field(0.05, gt=0, description="share of words never learned")
    guessing: float = Field(
        0.95, gt=0, description="share of the nats of guessing among all words: nothing was learned"
    )
    fewest_photos: int = Field(10, ge=2, description="fewer captions than this show nothing")


@dataclass(frozen=True, slots=True)
class Finding:
    """A fault.

    Attributes:
        kind: "untrained", "exploding", "vanishing", "saturated", "flat attention",
            "stuck attention", "same caption" or "dead embeddings".
        where: a layer, a distance, a gate.
        text: a sentence with the number.
        change: what to try, a clause for each.
    """

    kind: str
    where: str
    text: str
    change: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """The overall result.

    Attributes:
        state: of the gradients; exploding wins over vanishing.
        findings: the reasons, and all else that was found.
    """

    state: GradientState
    findings: tuple[Finding, ...]

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return asdict(self)

    def sentences(self) -> list[str]:
        """The verdict in words, a line each."""
        lines = [f"gradients: {self.state}"]
        for finding in self.findings:
            lines.append(f"{finding.kind} ({finding.where}): {finding.text}")
            lines += [f"  try: {change}" for change in finding.change]
        return lines


_EXPLODING = (
    "clip the norm of the gradient (training.gradient_clip, 1 to 5)",
    "a lower learning rate, with warm-up",
    "a gated cell (model.cell=lstm or gru), orthogonal recurrent weights",
)
_VANISHING = (
    "a gated cell (model.cell=lstm or gru) whose forget or update gate starts open (a bias of 1)",
    "orthogonal recurrent weights at the start, and a longer training",
    "fewer steps between picture and words: attention, or the picture as input at every word",
)
_DEEP = (
    "fewer layers: one or two are enough for captions",
    "residual connections or normalisation between layers",
    "a lower learning rate for a deep stack (1e-3 and below)",
)


def at_distance(jacobian: Sequence[float], distance: int) -> float | None:
    """A profile at a distance; beyond its end, as its last two thirds fall or grow.

    Args:
        jacobian: by distance, from 0.
        distance: in words.

    Returns:
        None where the profile has no two points.
    """
    if distance < len(jacobian):
        return jacobian[distance]
    rate = per_step(jacobian)
    if rate is None:
        return None
    return float(jacobian[-1] * rate ** (distance - len(jacobian) + 1))


def per_step(jacobian: Sequence[float]) -> float | None:
    """The factor of each step: the least-squares slope of the logarithm over the distance.

    The first third of a profile is left out, since what is forgotten quickly is gone there.
    """
    start = len(jacobian) // 3
    points = [
        (distance, math.log(value))
        for distance, value in enumerate(jacobian)
        if distance >= start and 0 < value < math.inf
    ]
    if len(points) < 2:
        return None
    middle = sum(x for x, _ in points) / len(points)
    level = sum(y for _, y in points) / len(points)
    spread = sum((x - middle) ** 2 for x, _ in points)
    return math.exp(sum((x - middle) * (y - level) for x, y in points) / spread)


@dataclass(frozen=True, slots=True)
class VerdictMeasurements:
    """The measurements for a verdict.

    Attributes:
        jacobian: root mean square singular value of ds_n / ds_t by distance, from 0.
        layers: gradients of the mean loss of a word, by layer.
        loss: in nats a word.
        saturation: share of saturated activations, by gate.
        attention: ``entropy`` and ``information`` by kind.
        captions: ``photos``, ``distinct`` and ``most_frequent_share``, if any were made.
        dead: share of the words whose vector was never learned; None where that is not known.
        vocabulary: number of words to choose from; 0 where that is not known.
    """

    jacobian: Sequence[float]
    layers: Mapping[str, Layer]
    loss: float = 0.0
    saturation: Mapping[str, float] = field(default_factory=dict)
    attention: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    captions: Mapping[str, Any] = field(default_factory=dict)
    dead: float | None = None
    vocabulary: int = 0


def judge(measured: VerdictMeasurements, thresholds: Thresholds | None = None) -> Verdict:
    """The verdict on a captioner, by the default thresholds or others."""
    limits = thresholds or Thresholds()
    findings = [
        *_untrained(measured, limits),
        *_through_time(measured.jacobian, limits),
        *_through_layers(measured.layers, measured.loss, limits),
        *_saturated(measured.saturation, limits),
        *_attention(measured.attention, limits),
        *_captions(measured.captions, limits),
        *_dead(measured.dead, limits),
    ]
    kinds = {finding.kind for finding in findings}
    state: GradientState = "healthy"
    if "exploding" in kinds:
        state = "exploding"
    elif "vanishing" in kinds:
        state = "vanishing"
    return Verdict(state, tuple(findings))


def _through_time(jacobian: Sequence[float], limits: Thresholds) -> Iterator[Finding]:
    left = at_distance(jacobian, limits.distance)
    if not all(map(math.isfinite, jacobian)) or (left is not None and left > limits.grown):
        grown = (d for d, value in enumerate(jacobian) if not value <= limits.grown)
        first = next(grown, limits.distance)
        yield Finding(
            "exploding",
            f"through time, from {first} words on",
            f"a change of the state is {_number(left)} times as large {limits.distance} words "
            f"later (more than {limits.grown:g})",
            _EXPLODING,
        )
    elif left is not None and left < limits.forgotten:
        gone = (d for d, value in enumerate(jacobian) if value < limits.forgotten)
        first = next(gone, limits.distance)
        yield Finding(
            "vanishing",
            f"through time, from {first} words on",
            f"of a change of the state {_number(left)} is left {limits.distance} words later "
            f"(less than {limits.forgotten:g})",
            _VANISHING,
        )


def _through_layers(
    layers: Mapping[str, Layer], loss: float, limits: Thresholds
) -> Iterator[Finding]:
    total = math.sqrt(sum(layer.gradient**2 for layer in layers.values()))
    if not math.isfinite(loss) or not math.isfinite(total) or total > limits.gradient:
        largest = max(layers, key=lambda name: layers[name].gradient, default="the loss")
        yield Finding(
            "exploding",
            largest,
            f"the norm of the gradient is {_number(total)} (more than {limits.gradient:g})",
            _EXPLODING,
        )
        return
    stacked = stack(layers)
    if not stacked:
        return
    top = stacked[max(stacked)].gradient
    starved = {
        number: layer.gradient / top
        for number, layer in stacked.items()
        if top and layer.gradient < limits.layer_share * top
    }
    if starved or not top:
        highest = max(starved, default=max(stacked))
        lowest = min(starved.values(), default=0.0)
        yield Finding(
            "vanishing",
            f"through layers, from layer {highest} of {len(stacked)} down",
            f"the gradient there is {_number(lowest)} of that of the top layer (less than "
            f"{limits.layer_share:g})",
            _DEEP,
        )
    grown = {n: layer.gradient / top for n, layer in stacked.items() if top}
    if grown and max(grown.values()) > 1 / limits.layer_share:
        worst = max(grown, key=lambda number: grown[number])
        yield Finding(
            "exploding",
            f"through layers, at layer {worst} of {len(stacked)}",
            f"the gradient there is {_number(grown[worst])} times that of the top layer",
            (*_DEEP, _EXPLODING[0]),
        )


def _saturated(saturation: Mapping[str, float], limits: Thresholds) -> Iterator[Finding]:
    for gate, share in saturation.items():
        if share > limits.saturated:
            yield Finding(
                "saturated",
                gate,
                f"{share:.0%} of the activations are at an end (more than {limits.saturated:.0%})",
                ("a lower learning rate, or weight decay", "smaller initial weights"),
            )


def _attention(
    attention: Mapping[str, Mapping[str, float]], limits: Thresholds
) -> Iterator[Finding]:
    for kind, found in attention.items():
        if found["entropy"] > limits.flat:
            yield Finding(
                "flat attention",
                kind,
                f"entropy {found['entropy']:.3f} of 1: attention is uniform (more than "
                f"{limits.flat:g})",
                ("train longer, or at a higher rate", "model.region_query=hidden for regions"),
            )
        elif found["information"] < limits.stuck:
            yield Finding(
                "stuck attention",
                kind,
                f"information {found['information']:.4f} of 1: attention is the same for every "
                f"photo and word (less than {limits.stuck:g})",
                ("a lower learning rate, with warm-up", "dropout on what is attended to"),
            )


def _captions(captions: Mapping[str, Any], limits: Thresholds) -> Iterator[Finding]:
    if captions.get("photos", 0) < limits.fewest_photos:
        return
    top, distinct = captions["most_frequent_share"], captions["distinct"]
    if top >= limits.same_caption or distinct <= limits.distinct:
        yield Finding(
            "same caption",
            f"{captions['photos']} photos",
            f"{distinct:.0%} of the captions are different, and {top:.0%} of the photos get "
            f"{captions['most_frequent']!r}",
            (
                "train longer: the language is learned first, the pictures after it",
                "check that features differ between photos, and that they are those of the photo",
                "a lower learning rate, fewer layers",
            ),
        )


def _untrained(measured: VerdictMeasurements, limits: Thresholds) -> Iterator[Finding]:
    if measured.vocabulary < 2:
        return
    guessing = math.log(measured.vocabulary)
    if measured.loss >= limits.guessing * guessing:
        yield Finding(
            "untrained",
            "the whole model",
            f"{measured.loss:.2f} nats a word, and guessing among {measured.vocabulary:,} words "
            f"gives {guessing:.2f}: it has learned nothing yet",
            (
                "train longer (training.epochs), with a warm-up much shorter than the training "
                "(training.warmup_steps)",
            ),
        )


def _dead(dead: float | None, limits: Thresholds) -> Iterator[Finding]:
    if dead is not None and dead > limits.dead:
        yield Finding(
            "dead embeddings",
            "embedding",
            f"{dead:.0%} of the words' vectors were never learned (more than {limits.dead:.0%})",
            (
                "train longer: words that are rarely read are learned last",
                "a vocabulary of the training captions alone (text.min_count)",
            ),
        )


def _number(value: float | None) -> str:
    return "beyond numbers" if value is None or not math.isfinite(value) else f"{value:.2g}"
