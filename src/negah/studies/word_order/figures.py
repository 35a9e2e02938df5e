"""Quality against the share of photos, with and without pretraining."""

from __future__ import annotations

from pathlib import Path

from negah.studies.figures import COLOURS, save, subplots
from negah.studies.results import Results

#: Shares of the training photos, by name; and what the rows with pretraining end in.
SHARES = {"10%": 0.1, "30%": 0.3, "100%": 1.0}
PRETRAINED = ", pretrained"
_PANELS = {
    "cider_d": "CIDEr-D",
    "perplexity": "perplexity of references",
    "judged": "judge's perplexity of captions",
}


def draw_shares(results: Results, path: Path) -> Path:
    """A panel a measure: two lines over the share of photos, with intervals over seeds."""
    figure, panels = subplots(1, len(_PANELS), (8.6, 3.1))
    for axis, (measure, title) in zip(panels, _PANELS.items(), strict=True):
        lines = (("", "no pretraining", 0, "-", "o"), (PRETRAINED, "pretrained", 3, "--", "s"))
        for suffix, label, colour, style, marker in lines:
            found = [
                (100 * share, estimate)
                for name, share in SHARES.items()
                if (estimate := results.estimate(name + suffix, measure)) is not None
            ]
            axis.errorbar(
                [share for share, _ in found], [one.mean for _, one in found],
                yerr=[one.half or 0.0 for _, one in found], color=COLOURS[colour],
                linestyle=style, marker=marker, ms=4, capsize=3, lw=1.5, label=label,
            )  # fmt: skip
        if measure == "judged":
            people = results.facts["judged"]["people"]
            axis.axhline(people, color="black", linestyle=":", lw=1, label="human captions")
        axis.set_xscale("log")
        axis.set_xticks([100 * share for share in SHARES.values()], list(SHARES))
        axis.minorticks_off()
        axis.set_title(title, fontsize=9)
        axis.set_xlabel("share of the training photos")
        if axis in (panels[0], panels[-1]):
            axis.legend(frameon=False, fontsize=8)
    return save(figure, path)
