"""Writing a synthetic data set: video files, a table of captions, and the ground truth.

    OUTPUT/videos/00000.mkv ...   FFV1, without loss
    OUTPUT/captions.csv           video, caption, split; several rows a clip
    OUTPUT/truth.jsonl            for each caption, what justifies each word
    OUTPUT/synth.json             seed and options

Of ten clips in a row the ninth is dev, the tenth test, and the others train.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from negah.data.synth.clips import make_clip
from negah.data.synth.scene import SynthOptions
from negah.data.synth.truth import truth_record
from negah.errors import UsageError
from negah.files import atomic_path, to_csv, write_json, write_text

#: Frames a second.
RATE = 8
_FORMAT = 1


def write_dataset(
    output: Path,
    *,
    clips: int,
    seed: int,
    options: SynthOptions,
    progress: Callable[[int, int], None] = lambda done, total: None,
    stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Make the missing clips, then write captions and ground truth.

    Args:
        output: a new folder, or one from an earlier call with the same seed and options.
        clips: number of clips; a larger number than before adds clips.
        seed: random seed.
        options: of the clips.
        progress: called after each clip with the number done and the total.
        stop: called before each clip; returns whether to stop.

    Returns:
        whether it finished: if stopped, False, and captions and truth are not written.

    Raises:
        UsageError: ``output`` contains something else, or cannot be written.
    """
    made = {"format": _FORMAT, "seed": seed, "options": options.model_dump(mode="json")}
    _claim(output, made)
    rows, truths = [], []
    for number in range(clips):
        if stop():
            return False
        clip = make_clip(seed, number, options)
        name = f"videos/{number:05}.mkv"
        if not (output / name).is_file():
            with atomic_path(output / name) as temporary:
                write_video(temporary, clip.rendered.pixels_FHW3)
        for caption in clip.captions:
            rows.append((name, caption.text, _split(number)))
            record = truth_record(name, caption, clip.scene, clip.rendered, options.grid)
            truths.append(json.dumps(record))
        progress(number + 1, clips)
    files = {
        "truth.jsonl": "".join(f"{line}\n" for line in truths),
        "captions.csv": to_csv(("video", "caption", "split"), *rows),
    }
    for file, text in files.items():
        _refuse_if_edited(output / file, text)
    for file, text in files.items():
        write_text(output / file, text)
    return True


def _refuse_if_edited(path: Path, text: str) -> None:
    """Refuse to replace files other than those of an earlier call."""
    if not os.path.lexists(path):
        return
    try:
        before = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        before = ""
    if not before or not (text.startswith(before) or before.startswith(text)):
        raise UsageError(f"{path} was changed since it was written: move it elsewhere first")


def _claim(output: Path, made: dict[str, Any]) -> None:
    """Refuse a folder with other content; mark a new one."""
    mark = output / "synth.json"
    try:
        if mark.is_file():
            if json.loads(mark.read_text(encoding="utf-8")) != made:
                raise UsageError(
                    f"{output} contains clips with another seed or other options (see {mark}): "
                    f"choose another folder, or use the same options"
                )
        elif output.is_dir() and any(output.iterdir()):
            raise UsageError(f"{output} is not empty: choose a new folder for the clips")
        else:
            write_json(mark, made)
    except (OSError, ValueError) as error:
        raise UsageError(f"{output} cannot be used for the clips: {error}") from error


def write_video(path: Path, pixels_FHW3: npt.NDArray[np.uint8]) -> None:
    """Write frames as FFV1 in Matroska, without loss; the same pixels give the same bytes."""
    import av

    frames, height, width = pixels_FHW3.shape[:3]
    with av.open(str(path), "w", format="matroska", options={"fflags": "+bitexact"}) as file:
        stream = file.add_stream("ffv1", rate=RATE, options={"flags": "+bitexact"})
        stream.width, stream.height, stream.pix_fmt = width, height, "bgr0"
        for number in range(frames):
            frame = av.VideoFrame.from_ndarray(pixels_FHW3[number], format="rgb24")
            frame = frame.reformat(format="bgr0")
            frame.pts, frame.time_base = number, Fraction(1, RATE)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def _split(number: int) -> str:
    return {8: "dev", 9: "test"}.get(number % 10, "train")
