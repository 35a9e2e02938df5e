"""The study's figures, readable in print and by the colour-blind.

Colours are those of Okabe and Ito (2008) and never carry a meaning alone: bars are labelled,
chance is a line.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from negah.arrays import FloatArray
from negah.data.synth import make_clip
from negah.data.synth.grammar import FUNCTION_WORDS
from negah.studies.figures import COLOURS, save, subplots
from negah.studies.results import Results
from negah.studies.synthetic.options import SHOWN, SyntheticOptions

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_BLUE, _ORANGE = COLOURS[:2]
_GREY = COLOURS[-1]


def draw_captions(found: Results, path: Path) -> Path:
    """Captions that are true throughout, and CIDEr-D, a bar for each system."""
    figure, (left, right) = subplots(1, 2, (7.2, 3.4))
    _bars(left, found, {"exact_together": "seen together", "exact_in_turn": "seen in turn"})
    left.set_xlabel("captions that are true throughout, %")
    left.set_xlim(0, 100)
    _bars(right, found, {"cider_d": "CIDEr-D"})
    right.set_xlabel("CIDEr-D")
    right.set_yticklabels([])
    left.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, 1.14), ncols=2)
    return save(figure, path)


def draw_attention(found: Results, path: Path) -> Path:
    """Where attention looks and what the gate tells, with chance, a bar for each system."""
    figure, axes = subplots(1, 4, (7.2, 3.0))
    titles = {
        "pointing": "pointing",
        "temporal_in_turn": "temporal,\nseen in turn",
        "thing_together": "right thing of two,\nseen together",
        "gate_auc": "gate: area\nunder the curve",
    }
    for number, (axis, (measure, title)) in enumerate(zip(axes, titles.items(), strict=True)):
        _bars(axis, found, {measure: title})
        axis.set_title(title, fontsize=9)
        axis.set_xlim(0, 100)
        axis.set_xlabel("%")
        if number:
            axis.set_yticklabels([])
        for row, variant in enumerate(found.variants):
            chance = found.estimate(variant, f"{measure}_chance") if number < 2 else None
            level = chance.mean if chance else 50.0
            if found.estimate(variant, measure) is not None:
                axis.plot([level] * 2, [row - 0.42, row + 0.42], color="black", lw=1.2, ls=":")
    (line,) = axes[0].plot([], [], color="black", lw=1.2, ls=":")
    figure.legend([line], ["chance"], frameon=False, loc="outside lower left")
    return save(figure, path)


def _bars(axis: Axes, found: Results, measures: Mapping[str, str]) -> None:
    """A bar for each variant and measure, with its 95% interval and a dash where there is none."""
    height = 0.8 / len(measures)
    for place, (measure, label) in enumerate(measures.items()):
        for row, variant in enumerate(found.variants):
            value = found.estimate(variant, measure)
            y = row + (place - (len(measures) - 1) / 2) * height
            if value is None:
                axis.text(2, y, "–", va="center", color=_GREY)
                continue
            axis.barh(
                y,
                value.mean,
                height * 0.92,
                xerr=value.half,
                color=(_BLUE, _ORANGE)[place],
                hatch=("", "//")[place],
                edgecolor="white",
                linewidth=0,
                error_kw={"elinewidth": 1, "capsize": 2},
                label=label if row == 0 else None,
            )
    axis.set_yticks(range(len(found.variants)), found.variants)
    axis.set_ylim(len(found.variants) - 0.5, -0.5)


def draw_look(found: Results, path: Path) -> Path | None:
    """Where the first of the shown systems looked in one clip; None if no cell has kept it."""
    seed = found.seeds[0]
    looks = {
        variant: found.cell(variant, seed)["extra"]["look"]
        for variant in SHOWN
        if variant in found.variants and "look" in found.cell(variant, seed)["extra"]
    }
    if not looks:
        return None
    options = SyntheticOptions.parse(found.raw["options"], where="the options of the results")
    (shown, look), *others = looks.items()
    clip = make_clip(options.data_seed, options.clips + look["clip"], options.synth)
    words = look["caption"].split()
    visual = [t for t, word in enumerate(words) if word not in FUNCTION_WORDS] or [0]
    rows = [(words[t], *_weights(look, t)) for t in visual]
    rows += [(f"({variant})", *_weights(other, 1)) for variant, other in others]
    return draw_example(clip.rendered.pixels_FHW3, rows, f"{shown}: {look['caption']}", path)


def _weights(look: Mapping[str, Any], t: int) -> tuple[FloatArray, FloatArray]:
    """Frame weights (F,) and region weights (F, R) of word t."""
    return np.array(look["frames"][t], np.float32), np.array(look["regions"][t], np.float32)


def draw_example(
    pixels_FHW3: npt.NDArray[np.uint8],
    rows: Sequence[tuple[str, npt.NDArray[np.float32], npt.NDArray[np.float32]]],
    title: str,
    path: Path,
) -> Path:
    """One clip, and below it, for some words, where a captioner looked.

    Args:
        pixels_FHW3: the clip, uint8.
        rows: for each word its text, its frame weights (F,) and its region weights (F, R).
        title: the caption.
        path: the PNG to write.
    """
    frames, size = pixels_FHW3.shape[:2]
    grid = round(rows[0][2].shape[1] ** 0.5)
    figure, axes = subplots(len(rows) + 1, frames, (7.2, 0.95 * (len(rows) + 1) + 0.3))
    for row in range(len(rows) + 1):
        line = axes[row * frames : (row + 1) * frames]
        for frame, axis in enumerate(line):
            axis.set(xticks=[], yticks=[])
            axis.imshow(pixels_FHW3[frame])
            if row == 0:
                axis.set_title(f"frame {frame + 1}", fontsize=8)
                continue
            _, weights_F, weights_FR = rows[row - 1]
            seen = (weights_F[frame] * weights_FR[frame]).reshape(grid, grid)
            most = float((weights_F[:, None] * weights_FR).max())
            veil = np.ones((grid, grid, 4))  # white: it prints well, and the clips are dark
            veil[..., 3] = 0.9 * (1 - seen / most)
            axis.imshow(veil, extent=(-0.5, size - 0.5, size - 0.5, -0.5), interpolation="nearest")
            axis.set_xlabel(f"{weights_F[frame]:.0%}", fontsize=8, labelpad=1)
        label = "clip" if row == 0 else rows[row - 1][0]
        line[0].set_ylabel(label, fontsize=9, rotation=0, ha="right", va="center")
    figure.suptitle(title, fontsize=9)
    return save(figure, path)
