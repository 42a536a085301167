"""Commands, arguments and options change only together with `surface.txt`."""

from __future__ import annotations

import difflib
from pathlib import Path

from surface import surface

RECORDED = Path(__file__).with_name("surface.txt")
UPDATE = "python tests/cli/surface.py > tests/cli/surface.txt"


def test_every_built_in_command_has_the_recorded_arguments_and_options() -> None:
    recorded, found = RECORDED.read_text("utf-8").splitlines(), list(surface())
    changes = "\n".join(difflib.unified_diff(recorded, found, "surface.txt", "the commands", lineterm="", n=0))
    assert found == recorded, f"\n{changes}\n\nIf this is intended (scripts of users may break): {UPDATE}"
