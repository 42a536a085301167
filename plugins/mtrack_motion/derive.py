"""What is derived from a clip: its frames at the control rate, velocities, and when its feet stand."""

from __future__ import annotations

import math
from typing import Any

import attrs
import torch
from torch import Tensor

from mtrack import Clip, Kinematics, MotionError, positive
from mtrack.math import quat_conjugate, quat_multiply, quat_slerp, quat_to_rotation_vector

_SAME_RATE = 1e-6
_POSITIVE: Any = positive
_UNIT = 1e-6  # a float32 quaternion is off by less; one written with few decimals is made unit


@attrs.frozen(eq=False)
class Frames:
    """A clip at the control rate, float64: T frames, J joints in the order asked for."""

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
                f"'{attribute.name}' is {value:g}, below {name} = {least:g}: a foot would begin and stop to stand in "
                f"the same frame; give at least {least:g}"
            )

    return check


@attrs.frozen
class ContactRule:
    """When a foot of the reference stands, with hysteresis; speeds are shares of v_n = max(|v_root,xy|, 1 m/s)."""

    enter_height: float = attrs.field(default=0.18, validator=_POSITIVE)
    """Height of the foot's origin below which it may begin to stand [m]."""
    enter_horizontal: float = attrs.field(default=0.2, validator=_POSITIVE)
    """Share of v_n the horizontal speed must stay below for that."""
    enter_vertical: float = attrs.field(default=0.15, validator=_POSITIVE)
    """Share of v_n the vertical speed must stay below for that."""
    leave_height: float = attrs.field(default=0.25, validator=[_POSITIVE, at_least("enter_height")])
    """Height above which it stops standing [m]."""
    leave_horizontal: float = attrs.field(default=0.3, validator=[_POSITIVE, at_least("enter_horizontal")])
    """Share of v_n of the horizontal speed above which it stops."""
    leave_vertical: float = attrs.field(default=0.25, validator=[_POSITIVE, at_least("enter_vertical")])
    """Share of v_n of the vertical speed above which it stops."""


def resample(clip: Clip, columns: list[int], dt: float) -> Frames:
    """Return a clip at one frame every `dt` seconds: positions linear, orientations on the shorter arc.

    A clip that has this rate already is kept exactly; what lies after the last whole step is cut off. Raises
    MotionError for a clip shorter than a step.
    """
    root_pos, joint_pos = torch.tensor(clip.root_pos).double(), torch.tensor(clip.joint_pos[:, columns]).double()
    quat = torch.tensor(clip.root_quat_wxyz).double()
    norm = quat.norm(dim=1, keepdim=True)
    quat = torch.where((norm - 1.0).abs() > _UNIT, quat / norm, quat)
    step, count = dt * clip.fps, resampled_frames(clip, dt)  # a step of the clip's frames
    if abs(step - 1.0) < _SAME_RATE:
        return Frames(root_pos, quat, joint_pos)
    place = torch.arange(count, dtype=torch.float64) * step
    before = place.floor().long().clamp_max(len(root_pos) - 2)
    share = (place - before).unsqueeze(1)
    return Frames(
        torch.lerp(root_pos[before], root_pos[before + 1], share),
        quat_slerp(quat[before], quat[before + 1], share),
        torch.lerp(joint_pos[before], joint_pos[before + 1], share),
    )


def resampled_frames(clip: Clip, dt: float) -> int:
    """Return how many frames `resample` makes of a clip. Raises MotionError for one shorter than a step."""
    step = dt * clip.fps
    if abs(step - 1.0) < _SAME_RATE:
        return len(clip.root_pos)
    count = math.floor((len(clip.root_pos) - 1) / step + _SAME_RATE) + 1
    if count < 2:
        raise MotionError(f"clip '{clip.name}': is shorter than one control step of {dt:g} s; leave it out")
    return count


def difference(values: Tensor, dt: float) -> Tensor:
    """Return the rate of change of values [T, W], by central differences, one-sided at the ends."""
    before, after = _neighbours(len(values))
    return (values[after] - values[before]) / ((after - before).unsqueeze(1) * dt)


def angular_velocity(quat_wxyz: Tensor, dt: float) -> Tensor:
    """Return the angular velocity of orientations [T, 4] in world axes, [T, 3] rad/s, by differences as above."""
    before, after = _neighbours(len(quat_wxyz))
    rotation = quat_multiply(quat_wxyz[after], quat_conjugate(quat_wxyz[before]))
    return quat_to_rotation_vector(rotation) / ((after - before).unsqueeze(1) * dt)


def _neighbours(count: int) -> tuple[Tensor, Tensor]:
    """Return the frames before and after each of `count` frames; at the ends the frame itself stands in."""
    index = torch.arange(count)
    return (index - 1).clamp_min(0), (index + 1).clamp_max(count - 1)


def standing_feet(kinematics: Kinematics, feet: Tensor, first: Tensor, rule: ContactRule) -> Tensor:
    """Return 1 where a foot stands and 0 where not, [F, len(feet)] float32.

    `feet` are body indices; `first` bool [F] marks first frames of clips, where a foot stands only if it fulfils the
    conditions for beginning to.
    """
    height = kinematics.body_pos[:, feet, 2]
    velocity = kinematics.body_lin_vel[:, feet]
    normal = kinematics.root_lin_vel[:, :2].norm(dim=1, keepdim=True).clamp_min(1.0)
    horizontal, vertical = velocity[..., :2].norm(dim=-1) / normal, velocity[..., 2].abs() / normal
    enters = (height < rule.enter_height) & (horizontal < rule.enter_horizontal) & (vertical < rule.enter_vertical)
    leaves = (height > rule.leave_height) | (horizontal > rule.leave_horizontal) | (vertical > rule.leave_vertical)
    # between the two thresholds a foot keeps its state: that of the last frame that decided
    decided = enters | leaves | first.unsqueeze(1)
    frame = torch.arange(len(height)).unsqueeze(1)
    deciding = torch.where(decided, frame, 0).cummax(dim=0).values
    return torch.gather(enters.float(), 0, deciding)
