"""Evidence methods: the interface behind ``negah explain --method``.

Five methods come with the package. Occlusion, of features or of patches of the picture, runs the
model again without a place and measures how much the word loses (M. Zeiler, R. Fergus, "Visualizing
and understanding convolutional networks", ECCV 2014), with closer looks at a photo or without; the
gradient asks what would change if the place changed a little; attention is what the model itself
put on the place. Other packages add their own by entry points of the group ``negah.evidence``.

Axes: T words, F frames, H rows and W columns of the map.
"""

from __future__ import annotations

from typing import Protocol

from negah.arrays import FloatArray
from negah.backends import Backend
from negah.errors import UsageError
from negah.evidence.subject import Subject
from negah.registry import Registry


class Evidence(Protocol):
    """A method that measures where each word of a caption comes from."""

    @property
    def signature(self) -> str:
        """The method and its settings, on one line; what is cached is known by it."""
        ...

    def check(self, backend: Backend) -> None:
        """Refuse a model that the method does not support, before any work.

        Raises:
            UsageError: the reason, and an alternative.
        """
        ...

    def maps(self, subject: Subject) -> FloatArray:
        """How much each place supports each word, float32 (T, F, H, W).

        More is more support, 0 is none; below 0 a place lowers the probability of the word. H and W
        are the method's own, and their cells divide the whole picture evenly.
        """
        ...


#: All methods.
EVIDENCE: Registry[Evidence] = Registry(
    "method of evidence",
    "negah.evidence",
    {
        "occlusion": "negah.evidence.occlusion:FEATURES",
        "closer": "negah.evidence.occlusion:CLOSER",
        "patches": "negah.evidence.occlusion:PATCHES",
        "gradient": "negah.export.gradients:GRADIENT",
        "attention": "negah.evidence.attention:ATTENTION",
    },
)


def default_method(backend: Backend, *, clips: bool = False) -> str:
    """The default method for a model.

    Features are replaced where each is of one cell of a grid; where other tokens stand beside
    them, as in a transformer with a token of the whole picture, a cell that is taken away is
    still seen by those, so that patches of the picture are replaced. Closer looks are taken at
    photos, by models with concepts.

    Args:
        backend: the model.
        clips: whether clips are explained, at which no closer looks are taken.
    """
    for name in ("occlusion",) if clips else ("closer", "occlusion"):
        try:
            EVIDENCE.get(name).check(backend)
        except UsageError:
            continue
        return name
    return "patches"
