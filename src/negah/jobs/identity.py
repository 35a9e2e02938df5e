"""The identity of a job: models, options and version; a job with another identity is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from negah import __version__
from negah.errors import UsageError

if TYPE_CHECKING:
    from negah.runtime import Captioner

_MOST_NAMED = 4
_LONGEST = 60


def model_facts(
    captioner: Captioner, *, clips: bool, frames: int | None, decoding: Mapping[str, Any]
) -> dict[str, Any]:
    """The model and options for photos or clips; JSON-ready.

    Args:
        captioner: the captioner.
        clips: whether for clips.
        frames: number of frames of a clip, if given by the user; None for the models' default.
        decoding: options that replace those of the model.

    Returns:
        ``model`` and ``sha256`` (of its weights), of fused models joined by ``+``;
        ``calibration``, the SHA-256 of the first's, "" without one; ``decoding``, all options;
        for clips ``frames``.
    """
    work = captioner.work(clips=clips, frames=frames if clips else None, **decoding)
    judge = work.backends[0].sight.judge
    return {
        "model": "+".join(backend.identity.name for backend in work.backends),
        "sha256": "+".join(backend.identity.sha256 for backend in work.backends),
        "calibration": "" if judge is None else judge.sha256,
        "decoding": work.decoding.model_dump(mode="json"),
        **({"frames": frames} if clips else {}),
    }


def job_facts(models: Mapping[str, Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """The facts that determine the rows of a job.

    Args:
        models: by ``photos`` and ``clips``, what :func:`model_facts` gives.
        options: all other options that affect rows, by their name on the command line.
    """
    return {"negah": __version__, **models, "options": dict(options)}


def merge_facts(
    before: Mapping[str, Any], now: Mapping[str, Any], where: str, *, option: str = "--output"
) -> dict[str, Any]:
    """The facts of a resumed job, with additions such as clips captioned for the first time.

    Args:
        before: of the existing job.
        now: of this run.
        where: name of the job in messages.
        option: with which another place is named.

    Raises:
        UsageError: this run would write other rows.
    """
    known, wanted = dict(_flat(before)), dict(_flat(now))
    new = {kind for kind in ("photos", "clips") if kind in now and kind not in before}
    gone = {kind for kind in ("photos", "clips") if kind in before and kind not in now}
    different = [
        name
        for name in sorted({*known, *wanted}, key=lambda name: (name != "negah", name))
        if name.partition(".")[0] not in new | gone and known.get(name) != wanted.get(name)
    ]
    if not different:
        return {**before, **now}
    said = [
        f"{_option_name(name)} {_shortened(known.get(name))}, now {_shortened(wanted.get(name))}"
        for name in different[:_MOST_NAMED]
    ]
    more = len(different) - len(said)
    raise UsageError(
        f"{where} was started with other settings ("
        f"{'; '.join(said)}{f'; and {more} more' if more else ''}): "
        f"start over with --restart, or choose another {option}"
    )


def _flat(facts: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    """Names with dots, and their values."""
    for name, value in facts.items():
        if isinstance(value, dict):
            yield from _flat(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _option_name(name: str) -> str:
    """``photos.decoding.beam`` is the beam of photos, as a user calls it."""
    kind, _, rest = name.partition(".")
    if name == "negah":
        return "version of Negah"
    if kind == "options":
        return rest
    return f"{rest.removeprefix('decoding.')} of {kind}"


def _shortened(value: Any) -> str:
    text = "none" if value is None else str(value)
    return text if len(text) <= _LONGEST else f"{text[:12]}..."
