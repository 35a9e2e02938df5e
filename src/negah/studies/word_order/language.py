"""Language models: the generator of show-tell, which reads a constant where a picture would stand.

A picture of zeros leaves of its projection the bias alone, one learned vector that means "no
picture". Embedding, recurrent network and output layer learn which words follow which; they are
what a captioner then starts from. The file has the layout of ``best.safetensors``, so that
``negah train show-tell --init`` starts from it, too.

Axes: N sentences, R = 1 region, C channels.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from negah.errors import CheckpointError
from negah.files import write_json
from negah.models import ShowTell
from negah.run_folder import RunFolder
from negah.studies.captioning import (
    CaptionData,
    CaptionOptions,
    Part,
    Standard,
    make_show_tell,
    sentence_part,
    teacher_forced,
    train_captioner,
)
from negah.studies.study import Progress
from negah.text import Tokenizer
from negah.training.checkpoint import load_checkpoint, save_checkpoint, with_prefix

#: Sentences that a language model is measured on, taken from the end of its text.
_HELD_OUT = 500


@dataclass(frozen=True, slots=True)
class Corpus:
    """Sentences without pictures.

    Attributes:
        sentences: one a caption.
        tokenizer: what they are parted by.
    """

    sentences: Sequence[str]
    tokenizer: Tokenizer


def learn_language(
    folder: Path,
    text: Corpus,
    o: CaptionOptions,
    *,
    channels: int,
    seed: int,
    progress: Progress,
    label: str,
) -> dict[str, Any]:
    """Train a language model into ``folder``, unless this one is there.

    Args:
        folder: gets the weights, the tokenizer and the description of a run.
        text: to learn from.
        o: sizes and budget; ``batch`` counts sentences.
        channels: C of the captioner that starts from it.
        seed: of weights and order.
        progress: told of steps.
        label: what the work is called there.

    Returns:
        ``perplexity`` on sentences that were held out, ``sentences``, ``seconds``, ``curve``.
    """
    sentences, tokenizer, run = text.sentences, text.tokenizer, RunFolder(folder)
    made_of = _digest([*sentences, *tokenizer.tokens])
    if run.best.is_file():
        _, facts = load_checkpoint(run.best)
        if facts.get("made_of") == made_of:
            return dict(facts["found"])
    held_out = min(_HELD_OUT, max(1, len(sentences) // 10))
    dev = sentence_part(sentences[-held_out:], channels)
    data = _without_pictures(sentence_part(sentences[:-held_out], channels), dev, tokenizer)
    model = make_show_tell(o, channels, len(tokenizer), seed)
    started = time.perf_counter()
    curves = train_captioner(model, data, o, seed, progress=progress, label=label)
    found = {
        "perplexity": perplexity(model, sentences[-held_out:], tokenizer, o),
        "sentences": len(data.train.captions),
        "seconds": time.perf_counter() - started,
        "curve": curves["dev nats per token"],
    }
    tokenizer.save(run.tokenizer)
    # the projection read zeros alone: it stays out, and is fresh in whatever starts from here
    weights = {n: t for n, t in model.state_dict().items() if not n.startswith("project.")}
    # without a recipe: no encoder was used
    write_json(run.description, {"study": "word-order", "options": o.model_dump(mode="json")})
    save_checkpoint(
        run.best,
        with_prefix("captioner", weights),
        {"made_of": made_of, "found": found, "no_picture": model.project.bias.tolist()},
    )
    return found


def start_from(model: ShowTell, folder: Path) -> ShowTell:
    """Give ``model`` what a language model has learned; its projection stays as it is."""
    tensors, _ = _load(folder)
    model.load_state_dict(tensors, strict=False)
    return model


def load_language(folder: Path, o: CaptionOptions, channels: int, tokens: int) -> ShowTell:
    """The language model itself, its vector for "no picture" included."""
    model = make_show_tell(o, channels, tokens, 0)
    tensors, facts = _load(folder)
    model.load_state_dict(tensors, strict=False)
    with torch.no_grad():
        model.project.bias.copy_(torch.tensor(facts["no_picture"]))
    return model.eval()


def perplexity(
    model: ShowTell, sentences: Sequence[str], tokenizer: Tokenizer, o: CaptionOptions
) -> float:
    """exp of the mean nats per token, ``<EOS>`` included, of sentences without a picture."""
    part = sentence_part(sentences, model.channels)
    nats, tokens, _ = teacher_forced(model, _without_pictures(part, part, tokenizer), part, o)
    return math.exp(nats / tokens)


def _without_pictures(train: Part, held_out: Part, tokenizer: Tokenizer) -> CaptionData:
    standard = Standard.none(train.features_NRC.shape[-1])
    return CaptionData(train, held_out, held_out, tokenizer, standard)


def _load(folder: Path) -> tuple[dict[str, torch.Tensor], dict[str, Any]]:
    best = RunFolder(folder).best
    if not best.is_file():
        raise CheckpointError(f"{folder} holds no language model; run the study from its start")
    tensors, facts = load_checkpoint(best)
    return {name.removeprefix("captioner."): tensor for name, tensor in tensors.items()}, facts


def _digest(lines: Sequence[str]) -> str:
    hashed = hashlib.sha256()
    for line in lines:
        hashed.update(line.encode("utf-8", "replace") + b"\n")
    return hashed.hexdigest()[:16]
