"""A robot as components see it: names, default pose, limits, mirror. No physics."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

import attrs
import torch
from torch import Tensor

from mtrack.errors import NameProblem, did_you_mean
from mtrack.mirror import Mirror


@attrs.frozen(eq=False, kw_only=True)
class RobotModel:
    """Names and constants of one robot; tensors on the CPU, in the order of the names."""

    name: str
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
