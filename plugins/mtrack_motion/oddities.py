"""Find signs that a motion was read with a wrong rate, order or unit, although the numbers alone prove nothing."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from mtrack import Clip, MotionError, Robot
from mtrack_motion.clip import check_upright, joint_columns, uprightness
from mtrack_motion.clip_checks import why_broken, why_misread
from mtrack_motion.continuity import breaks
from mtrack_motion.derive import angular_velocity, difference
from mtrack_mujoco.kinematics import forward_kinematics

_FAST_ROOT = 8.0  # m/s; a sprint
_FAST_TURN = 20.0  # rad/s
_LIMIT_MARGIN = 0.05  # rad
_SOLE_BELOW, _SOLE_ABOVE = -0.06, 0.05  # m
_LISTED = 3


def oddities(clip: Clip, robot: Robot, trust: bool = False) -> list[str]:
    """Return what looks wrong with a clip on a robot, one line each; empty for a plausible clip.

    Raises MotionError for a clip that training would leave out because of a unit, axis or jump, unless trusted.
    """
    place, model = f"clip '{clip.name}'", robot.model()
    if reason := why_misread(clip, model):
        return _accepted(place, f"{reason}, or import it as it is with --trust", "it cannot be trained on", trust)
    check_upright(clip, place)
    found = []
    if reason := why_broken(clip, model):
        found = _accepted(
            place,
            f"{reason}, or import it as it is with --trust",
            "training leaves it out unless its [motions.NAME] has allow_jumps = true",
            trust,
        )
    return found + [f"{place}: {text}" for text in _oddities(clip, robot)]


def _accepted(place: str, reason: str, consequence: str, trust: bool) -> list[str]:
    """Return the line that reports an accepted problem. Raises MotionError if the clip is not trusted."""
    if not trust:
        raise MotionError(f"{place}: {reason}")
    return [f"{place}: {reason.rpartition('; ')[0]}; imported anyway, {consequence}"]


def _oddities(clip: Clip, robot: Robot) -> Iterator[str]:
    model, dt = robot.model(), 1.0 / clip.fps
    root_pos, quat = torch.tensor(clip.root_pos), torch.tensor(clip.root_quat_wxyz)
    joint_pos = torch.tensor(clip.joint_pos)[:, joint_columns(clip, model)]
    broken = [one for one in breaks(clip, model) if not one.serious]
    yield from (one.text for one in broken[:_LISTED])
    if len(broken) > _LISTED:
        yield f"{len(broken) - _LISTED} more joints jump; 'mtrack motions check' lists them"
    upright = uprightness(clip)
    if upright.min() < 0.0:
        yield f"leans by more than 90 degrees from frame {int((upright < 0).argmax())} on; is that intended?"
    speed = difference(root_pos, dt).norm(dim=1)
    rate = f"is {clip.fps:g} fps right?"
    if float(speed.max()) > _FAST_ROOT:
        yield f"the root moves at {float(speed.max()):.1f} m/s in frame {int(speed.argmax())}; {rate}"
    turn = angular_velocity(quat, dt).norm(dim=1)
    if float(turn.max()) > _FAST_TURN:
        yield f"the root turns at {float(turn.max()):.1f} rad/s in frame {int(turn.argmax())}; {rate}"
    joint_vel = difference(joint_pos, dt).abs()
    if text := _worst(joint_vel - model.velocity_limit, joint_vel, model.joint_names, "rad/s, above its speed limit"):
        yield f"{text}; {rate}"
    outside = torch.maximum(model.joint_range[:, 0] - joint_pos, joint_pos - model.joint_range[:, 1])
    if text := _worst(outside - _LIMIT_MARGIN, outside, model.joint_names, "rad beyond its range"):
        yield f"{text}; is the joint order right?"
    height = _sole_height(robot, root_pos, quat, joint_pos)
    if not _SOLE_BELOW <= height <= _SOLE_ABOVE:
        yield f"the lower sole is {height:+.3f} m from the floor (5th percentile); is the floor at z = 0?"


def _worst(excess: Tensor, shown: Tensor, names: tuple[str, ...], unit: str) -> str:
    """Return as text where the excess [T, J] is largest, and how many joints exceed 0; empty if none does."""
    count = int((excess > 0).any(dim=0).sum())
    if count == 0:
        return ""
    frame, joint = (int(i) for i in np.unravel_index(int(excess.argmax()), excess.shape))
    others = f" (and {count - 1} more joints)" if count > 1 else ""
    return f"{names[joint]} is at {float(shown[frame, joint]):.2f} {unit}, frame {frame}{others}"


def _sole_height(robot: Robot, root_pos: Tensor, quat: Tensor, joint_pos: Tensor) -> float:
    """Return the 5th percentile of the lower sole's height [m]; in the default pose the soles are on the floor."""
    model = robot.model()
    level = torch.tensor([[1.0, 0.0, 0.0, 0.0]])
    root_pos = torch.cat((model.default_root_pos[None], root_pos))
    joint_pos = torch.cat((model.default_joint_pos[None], joint_pos))
    still, rest = torch.zeros_like(root_pos), torch.zeros_like(joint_pos)
    bodies = forward_kinematics(robot, root_pos, torch.cat((level, quat)), still, still, joint_pos, rest).body_pos
    # with toes, because a raised heel does not mean a raised sole
    points = model.bodies(["feet", "toes"] if "toes" in model.sets else "feet")
    height = bodies[:, points, 2]
    return float((height[1:] - height[0]).amin(dim=1).quantile(0.05))
