"""Writes a report as a whole file or not at all."""

from __future__ import annotations

from pathlib import Path


def write_report(path: Path, html: str) -> None:
    """Replace a file. Raises OSError."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_text(html, encoding="utf-8")
        new.replace(path)
    finally:
        new.unlink(missing_ok=True)  # also after a second signal
