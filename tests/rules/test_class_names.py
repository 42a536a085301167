"""A class name has one meaning in each of the two distributions."""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize(("folders", "fewest"), [(("mtrack", "plugins"), 400), (("deploy",), 20)])
def test_no_class_name_occurs_twice(folders: tuple[str, ...], fewest: int) -> None:
    found: dict[str, list[str]] = defaultdict(list)
    for folder in folders:
        for file in (ROOT / folder).rglob("*.py"):
            classes = (node for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.ClassDef))
            for node in classes:
                found[node.name].append(str(file.relative_to(ROOT)))
    assert len(found) > fewest
    assert {name: files for name, files in found.items() if len(files) > 1} == {}
