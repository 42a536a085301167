"""Imports mujoco without OpenGL if MUJOCO_GL names an OpenGL library that does not work.

mujoco reads that variable when it is imported, and fails if the library does not work. mtrack does not draw with
OpenGL, so it then imports mujoco without it. The variable does not change for child processes.
"""

from __future__ import annotations

import os
import sys
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType
from typing import Any

_VARIABLE = "MUJOCO_GL"
_OFF = "disabled"
failures: list[str] = []
"""Why mujoco was imported without OpenGL; empty if it was not."""


def import_mujoco_without_opengl() -> None:
    """Make the first import of mujoco try again without OpenGL if it fails with the library of MUJOCO_GL."""
    if os.environ.get(_VARIABLE) and "mujoco" not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds mujoco as usual, but its import is tried again without OpenGL."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the spec of mujoco; None for any other module."""
        if name != "mujoco":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_twice(module: ModuleType) -> None:
                try:
                    run(module)
                except Exception as error:  # OpenGL bindings raise many kinds of errors
                    given = os.environ.get(_VARIABLE, "")
                    os.environ[_VARIABLE] = _OFF
                    try:
                        run(module)
                    finally:
                        os.environ[_VARIABLE] = given
                    failures.append(f"{_VARIABLE}={given}: {error}")

            spec.loader.exec_module = run_twice  # type: ignore[method-assign]
        return spec
