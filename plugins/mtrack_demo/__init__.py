"""A trained policy that comes with mtrack: a student of the quick recipe, for `--demo`."""

from __future__ import annotations

import shutil
import tempfile
from importlib import resources
from pathlib import Path

from mtrack import MtrackError

FOLDER = Path("runs/demo")
"""Where the run is copied to, in the present directory."""
_MANIFEST = "manifest.json"


def demo_run() -> Path:
    """Return the directory of the demonstration's run; the first call in a directory copies it. Raises MtrackError."""
    try:
        with resources.as_file(resources.files(__name__) / "run") as source:
            if FOLDER.exists():
                if not _is_copy(FOLDER, source):
                    raise MtrackError(f"{FOLDER} is another run, or of another mtrack: rename or delete it")
                return FOLDER
            FOLDER.parent.mkdir(parents=True, exist_ok=True)
            making = Path(tempfile.mkdtemp(dir=FOLDER.parent, prefix=".demo-"))
            try:
                shutil.copytree(source, making / "demo")
                (making / "demo").rename(FOLDER)
            finally:
                shutil.rmtree(making, ignore_errors=True)
    except OSError as error:
        raise MtrackError(f"cannot copy the demonstration to {FOLDER}: {error.strerror or error}") from error
    return FOLDER


def given_run(run: Path | None, is_demo: bool) -> Path:
    """Return the run of a command line: its argument, or the demonstration's. Raises MtrackError unless it is one."""
    if (run is not None) == is_demo:
        raise MtrackError("give the directory of a run, or --demo for the policy that comes with mtrack")
    return demo_run() if run is None else run


def _is_copy(folder: Path, source: Path) -> bool:
    file = folder / _MANIFEST
    return file.is_file() and file.read_bytes() == (source / _MANIFEST).read_bytes()
