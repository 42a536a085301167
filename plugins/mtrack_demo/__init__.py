"""A trained policy that comes with mtrack: a student of the quick recipe, for `--demo`."""

from __future__ import annotations

import shutil
from importlib import resources
from pathlib import Path

from mtrack import MtrackError

FOLDER = Path("runs/demo")
"""Where the run is copied to, in the present directory."""


def demo_run() -> Path:
    """Return the directory of the demonstration's run; the first call in a directory copies it. Raises MtrackError."""
    if (FOLDER / "recipe.toml").is_file():
        return FOLDER
    try:
        with resources.as_file(resources.files(__name__) / "run") as source:
            shutil.copytree(source, FOLDER)
    except OSError as error:
        raise MtrackError(f"cannot copy the demonstration to {FOLDER}: {error.strerror or error}") from error
    return FOLDER


def given_run(run: Path | None, is_demo: bool) -> Path:
    """Return the run of a command line: its argument, or the demonstration's. Raises MtrackError unless it is one."""
    if (run is not None) == is_demo:
        raise MtrackError("give the directory of a run, or --demo for the policy that comes with mtrack")
    return demo_run() if run is None else run
