"""``generation_config.json`` -> special tokens and decoding options of Negah's search."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

from negah.decoding import DecodingOptions
from negah.errors import BundleError
from negah.hf.family import Family
from negah.hf.words import meaningless
from negah.text.vocabulary import Specials

logger = logging.getLogger(__name__)

#: Words of a caption at most where nothing says.
_MOST_WORDS = 40
_BEAM = 3
#: What our search does not do, and the values with which it changes nothing.
_UNKNOWN: dict[str, tuple[Any, ...]] = {
    "repetition_penalty": (None, 1.0),
    "encoder_repetition_penalty": (None, 1.0),
    "encoder_no_repeat_ngram_size": (None, 0),
    "num_beam_groups": (None, 1),
    "diversity_penalty": (None, 0.0),
    "do_sample": (None, False),
    "begin_suppress_tokens": (None, []),
    "forced_decoder_ids": (None, []),
    "exponential_decay_length_penalty": (None,),
    "sequence_bias": (None, {}, []),
    "force_words_ids": (None, []),
    "constraints": (None, []),
    "guidance_scale": (None, 1.0),
    "penalty_alpha": (None, 0.0),
}


def find_specials(name: str, family: Family, tokenizer: Any, texts: Sequence[str]) -> Specials:
    """The special tokens of a model.

    Tokens that are never generated: padding, the start token and all other special tokens of the
    tokenizer; ids without a token, or with control characters; and tokens that the configuration
    forbids at every step.

    Args:
        name: of the model, for messages.
        family: its family.
        tokenizer: its tokenizer.
        texts: of its ids, see :func:`~negah.hf.words.token_texts`.

    Raises:
        BundleError: an id is missing, or is not an id of the model.
    """
    start, end, size, generation = family.prefix[-1], family.end, family.size, family.generation
    ends = [end] if isinstance(end, int) else list(end or [])
    for what, value in (("start", start), ("end", ends[0] if ends else None)):
        if not isinstance(value, int) or not 0 <= value < size:
            raise BundleError(
                f"{name}: the {what} token of captions is {value!r}, which is none of the "
                f"{size} ids of the model"
            )
    bad = [ids[0] for ids in generation.bad_words_ids or [] if len(ids) == 1]
    suppressed = [*(generation.suppress_tokens or []), *bad, *ends[1:], start]
    never = meaningless(tokenizer, texts) | {i for i in suppressed if 0 <= i < size}
    return Specials(start=start, end=ends[0], never=tuple(sorted(never - {ends[0]})))


def decoding_options(name: str, family: Family) -> DecodingOptions:
    """The decoding options in a model's configuration.

    Lengths in transformers include the tokens before the first word and the end token; here they
    are numbers of words. Unsupported options are logged as a warning.

    Args:
        name: of the model, for messages.
        family: its family.
    """
    generation, before = family.generation, len(family.prefix)
    unknown = [
        f"{key}={value}"
        for key, without in _UNKNOWN.items()
        if (value := getattr(generation, key, None)) not in without
    ]
    unknown += ["bad_words_ids"] * any(len(ids) != 1 for ids in generation.bad_words_ids or [])
    if unknown:
        logger.warning("%s asks for what this search does not do: %s", name, ", ".join(unknown))
    most = _MOST_WORDS
    if generation.max_new_tokens is not None:
        most = generation.max_new_tokens - 1
    elif generation.max_length is not None:
        most = generation.max_length - before - 1
    least = max(generation.min_new_tokens or 0, (generation.min_length or 0) - before, 1)
    penalty = generation.length_penalty
    most = _clip(most, 1, min(1000, family.max_words))
    return DecodingOptions(
        beam=_clip(generation.num_beams or _BEAM, 1, 1024),
        length_normalisation=_clip(1.0 if penalty is None else float(penalty), 0.0, 2.0),
        min_length=min(least, most),
        max_length=most,
        no_repeat_ngram=max(generation.no_repeat_ngram_size or 0, 0),
    )


def _clip(value: Any, low: Any, high: Any) -> Any:
    return min(max(value, low), high)
