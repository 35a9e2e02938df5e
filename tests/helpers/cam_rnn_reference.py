"""CAM-RNN as its equations stand, one photo, one caption, one number after the other.

An oracle for the tests: NumPy in float64, loops instead of broadcasting, nothing shared with
the code under test but the names of the weights. Equation numbers follow ``docs/cam-rnn.md``.

Axes: F frames, R regions, C channels, M visual size, D hidden size, A attention size,
E embedding size, P phrase size, S phrase lengths, V vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from negah.models import CamRnnOptions

Array = npt.NDArray[np.float64]


@dataclass
class Word:
    """What one step gives: logits (V,) and the evidence that the model has."""

    logits: Array
    gate: float | None = None
    regions: list[Array] = field(default_factory=list)
    frames: Array | None = None
    phrases: Array | None = None


class Reference:
    """One caption of one photo or clip, word by word.

    Args:
        weights: the state dict of a ``CamRnn``, as float64 arrays.
        options: of that ``CamRnn``.
        features: the real frames, float64 (F, R, C).
    """

    def __init__(self, weights: Mapping[str, Array], options: CamRnnOptions, features: Array):
        self.w = weights
        self.o = options
        self.said: list[Array] = []
        self.values = [
            [np.maximum(self._affine("project", region), 0.0) for region in frame]
            for frame in features
        ]
        self.mean = np.mean([region for frame in self.values for region in frame], axis=0)
        if options.concepts:
            self.supported = self._support(features)
        self.h = np.tanh(self._affine("first.h", self.mean))
        self.c = np.tanh(self._affine("first.c", self.mean)) if options.cell == "lstm" else None

    def read(self, token: int) -> Word:
        """Read a token and score the next one."""
        word = Word(np.empty(0))
        h_before = self.h
        visual = self._look(h_before, word)
        self.said.append(self.w["embedding.weight"][token])
        self._generate(self.said[-1], visual)
        parts = [visual]
        if self.o.gate:  # (5)
            word.gate = _sigmoid(float(self._affine("gate", self.h)[0]))
            parts = [word.gate * visual]
        if self.o.text_attention:
            parts.append(self._listen(h_before, word))
        merged = np.tanh(self._affine("merge", np.concatenate([*parts, self.h])))  # (6)
        word.logits = self._affine("output", merged)
        if self.o.concepts:
            opened = _sigmoid(float(self._affine("concept_gate", self.h)[0]))
            word.logits = word.logits + opened * self.supported
        return word

    def _support(self, features: Array) -> Array:
        """The log-odds of every concept in its surest frame, less the usual ones."""
        supported = np.zeros(len(self.w["concepts.places"]))
        for token, place in enumerate(self.w["concepts.places"]):
            if place == len(self.w["concepts.head.layer.bias"]):
                continue
            row, bias = (
                self.w[f"concepts.head.layer.{name}"][place] for name in ("weight", "bias")
            )
            surest = 1e-4
            for frame in features:
                absent = 1.0
                for region in frame:
                    absent *= 1 - _sigmoid(float(row @ region + bias))
                surest = max(surest, min(1 - absent, 1 - 1e-4))
            odds = np.log(surest / (1 - surest)) - self.w["concepts.usual"][token]
            supported[token] = min(max(odds, -4), 6)
        return supported

    def _look(self, h: Array, word: Word) -> Array:
        if self.o.visual == "mean":
            return self.mean
        frames = []
        previous = np.zeros(len(self.values[0]))
        for regions in self.values:  # (1)
            if self.o.visual == "regions":
                scores = np.array(
                    [
                        self._region_score(value, before, h)
                        for value, before in zip(regions, previous, strict=True)
                    ]
                )
                weights = _softmax(scores)
                word.regions.append(weights)
                previous = weights
            else:
                weights = np.full(len(regions), 1 / len(regions))
            frames.append(_weighted(weights, regions))
        scores = np.array(  # (2)
            [
                self._score("frames", self._affine("frames.key", frame) + self._query("frames", h))
                for frame in frames
            ]
        )
        word.frames = _softmax(scores)
        return _weighted(word.frames, frames)

    def _region_score(self, value: Array, previous: float, h: Array) -> float:
        inner = self._affine("regions.key", value) + self.w["regions.previous"] * previous
        if self.o.region_query == "hidden":
            inner = inner + self._query("regions", h)
        return self._score("regions", inner)

    def _listen(self, h_before: Array, word: Word) -> Array:
        phrases, scores = [], []
        for length in range(1, min(self.o.phrases, len(self.said)) + 1):  # (3)
            words = np.concatenate(self.said[-length:])
            phrases.append(np.tanh(self._affine(f"text.compose.{length - 1}", words)))
            inner = self._affine("text.key", phrases[-1]) + self._query("text", h_before)
            scores.append(self._score("text", inner))
        word.phrases = np.zeros(self.o.phrases)
        word.phrases[: len(scores)] = _softmax(np.array(scores))
        return _weighted(word.phrases, phrases)

    def _generate(self, said: Array, visual: Array) -> None:  # (4)
        read = self._affine("cell.input", said)
        if self.o.visual_input:
            read = read + self.w["visual_gates.weight"] @ visual
        recalled = self.w["cell.recurrent.weight"] @ self.h
        size = len(self.h)
        if self.o.cell == "rnn":
            self.h = np.tanh(read + recalled)
            return
        new = np.empty(size)
        for i in range(size):
            x = [read[i + gate * size] for gate in range(len(read) // size)]
            u = [recalled[i + gate * size] for gate in range(len(read) // size)]
            if self.o.cell == "gru":
                reset, update = _sigmoid(x[0] + u[0]), _sigmoid(x[1] + u[1])
                candidate = np.tanh(x[2] + reset * u[2])
                new[i] = update * self.h[i] + (1 - update) * candidate
                continue
            if self.o.cell == "gru-no-reset":
                update = _sigmoid(x[0] + u[0])
                new[i] = update * self.h[i] + (1 - update) * np.tanh(x[1] + u[1])
                continue
            assert self.c is not None
            write, forget, output = (_sigmoid(x[gate] + u[gate]) for gate in range(3))
            self.c[i] = forget * self.c[i] + write * np.tanh(x[3] + u[3])
            new[i] = output * np.tanh(self.c[i])
        self.h = new

    def _affine(self, name: str, vector: Array) -> Array:
        return np.asarray(self.w[f"{name}.weight"] @ vector + self.w[f"{name}.bias"])

    def _query(self, name: str, h: Array) -> Array:
        return np.asarray(self.w[f"{name}.query.weight"] @ h)

    def _score(self, name: str, inner: Array) -> float:
        return sum(
            float(w) * float(np.tanh(x))
            for w, x in zip(self.w[f"{name}.score.weight"][0], inner, strict=True)
        )


def _weighted(weights: Array, vectors: list[Array]) -> Array:
    total = np.zeros_like(vectors[0])
    for weight, vector in zip(weights, vectors, strict=False):
        total = total + weight * vector
    return total


def _softmax(scores: Array) -> Array:
    powers = [float(np.exp(score)) for score in scores]
    return np.array([power / sum(powers) for power in powers])


def _sigmoid(x: float) -> float:
    return float(1 / (1 + np.exp(-x)))
