"""Storyboards: captions of unavailable clips, with photos that match them.

Sentences about clips are easier to obtain than the clips. A storyboard consists of sentences about
one clip, the photos of another data set whose captions are most similar, and the words that are
ImageNet classes, whose features can be taken from the weights of a classifier
(:mod:`negah.training.implants`) without a photo. A captioner is trained on storyboards as on clips.
"""

from __future__ import annotations

from negah.data.storyboards.boards import MatchedPhoto, Storyboard, StoryboardWord, make_storyboards
from negah.data.storyboards.files import read_storyboards, write_storyboards
from negah.data.storyboards.lexicon import CLASSES, classes_of, load_lexicon
from negah.data.storyboards.sentences import ClipSentences, groups_about, read_groups

__all__ = [
    "CLASSES",
    "ClipSentences",
    "MatchedPhoto",
    "Storyboard",
    "StoryboardWord",
    "classes_of",
    "groups_about",
    "load_lexicon",
    "make_storyboards",
    "read_groups",
    "read_storyboards",
    "write_storyboards",
]
