"""mtrack imports mujoco even if MUJOCO_GL names a library that does not work."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from ctypes.util import find_library
from pathlib import Path

import pytest

from mtrack_testing import install

DRAW = '''
import os
import mujoco
from mtrack.cli.opengl import failures

def draw() -> None:
    """Use mujoco like third-party code."""
    mujoco.MjSpec().compile()
    print(os.environ["MUJOCO_GL"], failures[0].partition(":")[0])
'''


@pytest.mark.parametrize(
    "library",
    [
        pytest.param("osmesa", marks=pytest.mark.skipif(find_library("OSMesa") is not None, reason="it works here")),
        "nonsense",
    ],
)
def test_commands_import_mujoco_with_any_value_of_mujoco_gl(
    site: Path, mtrack: Callable[..., subprocess.CompletedProcess[str]], library: str
) -> None:
    install(site, "acme", {"mtrack.cli": {"draw": "acme_draw:draw"}}, {"acme_draw.py": DRAW})
    code = f"import os; os.environ['MUJOCO_GL'] = '{library}'; from mtrack.cli import main; main()"
    done = mtrack("draw", code=code)
    assert (done.returncode, done.stdout) == (0, f"{library} MUJOCO_GL={library}\n"), done.stderr
