"""A robot as components see it: names, default pose, limits, mirror. No physics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import attrs
import torch
from torch import Tensor

from mtrack.api.mirror import Mirror
from mtrack.errors import NameProblem, SlotError, did_you_mean

_BY_JOINT = ("default_joint_pos", "velocity_limit", "effort_limit", "stiffness", "damping")


@attrs.frozen(eq=False, kw_only=True)
class RobotModel:
    """Names and constants of one robot; float32 tensors on the CPU, in the order of the names.

    Raises SlotError if a tensor does not have one value for each name, or a name is there twice.
    """

    name: str
    """What messages call the robot."""
    joint_names: tuple[str, ...]
    """The J actuated joints, in the order of every joint axis."""
    body_names: tuple[str, ...]
    """The B bodies components can see, in the order of every body axis; the first is the root."""
    sets: Mapping[str, tuple[str, ...]]
    """Named sets of joints or bodies, usable wherever names are: `feet`, `toes`, `keypoints`, `arms`, ..."""
    default_root_pos: Tensor
    """[3] m."""
    default_joint_pos: Tensor
    """[J] rad."""
    joint_range: Tensor
    """[J, 2] rad."""
    velocity_limit: Tensor
    """[J] rad/s."""
    effort_limit: Tensor
    """[J] N m."""
    stiffness: Tensor
    """[J] N m/rad."""
    damping: Tensor
    """[J] N m s/rad."""
    mass: float
    """kg, whole robot."""
    joint_mirror: Mirror
    """How joint values [.., J] mirror."""
    mirrored_name: Mapping[str, str]
    """Body (or contact sensor) to its partner on the other side; itself where there is none."""
    sensors: tuple[str, ...] = ("imu", "joint_encoders")
    """What the robot can measure: `imu` (orientation, gravity direction, angular velocity of the root),
    `joint_encoders` (positions and velocities), `joint_torque`, `contact_force`, `root_position` and `root_velocity` in
    the world, `body_poses` and velocities seen from the root; or any other name that observations use."""

    def __attrs_post_init__(self) -> None:
        """Check that names and tensors fit each other."""
        for what, names in (("joint_names", self.joint_names), ("body_names", self.body_names)):
            if not names:
                raise SlotError("robot", f"{what} of its model() is empty")
            if twice := sorted({name for name in names if names.count(name) > 1}):
                raise SlotError("robot", f"{what} of its model() has '{twice[0]}' more than once")
        joints = len(self.joint_names)
        shapes = dict.fromkeys(_BY_JOINT, (joints,)) | {"joint_range": (joints, 2), "default_root_pos": (3,)}
        for name, shape in shapes.items():
            _require_tensor(name, getattr(self, name), shape)
        if self.joint_mirror.width != joints:
            width = self.joint_mirror.width
            raise SlotError("robot", f"joint_mirror of its model() is {width} wide, but there are {joints} joint_names")

    def joints(self, names: str | Sequence[str]) -> Tensor:
        """Return the indices of joints, int64, in the order given.

        A name is a joint, a named set, or a regular expression that matches whole names. Raises NameProblem.
        """
        return torch.tensor(self._find(names, self.joint_names, "joint"), dtype=torch.int64)

    def bodies(self, names: str | Sequence[str]) -> Tensor:
        """Return the indices of bodies, int64, in the order given; names as in `joints`. Raises NameProblem."""
        return torch.tensor(self._find(names, self.body_names, "body"), dtype=torch.int64)

    def expand(self, names: Sequence[str]) -> tuple[str, ...]:
        """Return body names with the named sets among them taken apart, each body once. Raises NameProblem if empty."""
        _require_some(names, "body")
        return tuple(dict.fromkeys(body for name in names for body in self.sets.get(name, (name,))))

    def body_mirror(self, indices: Tensor, each: Mirror) -> Mirror:
        """Return the mirror of per-body blocks [.., len(indices) * each.width]; the set must hold both sides."""
        names = [self.body_names[i] for i in indices.tolist()]
        return Mirror.swap(self.partners(names), each)

    def partners(self, names: Sequence[str]) -> list[int]:
        """Return for each name the position of its mirror partner in the list. Raises NameProblem if one is absent."""
        places = {name: place for place, name in enumerate(names)}
        partners = [self.mirrored_name.get(name, name) for name in names]
        for name, partner in zip(names, partners, strict=True):
            if partner not in places:
                raise NameProblem(f"'{name}' has no mirror image in the list: add '{partner}'")
        return [places[partner] for partner in partners]

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
    """Raise NameProblem for an empty list: a mean over nothing is NaN, and a sum over nothing does nothing."""
    if not names:
        raise NameProblem(f"an empty list names no {kind}: leave the key out for its default, or disable the slot")


def _require_tensor(name: str, value: object, shape: tuple[int, ...]) -> None:
    """Raise SlotError unless a value is a float32 tensor of a shape, without NaN."""
    wanted = f"expected a float32 tensor {shape}, joints in the order of joint_names"
    if not isinstance(value, Tensor):
        raise SlotError("robot", f"{name} of its model() is a {type(value).__name__}; {wanted}")
    if tuple(value.shape) != shape or value.dtype != torch.float32:
        dtype = str(value.dtype).removeprefix("torch.")
        raise SlotError("robot", f"{name} of its model() is {dtype} of shape {tuple(value.shape)}; {wanted}")
    if value.isnan().any():
        raise SlotError("robot", f"{name} of its model() has a NaN")
