"""The pages of the documentation and the code blocks on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]
WRITTEN = [
    ROOT / "README.md",
    ROOT / "CONTRIBUTING.md",
    ROOT / "benchmarks" / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
]
"""Pages that people write; tests/docs/reference.py generates those in docs/reference."""
GENERATED = sorted((ROOT / "docs" / "reference").glob("*.md"))
_FENCE = re.compile(r"^```(\w*)(?: title=\"([^\"]+)\")?\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@attrs.frozen
class Block:
    """A fenced code block."""

    page: Path
    line: int
    language: str
    title: str
    """Name of the file that it shows; empty for a fragment."""
    text: str

    def __str__(self) -> str:
        """Return its position, e.g. `docs/recipes.md:21`."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def blocks(page: Path, *languages: str) -> Iterator[Block]:
    """Yield the code blocks of a page in some languages, or all of them."""
    text = page.read_text("utf-8")
    for found in _FENCE.finditer(text):
        if not languages or found[1] in languages:
            yield Block(page, text.count("\n", 0, found.start()) + 1, found[1], found[2] or "", found[3])


def all_blocks(*languages: str) -> list[Block]:
    """Return the code blocks of all pages that people write."""
    return [block for page in WRITTEN for block in blocks(page, *languages)]


def name(page: Path) -> str:
    """Return the path of a page from the root of the project."""
    return str(page.relative_to(ROOT))
