"""Lets commands import mujoco although MUJOCO_GL names an OpenGL library that does not work here.

mujoco looks at that variable when it is imported, and fails. No command of mtrack draws with OpenGL, so it is then
imported without. For child processes the variable stays as it is.
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
    """From now on import mujoco without OpenGL if it cannot be imported with what MUJOCO_GL names."""
    if os.environ.get(_VARIABLE) and "mujoco" not in sys.modules:
        sys.meta_path.insert(0, _Finder())


class _Finder:
    """Finds mujoco as usual, for an import that tries again."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        """Return the spec of mujoco, None for any other module."""
        if name != "mujoco":
            return None
        sys.meta_path.remove(self)
        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            run = spec.loader.exec_module

            def run_twice(module: ModuleType) -> None:
                try:
                    run(module)
                except Exception as error:  # bindings of OpenGL raise all kinds
                    given = os.environ.get(_VARIABLE, "")
                    os.environ[_VARIABLE] = _OFF
                    try:
                        run(module)
                    finally:
                        os.environ[_VARIABLE] = given
                    failures.append(f"{_VARIABLE}={given}: {error}")

            spec.loader.exec_module = run_twice  # type: ignore[method-assign]
        return spec
