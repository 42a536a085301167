"""The names and constants of a robot, as components see them."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import attrs
import torch
from torch import Tensor

from mtrack.api.mirror import Mirror
from mtrack.errors import NameProblem, SlotError, did_you_mean

_BY_JOINT = ("default_joint_pos", "velocity_limit", "effort_limit", "stiffness", "damping")


@attrs.frozen(eq=False, kw_only=True)
class RobotModel:
    """Names and constants of one robot: J joints, B bodies. Its tensors are float32 and on the CPU.

    Raises SlotError if a name is duplicated, or if a tensor has another shape or contains NaN.
    """

    name: str
    """Name of the robot in messages."""
    joint_names: tuple[str, ...]
    """The J actuated joints, in the order of every tensor axis of size J."""
    body_names: tuple[str, ...]
    """The B bodies that components see, in the order of every tensor axis of size B; the first is the root."""
    sets: Mapping[str, tuple[str, ...]]
    """Named sets of joints or bodies, e.g. `feet` or `arms`. A set can be used in place of its names."""
    default_root_pos: Tensor
    """[3] m, with all joints in their default positions."""
    default_joint_pos: Tensor
    """[J] rad."""
    joint_range: Tensor
    """[J, 2] rad, lower and upper limit."""
    velocity_limit: Tensor
    """[J] rad/s."""
    effort_limit: Tensor
    """[J] N m."""
    stiffness: Tensor
    """[J] N m/rad, of the position controllers."""
    damping: Tensor
    """[J] N m s/rad, of the position controllers."""
    mass: float
    """Mass of the whole robot [kg]."""
    joint_mirror: Mirror
    """Mirror of joint values, [..., J]."""
    mirrored_name: Mapping[str, str]
    """Body or contact sensor on the other side, by name; a name maps to itself if it has no counterpart."""
    sensors: tuple[str, ...] = ("imu", "joint_encoders")
    """What the robot can measure; `NeedsSensors` uses the same names.

    mtrack knows `imu` (orientation, gravity direction and angular velocity of the root), `joint_encoders` (positions
    and velocities), `joint_torque`, `contact_force`, `root_position` and `root_velocity` (in the world), and
    `body_poses` (poses and velocities relative to the root). Plugins may use further names.
    """
    motor_indices: tuple[int, ...] = ()
    """Index of each joint's motor in the messages of the real robot, J of them; empty if it is the order of joints."""
    poses: Mapping[str, Mapping[str, float]] = attrs.field(factory=dict)
    """Named poses of some of the joints, e.g. of an arm that reaches forward: angle [rad] by joint."""
    description: Callable[[], Any] | None = None
    """Returns the robot's new `mujoco.MjSpec`, for those who need its geometry; None if it has none."""

    def __attrs_post_init__(self) -> None:
        """Check names and tensors."""
        for what, names in (("joint_names", self.joint_names), ("body_names", self.body_names)):
            if not names:
                raise SlotError("robot", f"{what} of its model() is empty")
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise SlotError("robot", f"{what} of its model() has '{twice[0]}' more than once")
        joints = len(self.joint_names)
        shapes = dict.fromkeys(_BY_JOINT, (joints,)) | {"joint_range": (joints, 2), "default_root_pos": (3,)}
        for name, shape in shapes.items():
            _require_tensor(name, getattr(self, name), shape)
        if self.motor_indices and len(set(self.motor_indices)) != joints:
            raise SlotError("robot", f"motor_indices of its model() must be {joints} different numbers, or empty")
        if self.joint_mirror.width != joints:
            width = self.joint_mirror.width
            raise SlotError("robot", f"joint_mirror of its model() is {width} wide, but there are {joints} joint_names")

    def joints(self, names: str | Sequence[str]) -> Tensor:
        """Return the indices of joints, int64, in the order of `names`.

        Each name is a joint, a named set, or a regular expression that matches whole names. Raises NameProblem.
        """
        return torch.tensor(self._find(names, self.joint_names, "joint"), dtype=torch.int64)

    def bodies(self, names: str | Sequence[str]) -> Tensor:
        """Return the indices of bodies, int64, in the order of `names`, as in `joints`. Raises NameProblem."""
        return torch.tensor(self._find(names, self.body_names, "body"), dtype=torch.int64)

    def expand(self, names: Sequence[str]) -> tuple[str, ...]:
        """Replace named sets by their bodies, and list each body once. Raises NameProblem if `names` is empty."""
        _require_some(names, "body")
        return tuple(dict.fromkeys(body for name in names for body in self.sets.get(name, (name,))))

    def body_mirror(self, indices: Tensor, each: Mirror) -> Mirror:
        """Return the mirror of one block per body, [..., len(indices) * each.width].

        Raises NameProblem if `indices` have a body of one side only.
        """
        names = [self.body_names[i] for i in indices.tolist()]
        return Mirror.swap(self.partners(names), each)

    def partners(self, names: Sequence[str]) -> list[int]:
        """Return the index in `names` of the mirror image of each name. Raises NameProblem if one is missing."""
        index_of = {name: index for index, name in enumerate(names)}
        partners = [self.mirrored_name.get(name, name) for name in names]
        for name, partner in zip(names, partners, strict=True):
            if partner not in index_of:
                raise NameProblem(f"'{name}' has no mirror image in the list: add '{partner}'")
        return [index_of[partner] for partner in partners]

    def _find(self, names: str | Sequence[str], known: Sequence[str], kind: str) -> list[int]:
        _require_some(names, kind)
        found: list[int] = []
        for name in [names] if isinstance(names, str) else names:
            members: Iterable[str] = self.sets.get(name, (name,))
            for member in members:
                matches = [i for i, other in enumerate(known) if re.fullmatch(member, other)]
                if not matches:
                    suggestion = did_you_mean(member, [*known, *self.sets])
                    raise NameProblem(f"{self.name} has no {kind} '{member}'. {suggestion}".rstrip(". "))
                found += [i for i in matches if i not in found]
        return found


def _require_some(names: str | Sequence[str], kind: str) -> None:
    """Raise NameProblem if a list is empty: the mean over no joints is NaN, and their sum has no effect."""
    if not names:
        raise NameProblem(f"the list has no {kind}: remove the key to use its default, or disable the slot")


def _require_tensor(name: str, value: object, shape: tuple[int, ...]) -> None:
    """Raise SlotError unless `value` is a float32 tensor of a shape, without NaN."""
    wanted = f"expected a float32 tensor {shape}, joints in the order of joint_names"
    if not isinstance(value, Tensor):
        raise SlotError("robot", f"{name} of its model() is a {type(value).__name__}; {wanted}")
    if tuple(value.shape) != shape or value.dtype != torch.float32:
        dtype = str(value.dtype).removeprefix("torch.")
        raise SlotError("robot", f"{name} of its model() is {dtype} of shape {tuple(value.shape)}; {wanted}")
    if value.isnan().any():
        raise SlotError("robot", f"{name} of its model() has a NaN")
