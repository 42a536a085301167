"""Writes the MuJoCo description of the robot, with the files that it needs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from mtrack import Recipe
from mtrack_mujoco.description import describe

ROBOT = "robot.xml"


def write_robot(folder: Path, recipe: Recipe) -> dict[str, Any]:
    """Write the description of a recipe's robot; return its name and hash. Raises MtrackError."""
    spec = recipe.robot.build().spec()
    spec.option.timestep = recipe.physics_dt
    parts = describe(spec, spec.compile())
    for name, data in parts.items():
        if name.startswith("asset."):
            (folder / name.removeprefix("asset.")).write_bytes(data.numpy().tobytes())
    text = parts["mjcf"].numpy().tobytes()
    (folder / ROBOT).write_bytes(text)
    return {"model_file": ROBOT, "model_sha256": hashlib.sha256(text).hexdigest()}
