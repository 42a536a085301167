"""Installs fake distributions for a test: metadata and modules in a folder, as pip writes them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path


def install(
    site: Path,
    name: str,
    entry_points: Mapping[str, Mapping[str, str]] | bytes,
    modules: Mapping[str, str] | None = None,
    version: str = "1.0",
) -> None:
    """Write a distribution to the folder `site`; `entry_points` are tables by group, or the bytes of the file."""
    info = site / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n", "utf-8")
    if not isinstance(entry_points, bytes):
        lines = []
        for group, points in entry_points.items():
            lines += [f"[{group}]", *(f"{key} = {value}" for key, value in points.items())]
        entry_points = "\n".join(lines).encode()
    (info / "entry_points.txt").write_bytes(entry_points)
    for file, text in (modules or {}).items():
        path = site / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
