"""Decoded hypotheses -> captions whose words carry their evidence.

Axes: T words, F frames, R regions (rows x columns of a grid), S phrases.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from negah.captions import Caption, Word
from negah.decoding import Hypothesis
from negah.text import Tokenizer


def to_caption(
    hypotheses: Sequence[Hypothesis],
    tokenizer: Tokenizer,
    grid: tuple[int, int],
    times: tuple[float, ...] = (0.0,),
) -> Caption:
    """The best hypothesis as a caption, the others as its alternatives.

    Args:
        hypotheses: of one photo or clip, best first; at least one.
        tokenizer: of the model that wrote them.
        grid: (rows, columns) of the regions.
        times: of the frames, in seconds.
    """
    best, *others = (_caption(hypothesis, tokenizer, grid, times) for hypothesis in hypotheses)
    return replace(best, alternatives=tuple(others)) if others else best


def _caption(
    hypothesis: Hypothesis, tokenizer: Tokenizer, grid: tuple[int, int], times: tuple[float, ...]
) -> Caption:
    return Caption(
        times=times,
        text=tokenizer.decode(hypothesis.tokens),
        score=hypothesis.score,
        logprob=sum(hypothesis.logprobs),
        words=tuple(
            _word(hypothesis, t, tokenizer.tokens[token], grid)
            for t, token in enumerate(hypothesis.tokens)
        ),
    )


def _word(hypothesis: Hypothesis, t: int, text: str, grid: tuple[int, int]) -> Word:
    gate_T = hypothesis.evidence.get("gate")
    regions_TFR = hypothesis.evidence.get("regions")
    frames_TF = hypothesis.evidence.get("frames")
    phrases_TS = hypothesis.evidence.get("phrases")
    return Word(
        text=text,
        logprob=hypothesis.logprobs[t],
        gate=None if gate_T is None else float(gate_T[t]),
        regions=None if regions_TFR is None else regions_TFR[t].reshape(-1, *grid),
        frames=None if frames_TF is None else frames_TF[t],
        # Before word t stand t words and the start token: no phrase is longer than that.
        phrases=None if phrases_TS is None else phrases_TS[t, : t + 1],
    )
