"""The captions of made clips: a small grammar that can be written, read back and judged.

A caption speaks of both things: "a small red circle moves left while a blue square appears".
Size is left out at will, and three frames of function words stand around the same content. The
thing whose colour comes first in :data:`COLOURS` is told first, as people name the rider before
the horse: without a habit of this kind, what the first words are about would be a guess. Because
captions can be read back, what a model says is judged by what it means, in either order, not by
which of the many right captions it chose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from negah.data.synth.scene import ACTIONS, COLOURS, SHAPES, SIZES, Scene, Thing

#: What a word is for: looks of a thing, what it does, how the two relate, or grammar alone.
Role = Literal["object", "action", "relation", "function"]
VISUAL: tuple[Role, ...] = ("object", "action", "relation")

#: Words that only the grammar asks for. "and" is right in every clip.
FUNCTION_WORDS = ("a", "and", "there", "is", "that", "we", "see", "how")
#: Linking words that say something, and the layout that they need. "before" and "after" also need
#: the right order, which no single frame shows.
_RELATIONS: Mapping[str, str] = {"while": "together", "before": "in turn", "after": "in turn"}
#: Words before the first thing, before the second, and between a thing and what it does.
_FORMS: tuple[tuple[tuple[str, ...], ...], ...] = (
    ((), (), ()),
    (("there", "is"), (), ("that",)),
    (("we", "see", "how"), ("how",), ()),
)


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a caption.

    Attributes:
        text: the word.
        role: what it is for.
        part: which mention of a thing it belongs to, 0 or 1; None for the words between.
    """

    text: str
    role: Role
    part: int | None


@dataclass(frozen=True, slots=True)
class Mention:
    """What a caption says of one thing; ``size`` may be left out."""

    size: str | None
    colour: str
    shape: str
    action: str

    def right(self, thing: Thing) -> int:
        """How many of its attributes are those of ``thing``."""
        said = (self.size, self.colour, self.shape, self.action)
        true = (thing.size, thing.colour, thing.shape, thing.action)
        return sum(one == other for one, other in zip(said, true, strict=True))

    @property
    def count(self) -> int:
        """How many attributes it states."""
        return 3 + (self.size is not None)


@dataclass(frozen=True, slots=True)
class Statement:
    """A caption that has been understood: its words, what it says, and the word that links."""

    words: tuple[Word, ...]
    mentions: tuple[Mention, Mention]
    link: str

    @property
    def text(self) -> str:
        """The caption."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Judgement:
    """What a caption got right about a clip.

    Attributes:
        exact: everything it says is true, and it speaks of both things.
        right: attributes that are true.
        stated: attributes that it states.
        things: which thing of the clip each mention is about, by most attributes.
    """

    exact: bool
    right: int
    stated: int
    things: tuple[int, int]


def write_captions(scene: Scene, seed: int, count: int) -> tuple[Statement, ...]:
    """``count`` different true captions of a clip, drawn from all that the grammar allows."""
    every = true_captions(scene)
    rng = np.random.default_rng([seed, scene.number, scene.paint])
    chosen = rng.choice(len(every), size=min(count, len(every)), replace=False)
    return tuple(every[index] for index in chosen)


def true_captions(scene: Scene) -> list[Statement]:
    """All captions that the grammar writes for a clip, in a fixed order."""
    order = sorted((0, 1), key=lambda number: list(COLOURS).index(scene.things[number].colour))
    relation = "while" if scene.layout == "together" else ("before", "after")[order[0]]
    told = [
        [Mention(size, thing.colour, thing.shape, thing.action) for size in (thing.size, None)]
        for thing in (scene.things[number] for number in order)
    ]
    return [
        _write(form, link, (first, second))
        for form in _FORMS
        for link in ("and", relation)
        for first in told[0]
        for second in told[1]
    ]


def _write(
    form: Sequence[Sequence[str]], link: str, mentions: tuple[Mention, Mention]
) -> Statement:
    first, second, between = form
    words = [Word(text, "function", None) for text in first]
    for part, mention in enumerate(mentions):
        if part == 1:
            words.append(Word(link, "relation" if link in _RELATIONS else "function", None))
            words += [Word(text, "function", None) for text in second]
        looks = [*([mention.size] if mention.size else []), mention.colour, mention.shape]
        words.append(Word("a", "function", part))
        words += [Word(text, "object", part) for text in looks]
        words += [Word(text, "function", part) for text in between]
        words += [Word(text, "action", part) for text in mention.action.split()]
    return Statement(tuple(words), mentions, link)


def with_mentions(statement: Statement, mentions: tuple[Mention, Mention]) -> Statement:
    """The same sentence, speaking of other things.

    Args:
        statement: as the grammar writes it.
        mentions: what it is to say instead.
    """
    for form in _FORMS:
        if _write(form, statement.link, statement.mentions).text == statement.text:
            return _write(form, statement.link, mentions)
    raise ValueError(f"not of the grammar: {statement.text!r}")


def read_caption(text: str) -> Statement | None:
    """Understand a caption; None if it is not of the grammar."""
    words = text.split()
    for form in _FORMS:
        statement = _read(words, form)
        if statement is not None and statement.text == " ".join(words):
            return statement
    return None


def _read(words: Sequence[str], form: Sequence[Sequence[str]]) -> Statement | None:
    """Read as one form; whoever calls checks that writing it again gives the same words."""
    links = [i for i, word in enumerate(words) if word in ("and", *_RELATIONS)]
    if len(links) != 1:
        return None
    first, second, between = form
    parts = (words[len(first) : links[0]], words[links[0] + 1 + len(second) :])
    mentions = [_read_mention([word for word in part if word not in between]) for part in parts]
    if mentions[0] is None or mentions[1] is None:
        return None
    return _write(form, words[links[0]], (mentions[0], mentions[1]))


def _read_mention(words: Sequence[str]) -> Mention | None:
    if words[:1] != ["a"]:
        return None
    size = words[1] if len(words) > 1 and words[1] in SIZES else None
    looks = words[1 + (size is not None) :]
    if len(looks) < 3:
        return None
    colour, shape, action = looks[0], looks[1], " ".join(looks[2:])
    known = colour in COLOURS and shape in SHAPES and action in ACTIONS
    return Mention(size, colour, shape, action) if known else None


def judge(statement: Statement, scene: Scene) -> Judgement:
    """Compare what a caption says with what happens in a clip."""
    ranked = []
    for things in ((0, 1), (1, 0)):
        pairs = zip(statement.mentions, (scene.things[i] for i in things), strict=True)
        ranked.append((sum(mention.right(thing) for mention, thing in pairs), things))
    right, things = max(ranked, key=lambda one: one[0])
    stated = sum(mention.count for mention in statement.mentions)
    linked = statement.link == "and" or _RELATIONS[statement.link] == scene.layout
    if statement.link in ("before", "after"):
        linked = linked and (things == (0, 1)) == (statement.link == "before")
    return Judgement(right == stated and linked, right, stated, things)
