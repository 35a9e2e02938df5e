"""A synthetic clip with its ground truth."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import count

from negah.data.synth.grammar import Statement, write_captions
from negah.data.synth.render import Rendered, render
from negah.data.synth.scene import ClipPlan, SynthOptions, draw_scene
from negah.data.synth.truth import thing_boxes

#: Minimum number of frames in which each object must be visible.
_FEWEST = 2


@dataclass(frozen=True, slots=True)
class SynthClip:
    """A rendered clip with its captions.

    Attributes:
        scene: what happens.
        rendered: its pixels, and the boxes of the objects.
        captions: true captions.
    """

    scene: ClipPlan
    rendered: Rendered
    captions: tuple[Statement, ...]


def make_clip(seed: int, number: int, options: SynthOptions) -> SynthClip:
    """Make clip ``number`` of the data set with this seed.

    Scenes in which an object is hidden all the time, or during its action, are sampled again.
    """
    for attempt in count():
        scene = draw_scene(seed, number, options, attempt)
        rendered = render(scene, options.size)
        if all(_can_be_described(scene, rendered, thing) for thing in range(len(scene.things))):
            break
    return SynthClip(scene, rendered, write_captions(scene, seed, options.captions))


def _can_be_described(scene: ClipPlan, rendered: Rendered, thing: int) -> bool:
    seen, acts = (thing_boxes(scene, rendered, thing, acting=acting) for acting in (False, True))
    return len(seen) >= _FEWEST and len(acts) >= _FEWEST
