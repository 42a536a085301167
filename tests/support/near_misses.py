"""Write and import foreign motion files, all of the same clip."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from mtrack.cli import app
from mtrack_motion.file import read_clip
from support.clips import swaying_clip
from support.foreign import unitree

CLIP = swaying_clip(8, fps=30.0, name="walk")
ROWS = np.asarray(unitree(CLIP)["rows"])
ROOT = ("x", "y", "z", "qx", "qy", "qz", "qw")
NAMES = (*ROOT, *CLIP.joint_names)


def text(rows: np.ndarray = ROWS, between: str = ",", header: str = "", end: str = "\n") -> str:
    lines = [between.join(f"{value:.7f}" for value in row) for row in rows]
    return header + end.join(lines) + end


def invoke(*arguments: object, code: int = 0) -> tuple[str, str]:
    result = CliRunner().invoke(app, ["motions", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        assert code == 2, result.exception
        return result.stdout, str(result.exception)
    assert result.exit_code == code, result.stderr
    return result.stdout, result.stderr


def import_as(folder: Path, name: str, content: bytes | str, *more: str, code: int = 0) -> str:
    """Write a file, import it, and return its stderr; with exit status 0, check that the clip is `CLIP`."""
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    _, said = invoke("import", path, "-o", folder / "out", *more, code=code)
    if code == 0:
        (file,) = (folder / "out").iterdir()
        found = read_clip(file)
        assert np.allclose(found.root_pos, CLIP.root_pos, atol=1e-5)
        assert np.allclose(found.root_quat_wxyz, CLIP.root_quat_wxyz, atol=1e-5)
        columns = [found.joint_names.index(joint) for joint in CLIP.joint_names]
        assert np.allclose(found.joint_pos[:, columns], CLIP.joint_pos, atol=1e-5)
    return said


def put(folder: Path, name: str, content: bytes | str) -> Path:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
