"""What is derived from clips: frames at the control rate, velocities, poses of bodies, and which feet stand."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from mtrack import Clip, Kinematics, MotionError, Robot, positive
from mtrack.math import quat_conjugate, quat_multiply, quat_slerp, quat_to_rotation_vector
from mtrack_motion.clip import joint_columns
from mtrack_mujoco.kinematics import forward_kinematics

_SAME_RATE = 1e-6
_POSITIVE: Any = positive
_UNIT = 1e-6  # a float32 quaternion is off by less; one written with few decimals is made unit


@attrs.frozen(eq=False)
class ResampledClip:
    """A clip at the control rate, float64: T frames, J joints in the given order."""

    root_pos: Tensor
    """[T, 3] m."""
    root_quat_wxyz: Tensor
    """[T, 4]."""
    joint_pos: Tensor
    """[T, J] rad."""


def at_least(name: str) -> Any:
    """Return a validator: the value is not below another field of the same object."""

    def check(instance: object, attribute: attrs.Attribute[float], value: float) -> None:
        least = getattr(instance, name)
        if value < least:
            raise ValueError(
                f"'{attribute.name}' is {value:g}, below {name} = {least:g}: a foot would start and stop standing in "
                f"the same frame; give at least {least:g}"
            )

    return check


@attrs.frozen
class ContactRule:
    """When a foot of the reference stands, with hysteresis; speeds are relative to v_n = max(|v_root,xy|, 1 m/s)."""

    enter_height: float = attrs.field(default=0.18, validator=_POSITIVE)
    """Height of the foot's origin below which it may begin to stand [m]."""
    enter_horizontal: float = attrs.field(default=0.2, validator=_POSITIVE)
    """Largest horizontal speed for that, as a share of v_n."""
    enter_vertical: float = attrs.field(default=0.15, validator=_POSITIVE)
    """Largest vertical speed for that, as a share of v_n."""
    leave_height: float = attrs.field(default=0.25, validator=[_POSITIVE, at_least("enter_height")])
    """Height above which the foot stops standing [m]."""
    leave_horizontal: float = attrs.field(default=0.3, validator=[_POSITIVE, at_least("enter_horizontal")])
    """Horizontal speed above which it stops, as a share of v_n."""
    leave_vertical: float = attrs.field(default=0.25, validator=[_POSITIVE, at_least("enter_vertical")])
    """Vertical speed above which it stops, as a share of v_n."""


@attrs.frozen(eq=False)
class DerivedFrames:
    """All frames of C clips at the control rate, one clip after the other: F frames."""

    kinematics: Kinematics
    """Float32."""
    contact: Tensor
    """[F, feet] 1 if a foot stands, else 0."""
    length: Tensor
    """int64 [C] number of frames of each clip."""


def derive_frames(robot: Robot, clips: Sequence[Clip], dt: float, rule: ContactRule) -> DerivedFrames:
    """Return what is derived from clips for control steps of `dt` seconds. Raises MotionError."""
    model = robot.model()
    parts = [resample(clip, joint_columns(clip, model), dt) for clip in clips]
    columns = (
        [part.root_pos for part in parts],
        [part.root_quat_wxyz for part in parts],
        [difference(part.root_pos, dt) for part in parts],
        [angular_velocity(part.root_quat_wxyz, dt) for part in parts],
        [part.joint_pos for part in parts],
        [difference(part.joint_pos, dt) for part in parts],
    )
    root_pos, root_quat, root_lin_vel, root_ang_vel, joint_pos, joint_vel = (torch.cat(c).float() for c in columns)
    kinematics = forward_kinematics(robot, root_pos, root_quat, root_lin_vel, root_ang_vel, joint_pos, joint_vel)
    length = torch.tensor([len(part.root_pos) for part in parts])
    first = torch.zeros(len(root_pos), dtype=torch.bool)
    first[length.cumsum(0) - length] = True
    return DerivedFrames(kinematics, standing_feet(kinematics, model.bodies("feet"), first, rule), length)


