"""Words that make a sentence hard to read do not return: see the style section of CONTRIBUTING.md."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = ("mtrack", "plugins", "deploy", "recipes", "benchmarks", "docs", "tests", ".github")
WRITTEN = {".py", ".md", ".toml", ".tmpl", ".sh", ".yml", ".txt", ".cff"}
BANNED = re.compile(r"\b((?i:anew|mend|mends|shall|goes on|nobody|of use|what it is of|told)|is none|are none)\b")
# "is None" is code, so these two are only found in lower case
HERE = "tests/rules/test_english.py"


def written() -> list[str]:
    """Return the files of the project that people write."""
    files = [*ROOT.glob("*"), *(file for folder in FOLDERS for file in (ROOT / folder).rglob("*"))]
    names = [file.relative_to(ROOT).as_posix() for file in files if file.suffix in WRITTEN and file.is_file()]
    return sorted(name for name in names if name != HERE)


def banned(name: str) -> list[str]:
    lines = (ROOT / name).read_text("utf-8").splitlines()
    return [f"{name}:{number}: {found[0]}" for number, line in enumerate(lines, 1) for found in BANNED.finditer(line)]


def test_no_banned_word_is_used() -> None:
    found = [place for name in written() for place in banned(name)]
    assert found == [], "\n".join(["", *found])
