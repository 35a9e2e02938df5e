"""Storyboards: what people said of a clip that is not there, with photos that show it.

Sentences about clips are easier to come by than the clips. A storyboard is a group of sentences
about one clip, the photos of another data set whose captions come closest to them, and those of
their words that are classes of ImageNet: such a thing can be shown without any photo of it, from
the weights of a classifier (:mod:`negah.training.implants`). A captioner learns from storyboards
as from clips.
"""

from __future__ import annotations

from negah.data.storyboards.boards import Shown, Storyboard, Word, make_storyboards
from negah.data.storyboards.files import read_storyboards, write_storyboards
from negah.data.storyboards.lexicon import CLASSES, classes_of, load_lexicon
from negah.data.storyboards.sentences import Group, groups_about, read_groups

__all__ = [
    "CLASSES",
    "Group",
    "Shown",
    "Storyboard",
    "Word",
    "classes_of",
    "groups_about",
    "load_lexicon",
    "make_storyboards",
    "read_groups",
    "read_storyboards",
    "write_storyboards",
]
