"""The usual folders of the photos and clips of a caption file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

#: Suffixes of the files of MSVD and MSR-VTT, whose caption files do not include them.
CLIP_SUFFIXES = (".mp4", ".avi", ".webm", ".mkv")

_IMAGE_FOLDERS = (
    "Images",
    "images",
    "Flicker8k_Dataset",  # the spelling of the original archive
    "Flickr8k_Dataset",
    "Flickr8k_Dataset/Flicker8k_Dataset",
)
_CLIP_FOLDERS = (
    *("clips", "videos", "Videos", "videos/all"),
    "YouTubeClips",  # MSVD's archive
    *("TrainValVideo", "TestVideo"),  # MSR-VTT's archives
)


def image_folders(folder: Path | None) -> list[Path]:
    """Candidate folders of the photos of a caption file in ``folder``, the usual names first."""
    return _near(folder, _IMAGE_FOLDERS)


def clip_folders(folder: Path | None) -> list[Path]:
    """Candidate folders of the clips of a caption file in ``folder``, the usual names first."""
    return _near(folder, _CLIP_FOLDERS)


def clip_names(stems: Sequence[str], suffixes: Sequence[str] = CLIP_SUFFIXES) -> tuple[str, ...]:
    """Candidate file names of a clip that a caption file names without a suffix."""
    return tuple(f"{stem}{suffix}" for stem in stems for suffix in suffixes)


def _near(folder: Path | None, names: Sequence[str]) -> list[Path]:
    if folder is None:
        return []
    return [*(folder / n for n in names), folder, *(folder.parent / n for n in names)]
