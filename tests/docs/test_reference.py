"""The pages in docs/reference are up to date."""

from __future__ import annotations

import difflib

from pages import GENERATED
from reference import FOLDER, UPDATE, pages


def test_the_reference_describes_what_is_installed() -> None:
    recorded = {file.name: file.read_text("utf-8") for file in GENERATED}
    made = pages()
    changes = [
        line
        for name in sorted(recorded.keys() | made.keys())
        for line in difflib.unified_diff(
            recorded.get(name, "").splitlines(), made.get(name, "").splitlines(), name, "the code", lineterm="", n=0
        )
    ]
    assert changes == [], "\n".join(["", *changes, "", f"{FOLDER.name} is out of date: {UPDATE}"])