def resample(clip: Clip, columns: list[int], dt: float) -> ResampledClip:
    """Return a clip at one frame every `dt` seconds, with linear positions and orientations on the shorter arc.

    A clip that already has this rate is not changed. Frames after the last whole step are dropped. Raises MotionError
    for a clip shorter than a step.
    """
    root_pos, joint_pos = torch.tensor(clip.root_pos).double(), torch.tensor(clip.joint_pos[:, columns]).double()
    quat = torch.tensor(clip.root_quat_wxyz).double()
    norm = quat.norm(dim=1, keepdim=True)
    quat = torch.where((norm - 1.0).abs() > _UNIT, quat / norm, quat)
    step, count = dt * clip.fps, resampled_frames(clip, dt)  # a control step, in frames of the clip
    if abs(step - 1.0) < _SAME_RATE:
        return ResampledClip(root_pos, quat, joint_pos)
    place = torch.arange(count, dtype=torch.float64) * step
    before = place.floor().long().clamp_max(len(root_pos) - 2)
    share = (place - before).unsqueeze(1)
    return ResampledClip(
        torch.lerp(root_pos[before], root_pos[before + 1], share),
        quat_slerp(quat[before], quat[before + 1], share),
        torch.lerp(joint_pos[before], joint_pos[before + 1], share),
    )


def resampled_frames(clip: Clip, dt: float) -> int:
    """Return the number of frames of a clip after `resample`. Raises MotionError for one shorter than a step."""
    step = dt * clip.fps
    if abs(step - 1.0) < _SAME_RATE:
        return len(clip.root_pos)
    count = math.floor((len(clip.root_pos) - 1) / step + _SAME_RATE) + 1
    if count < 2:
        raise MotionError(f"clip '{clip.name}': is shorter than one control step of {dt:g} s; remove it")
    return count


def difference(values: Tensor, dt: float) -> Tensor:
    """Return the rate of change of values [T, W], by central differences, one-sided at the ends."""
    before, after = _neighbours(len(values))
    return (values[after] - values[before]) / ((after - before).unsqueeze(1) * dt)


def angular_velocity(quat_wxyz: Tensor, dt: float) -> Tensor:
    """Return the angular velocity of orientations [T, 4] in world axes, [T, 3] rad/s, by the same differences."""
    before, after = _neighbours(len(quat_wxyz))
    rotation = quat_multiply(quat_wxyz[after], quat_conjugate(quat_wxyz[before]))
    return quat_to_rotation_vector(rotation) / ((after - before).unsqueeze(1) * dt)


def _neighbours(count: int) -> tuple[Tensor, Tensor]:
    """Return the frames before and after each of `count` frames; the first and the last are their own neighbours."""
    index = torch.arange(count)
    return (index - 1).clamp_min(0), (index + 1).clamp_max(count - 1)


def standing_feet(kinematics: Kinematics, feet: Tensor, first: Tensor, rule: ContactRule) -> Tensor:
    """Return 1 if a foot stands in a frame, else 0, [F, len(feet)] float32.

    `feet` are body indices. `first`, bool [F], marks the first frame of each clip: there a foot stands only if the
    conditions to begin standing are met.
    """
    height = kinematics.body_pos[:, feet, 2]
    velocity = kinematics.body_lin_vel[:, feet]
    normal = kinematics.root_lin_vel[:, :2].norm(dim=1, keepdim=True).clamp_min(1.0)
    horizontal, vertical = velocity[..., :2].norm(dim=-1) / normal, velocity[..., 2].abs() / normal
    enters = (height < rule.enter_height) & (horizontal < rule.enter_horizontal) & (vertical < rule.enter_vertical)
    leaves = (height > rule.leave_height) | (horizontal > rule.leave_horizontal) | (vertical > rule.leave_vertical)
    # between the two thresholds a foot keeps the state of the last frame that was decided
    decided = enters | leaves | first.unsqueeze(1)
    frame = torch.arange(len(height)).unsqueeze(1)
    deciding = torch.where(decided, frame, 0).cummax(dim=0).values
    return torch.gather(enters.float(), 0, deciding)
