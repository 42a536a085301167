"""Test clips: short, smooth motions of the G1, and the path of the sample motions."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mtrack import Clip, RobotModel
from mtrack_g1.robot import G1
from mtrack_testing import g1_model

SAMPLES = Path(__file__).resolve().parents[2].parent / "shared" / "motions"


class _Robot(G1):
    """The G1, with its model built once per process."""

    def model(self) -> RobotModel:
        return g1_model()


ROBOT = _Robot()

needs_samples = pytest.mark.skipif(not SAMPLES.is_dir(), reason=f"the sample motions are not at {SAMPLES}")


def swaying_clip(frames: int = 40, fps: float = 50.0, name: str = "sway", **changes: object) -> Clip:
    """Return a clip in which root and joints swing slowly about the default pose, soles near the floor."""
    model = g1_model()
    time = np.arange(frames) / fps
    angle = 0.2 * np.sin(2.0 * time)
    swing = 0.05 * np.sin(3.0 * time[:, None] + np.arange(len(model.joint_names)))
    values: dict[str, object] = {
        "name": name,
        "fps": fps,
        "joint_names": model.joint_names,
        "root_pos": (model.default_root_pos.numpy() + 0.02 * np.sin(time)[:, None]).astype(np.float32),
        "root_quat_wxyz": np.stack(
            (np.cos(angle / 2), 0 * angle, 0.6 * np.sin(angle / 2), 0.8 * np.sin(angle / 2)), axis=1
        ).astype(np.float32),
        "joint_pos": (model.default_joint_pos.numpy() + swing).astype(np.float32),
    }
    return Clip(**(values | changes))  # type: ignore[arg-type]
