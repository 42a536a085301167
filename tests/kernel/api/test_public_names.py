"""`mtrack` has all public names, imports them only when they are used, and declares them to type checkers."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import mtrack


def test_every_public_name_exists_and_is_declared_to_type_checkers() -> None:
    tree = ast.parse(Path(mtrack.__file__).read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.If))
    declared = {
        (alias.asname, node.module) for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert declared == set(mtrack._HOMES.items())
    assert [name for name in mtrack._HOMES if getattr(mtrack, name, None) is None] == []
    assert set(mtrack._HOMES) <= set(dir(mtrack))


def test_importing_mtrack_imports_nothing_heavy() -> None:
    code = "import sys, mtrack; mtrack.RecipeError; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert {"torch", "numpy", "mujoco"}.isdisjoint(loaded)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'mtrack' has no attribute 'componnet'"):
        _ = mtrack.componnet
