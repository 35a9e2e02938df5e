"""The grammar of captions of synthetic clips, which can be generated, parsed and scored.

A caption mentions both objects: "a small red circle moves left while a blue square appears". Size
is optional, and there are three templates of function words for the same content. The object whose
colour comes first in :data:`COLOURS` is mentioned first, as people name the rider before the horse:
without such a convention, the order would be unpredictable. Because captions can be parsed, model
output is scored by its meaning, in either order, not by which of the many correct captions it
equals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from negah.data.synth.scene import ACTIONS, COLOURS, SHAPES, SIZES, ClipPlan, Thing

#: The role of a word: attribute of an object, action, relation of the two, or function word.
Role = Literal["object", "action", "relation", "function"]
VISUAL: tuple[Role, ...] = ("object", "action", "relation")

#: Function words. "and" is correct in every clip.
FUNCTION_WORDS = ("a", "and", "there", "is", "that", "we", "see", "how")
#: Meaningful linking words, and the layout that they need. "before" and "after" also need the right
#: order, which no single frame shows.
_RELATIONS: Mapping[str, str] = {"while": "together", "before": "in turn", "after": "in turn"}
#: Words before the first thing, before the second, and between a thing and what it does.
_FORMS: tuple[tuple[tuple[str, ...], ...], ...] = (
    ((), (), ()),
    (("there", "is"), (), ("that",)),
    (("we", "see", "how"), ("how",), ()),
)


@dataclass(frozen=True, slots=True)
class StatementWord:
    """One word of a caption.

    Attributes:
        text: the word.
        role: its role.
        part: index of the mention it belongs to, 0 or 1; None for the words between.
    """

    text: str
    role: Role
    part: int | None


@dataclass(frozen=True, slots=True)
class ObjectDescription:
    """The attributes that a caption gives to one object; ``size`` is optional."""

    size: str | None
    colour: str
    shape: str
    action: str

    def right(self, thing: Thing) -> int:
        """The number of its attributes that are true of ``thing``."""
        said = (self.size, self.colour, self.shape, self.action)
        true = (thing.size, thing.colour, thing.shape, thing.action)
        return sum(one == other for one, other in zip(said, true, strict=True))

    @property
    def count(self) -> int:
        """The number of attributes that it states."""
        return 3 + (self.size is not None)


@dataclass(frozen=True, slots=True)
class Statement:
    """A parsed caption: its words, mentions and linking word."""

    words: tuple[StatementWord, ...]
    mentions: tuple[ObjectDescription, ObjectDescription]
    link: str

    @property
    def text(self) -> str:
        """The caption."""
        return " ".join(word.text for word in self.words)


@dataclass(frozen=True, slots=True)
class Judgement:
    """The score of a caption for a clip.

    Attributes:
        exact: whether everything it says is true and it mentions both objects.
        right: attributes that are true.
        stated: attributes that it states.
        things: the object of the clip that each mention refers to, by most matching attributes.
    """

    exact: bool
    right: int
    stated: int
    things: tuple[int, int]


def write_captions(scene: ClipPlan, seed: int, count: int) -> tuple[Statement, ...]:
    """``count`` distinct true captions of a clip, sampled from all that the grammar allows."""
    every = true_captions(scene)
    rng = np.random.default_rng([seed, scene.number, scene.paint])
    chosen = rng.choice(len(every), size=min(count, len(every)), replace=False)
    return tuple(every[index] for index in chosen)


def true_captions(scene: ClipPlan) -> list[Statement]:
    """All captions that the grammar writes for a clip, in a fixed order."""
    order = sorted((0, 1), key=lambda number: list(COLOURS).index(scene.things[number].colour))
    relation = "while" if scene.layout == "together" else ("before", "after")[order[0]]
    told = [
        [
            ObjectDescription(size, thing.colour, thing.shape, thing.action)
            for size in (thing.size, None)
        ]
        for thing in (scene.things[number] for number in order)
    ]
    return [
        _statement_of(form, link, (first, second))
        for form in _FORMS
        for link in ("and", relation)
        for first in told[0]
        for second in told[1]
    ]


def _statement_of(
    form: Sequence[Sequence[str]], link: str, mentions: tuple[ObjectDescription, ObjectDescription]
) -> Statement:
    first, second, between = form
    words = [StatementWord(text, "function", None) for text in first]
    for part, mention in enumerate(mentions):
        if part == 1:
            words.append(
                StatementWord(link, "relation" if link in _RELATIONS else "function", None)
            )
            words += [StatementWord(text, "function", None) for text in second]
        looks = [*([mention.size] if mention.size else []), mention.colour, mention.shape]
        words.append(StatementWord("a", "function", part))
        words += [StatementWord(text, "object", part) for text in looks]
        words += [StatementWord(text, "function", part) for text in between]
        words += [StatementWord(text, "action", part) for text in mention.action.split()]
    return Statement(tuple(words), mentions, link)


def with_mentions(
    statement: Statement, mentions: tuple[ObjectDescription, ObjectDescription]
) -> Statement:
    """The same sentence about other objects.

    Args:
        statement: of the grammar.
        mentions: the new mentions.
    """
    for form in _FORMS:
        if _statement_of(form, statement.link, statement.mentions).text == statement.text:
            return _statement_of(form, statement.link, mentions)
    raise ValueError(f"not in the grammar: {statement.text!r}")


def read_caption(text: str) -> Statement | None:
    """Parse a caption; None if it is not in the grammar."""
    words = text.split()
    for form in _FORMS:
        statement = _parse_template(words, form)
        if statement is not None and statement.text == " ".join(words):
            return statement
    return None


def _parse_template(words: Sequence[str], form: Sequence[Sequence[str]]) -> Statement | None:
    """Parse as one template; the caller checks that generating it again gives the same words."""
    links = [i for i, word in enumerate(words) if word in ("and", *_RELATIONS)]
    if len(links) != 1:
        return None
    first, second, between = form
    parts = (words[len(first) : links[0]], words[links[0] + 1 + len(second) :])
    mentions = [_read_mention([word for word in part if word not in between]) for part in parts]
    if mentions[0] is None or mentions[1] is None:
        return None
    return _statement_of(form, words[links[0]], (mentions[0], mentions[1]))


def _read_mention(words: Sequence[str]) -> ObjectDescription | None:
    if words[:1] != ["a"]:
        return None
    size = words[1] if len(words) > 1 and words[1] in SIZES else None
    looks = words[1 + (size is not None) :]
    if len(looks) < 3:
        return None
    colour, shape, action = looks[0], looks[1], " ".join(looks[2:])
    known = colour in COLOURS and shape in SHAPES and action in ACTIONS
    return ObjectDescription(size, colour, shape, action) if known else None


def judge(statement: Statement, scene: ClipPlan) -> Judgement:
    """Compare a caption with the events of a clip."""
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
