"""Packages of others, put where Python finds them, as an installer leaves them."""

from __future__ import annotations

from pathlib import Path


def install(site: Path, name: str, points: str, **modules: str) -> None:
    """Put a package with entry points into a folder; the caller puts that on Python's path.

    Args:
        site: the folder; made if absent.
        name: of the distribution.
        points: the text of ``entry_points.txt``.
        modules: the text of each module, by its name.
    """
    info = site / f"{name.replace('-', '_')}-1.0.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(points)
    for module, text in modules.items():
        (site / f"{module}.py").write_text(text)
