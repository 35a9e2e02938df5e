"""The options of decoding, validated together before any model runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

from pydantic import Field, model_validator

from negah.options import Options

#: The weights of what ranks the captions found by beam search again.
RERANKING = ("support", "expected_cider")


class DecodingOptions(Options):
    """How log-probabilities become captions.

    ``length_normalisation`` is the exponent alpha of score = sum of log-probabilities /
    length ** alpha (Wu et al. 2016, arXiv:1609.08144, section 7, who find 0.6 to 0.7 usually
    best for this form); the length counts the end token. The finished hypotheses of every
    method are ranked by this score.
    """

    method: Literal["greedy", "beam", "sample"] = Field(
        default="beam",
        description="greedy: the most likely word at each step; beam: beam search; sample: draw "
        "words.",
    )
    beam: int = Field(
        default=3,
        ge=1,
        le=1024,
        description="Hypotheses kept for each photo; used by method 'beam' only.",
    )
    n_best: int = Field(
        default=1,
        ge=1,
        le=1024,
        description="Captions returned for each photo, best first; for 'sample', captions drawn.",
    )
    length_normalisation: float = Field(
        default=0.7,
        ge=0.0,
        le=2.0,
        description="Alpha in score = log-probability / length ** alpha; 0 favours short captions.",
    )
    patience: float = Field(
        default=1.0,
        ge=1.0,
        description="The search for a photo ends once patience x beam of its hypotheses have "
        "ended and none alive scores better (Kasai et al. 2022, arXiv:2204.05424).",
    )
    min_length: int = Field(default=1, ge=0, description="Fewest words of a caption.")
    max_length: int = Field(
        default=20, ge=1, le=1000, description="Maximum number of words of a caption."
    )
    no_repeat_ngram: int = Field(
        default=0,
        ge=0,
        description="No sequence of this many words occurs twice in a caption; 0: off.",
    )
    no_repeat_content: bool = Field(
        default=False,
        description="No content word occurs twice in a caption, nor in two forms where the "
        "language knows them (Persian verbs); words such as 'a', 'on' and 'is' may. For "
        "vocabularies of whole words.",
    )
    temperature: float = Field(
        default=1.0,
        ge=0.01,
        le=100.0,
        description="Temperature of sampling: below 1 safer, above 1 more varied.",
    )
    top_k: int | None = Field(
        default=None, ge=1, description="Sample from this many most likely words; None: from all."
    )
    top_p: float | None = Field(
        default=None,
        gt=0.0,
        le=1.0,
        description="Sample from the smallest set of most likely words whose probabilities reach "
        "this sum "
        "(Holtzman et al. 2020, arXiv:1904.09751); None: from all.",
    )
    seed: int = Field(default=0, ge=0, description="Random seed of method 'sample'.")
    support: float = Field(
        default=0.0,
        ge=0.0,
        le=100.0,
        description="Weight of the encoder's concepts when the captions found by beam search are "
        "ranked again; 0: off.",
    )
    expected_cider: float = Field(
        default=0.0,
        ge=0.0,
        le=100.0,
        description="Weight of the CIDEr that is expected of a caption (0 to 10) when the captions "
        "found by beam search are ranked again; for bundles fitted with negah rerank; 0: off.",
    )
    banned: tuple[str, ...] = Field(default=(), description="Words that never appear.")
    required: tuple[str, ...] = Field(
        default=(), description="Words that every caption contains; needs method 'beam'."
    )

    def changed(self, replacements: Mapping[str, Any]) -> Self:
        """The same options with some replaced, and those that follow from them.

        A larger ``n_best`` widens the beam, and another method switches the reranking off, unless
        these are replaced, too.

        Raises:
            UsageError: an unknown option, a wrong value, or a contradiction.
        """
        values = {**self.model_dump(), **replacements}
        n_best, searches = replacements.get("n_best"), values["method"] == "beam"
        if "beam" not in replacements and isinstance(n_best, int) and searches:
            values["beam"] = max(self.beam, n_best)
        if not searches:
            values |= {name: 0.0 for name in RERANKING if name not in replacements}
        return type(self).parse(values, where="decoding options")

    @model_validator(mode="after")
    def _refuse_contradictions(self) -> Self:
        complaints = [*self._complaints_of_method(), *self._complaints_of_constraints()]
        if complaints:
            raise ValueError("; ".join(complaints))
        return self

    def _complaints_of_method(self) -> list[str]:
        complaints = []
        if self.method == "beam" and self.n_best > self.beam:
            complaints.append(
                f"n_best {self.n_best} is more than beam {self.beam}: raise beam or lower n_best"
            )
        complaints += [
            f"{name} {weight} ranks the captions of a beam again, not those of method "
            f"{self.method!r}: use method 'beam' or {name} 0"
            for name in RERANKING
            if (weight := getattr(self, name)) and self.method != "beam"
        ]
        if self.method == "greedy" and self.n_best > 1:
            complaints.append(
                f"method 'greedy' finds one caption, not n_best {self.n_best}: "
                "use method 'beam' or n_best 1"
            )
        if self.method != "sample":
            drawing = {"temperature": 1.0, "top_k": None, "top_p": None}
            complaints += [
                f"{name} {getattr(self, name)} has no effect on method {self.method!r}: "
                f"use method 'sample' or leave {name} out"
                for name, unset in drawing.items()
                if getattr(self, name) != unset
            ]
        return complaints

    def _complaints_of_constraints(self) -> list[str]:
        complaints = []
        required = len(set(self.required))
        if self.min_length > self.max_length:
            complaints.append(
                f"min_length {self.min_length} is more than max_length {self.max_length}: "
                "lower one or raise the other"
            )
        if required > self.max_length:
            complaints.append(
                f"{required} required words do not fit into max_length {self.max_length}: "
                "raise max_length or require fewer"
            )
        if required and self.method != "beam":
            complaints.append(
                f"required words need a search, not method {self.method!r}: use method 'beam'"
            )
        elif required >= self.beam:
            complaints.append(
                f"{required} required words need a beam of at least {required + 1}, "
                f"not {self.beam}: raise beam or require fewer"
            )
        both = sorted(set(self.required) & set(self.banned))
        if both:
            complaints.append(
                f"{', '.join(map(repr, both))} cannot be both required and banned: drop one"
            )
        return complaints
