"""A captioner that has learned nothing: it names the colour of a picture.

Axes: N pictures, B photos or clips, K hypotheses of each, F frames, R regions, V vocabulary.
"""

import numpy as np

from negah.backends import Encoded, Identity, Sight
from negah.decoding import DecodingOptions, Step
from negah.text.vocabulary import Specials

COLOURS = {"black": (0, 0, 0), "white": (1, 1, 1), "red": (1, 0, 0), "green": (0, 1, 0)}
WORDS = ("<start>", "<end>", "a", "picture", *COLOURS)


class ColourNamer:
    """Says "a red picture": it is its own tokenizer and its own step model."""

    identity = Identity("colour-namer", "colours", "colours:namer", "CC0-1.0", "0" * 64)
    sight = Sight(size=(16, 16), grid=None)
    decoding = DecodingOptions(beam=2, max_length=5)
    tokens = WORDS
    specials = Specials(start=0, end=1, never=(0,))

    @property
    def tokenizer(self):
        return self

    @property
    def model(self):
        return self

    def decode(self, ids):
        return " ".join(WORDS[token] for token in ids)

    def resize(self, image):
        return image.convert("RGB").resize((16, 16))

    def pixels(self, images):
        resized = np.stack([np.asarray(self.resize(image)) for image in images])
        return resized.transpose(0, 3, 1, 2).astype(np.float32) / 255

    def encode(self, pixels_N3HW):
        return Encoded(pixels_N3HW.mean(axis=(2, 3))[:, None])  # one region of three channels

    def start(self, features, real_frames=None):
        colour_B13 = features.mean(axis=(1, 2))[:, None]
        distance_BC = np.linalg.norm(colour_B13 - np.array(list(COLOURS.values())), axis=2)
        return -10 * distance_BC, 0  # what does not change from word to word, and the step

    def step(self, state, tokens):
        colour_BC, number = state
        scores_BV = np.full((len(colour_BC), len(WORDS)), -20.0)
        if number == 1:
            scores_BV[:, 4:] = colour_BC
        else:
            scores_BV[:, {0: 2, 2: 3}.get(number, 1)] = 0.0
        scores_BV -= np.log(np.exp(scores_BV).sum(axis=1, keepdims=True))
        logprobs_BKV = np.repeat(scores_BV[:, None], tokens.shape[1], axis=1).astype(np.float32)
        return Step(logprobs_BKV, (colour_BC, number + 1), evidence={})

    def reorder(self, state, parents):
        return state  # nothing in it belongs to one hypothesis


class Kind:
    """Opens ``--model colours:namer``; no file or folder is a model of this kind."""

    def recognises(self, path):
        return False

    def open(self, source, *, threads):
        return ColourNamer()


KIND = Kind()
