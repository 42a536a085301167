"""A motion in which the limbs of some environments are blended towards another pose."""

from __future__ import annotations

from collections.abc import Callable

import attrs
import torch
from torch import Tensor

from mtrack import Kinematics
from mtrack.api.cached_tensors import CachedTensors, derived
from mtrack.math import transform
from mtrack_compliance.limbs import Limbs
from mtrack_motion.rotations import quat_from_matrix
from mtrack_motion.tables import GatheredKinematics

_ROOT = ("root_pos", "root_quat_wxyz", "root_lin_vel", "root_ang_vel")


@attrs.frozen(eq=False)
class Blend:
    """How far the joints of limbs are on the way from the motion to another pose, [n, A] each."""

    share: Tensor
    """0 on the motion, 1 in the pose."""
    rate: Tensor
    """Rate of change of the share [1/s]."""
    pose: Tensor
    """rad."""

    def select(self, env_ids: Tensor) -> Blend:
        """Return the blend of some environments, int64 [m]."""
        return Blend(*(part.index_select(0, env_ids) for part in (self.share, self.rate, self.pose)))


def _of_motion(name: str) -> derived[Tensor]:
    return derived(lambda altered: getattr(altered.motion, name))


def _with_limbs(name: str, of_limbs: Callable[[AlteredMotion], Tensor], axis: int = 1) -> derived[Tensor]:
    """Return a quantity of bodies: that of the motion, overwritten with that of altered limbs, [m, ...]."""

    def compute(altered: AlteredMotion) -> Tensor:
        value: Tensor = getattr(altered.motion, name)  # a copy, see `GatheredKinematics`
        bodies = altered.limbs.bodies
        if altered.is_masked:
            # the limbs first: they are computed from this value
            limbs, kept = of_limbs(altered), value.index_select(axis, bodies)
            return value.index_copy_(axis, bodies, altered.where_moving(limbs, kept))
        if not len(altered.moving):
            return value
        some = value.index_select(0, altered.moving).index_copy_(axis, bodies, of_limbs(altered))
        return value.index_copy_(0, altered.moving, some)

    return derived(compute)


def computes_all_envs(device: torch.device) -> bool:
    """Return whether limbs are computed in all environments, and the moving ones are selected by a mask.

    That is more work, but the host does not have to wait for a GPU to learn which environments move.
    """
    return device.type == "cuda"


class AlteredMotion(Kinematics):
    """A motion in n environments, except for limbs that are blended towards another pose.

    Environments whose limbs are on the motion have exactly its numbers. Velocities are those of the blended motion.
    Limbs are computed in m environments: those that move or, on a GPU, all (see `computes_all_envs`).
    """

    root_rot = _of_motion("root_rot")
    projected_gravity = _of_motion("projected_gravity")
    root_lin_vel_root = _of_motion("root_lin_vel_root")
    root_ang_vel_root = _of_motion("root_ang_vel_root")
    _OVERLAID = ("body_root", "body_pos", "body_lin_vel", "body_ang_vel", "body_rot", "body_quat_wxyz")

    def __init__(self, limbs: Limbs, motion: GatheredKinematics, blend: Blend) -> None:
        """Blend the joints; bodies are computed when they are first used."""
        self.cache = {}
        self.limbs, self.motion, self.blend = limbs, motion, blend
        self.is_masked = computes_all_envs(motion.joint_pos.device)
        for name in _ROOT:
            setattr(self, name, getattr(motion, name))
        way = blend.pose - motion.joint_pos.index_select(1, limbs.joints)
        self.joint_pos = motion.joint_pos.index_add(1, limbs.joints, blend.share * way)
        speed = motion.joint_vel.index_select(1, limbs.joints)
        self.joint_vel = motion.joint_vel.index_add(1, limbs.joints, blend.rate * way - blend.share * speed)

    @derived
    def moves(self) -> Tensor:
        """Whether the limbs of an environment leave the motion, bool [n]."""
        return self.blend.share.amax(1) > 0.0

    @derived
    def moving(self) -> Tensor:
        """Environments whose limbs leave the motion, int64 [m]."""
        return self.moves.nonzero().squeeze(1)

    @derived
    def limbs_base(self) -> Tensor:
        """Bodies of the limbs seen from their base, [n, axis 3, quantity 6, K]; 0 if the limbs are on the motion.

        Quantities are those of `Limbs.__call__`.
        """
        num_envs, num_bodies = len(self.blend.share), len(self.limbs.bodies)
        seen = self.joint_pos.new_zeros(num_envs, 3, 6, num_bodies)
        if self.is_masked:
            return self.where_moving(self.limbs(self.joint_pos, self.joint_vel), seen)
        if len(self.moving):  # a reset often has no environment that moves
            seen.index_copy_(0, self.moving, self.limbs(self.some("joint_pos"), self.some("joint_vel")))
        return seen

    @derived
    def limbs_root(self) -> Tensor:
        """Bodies of the limbs in the m environments seen from the root, as in `Kinematics.body_root`, [m, 3, 6, K]."""
        motion = self.motion.body_root if self.is_masked else self.motion.body_root.index_select(0, self.moving)
        base = motion[..., self.limbs.base]  # [m, axis, quantity]
        turn = base[..., 3:].contiguous()
        seen = self.some("limbs_base")
        seen = transform(turn, seen.flatten(-2)).view(seen.shape)
        lever = seen[:, :, 0].mT
        spin = base[:, None, :, 2] + self.some("root_ang_vel_root").unsqueeze(1)
        carried = torch.linalg.cross(spin.expand_as(lever), lever).mT  # the base turns, and the limbs with it
        seen[:, :, :3] += base[:, :, :3].unsqueeze(-1)
        seen[:, :, 1] += carried
        return seen

    @derived
    def limbs_world(self) -> Tensor:
        """Bodies of the limbs in world axes, still relative to the root's position and velocities, [m, 3, 6, K]."""
        seen = self.limbs_root
        return transform(self.some("root_rot"), seen.flatten(-2)).view(seen.shape)

    body_root = _with_limbs("body_root", lambda altered: altered.limbs_root, axis=-1)
    body_pos = _with_limbs("body_pos", lambda altered: altered.limb_vectors(0, "root_pos"))
    body_lin_vel = _with_limbs("body_lin_vel", lambda altered: altered.limb_vectors(1, "root_lin_vel"))
    body_ang_vel = _with_limbs("body_ang_vel", lambda altered: altered.limb_vectors(2, "root_ang_vel"))
    body_rot = _with_limbs("body_rot", lambda altered: altered.limb_rotations())
    body_quat_wxyz = _with_limbs("body_quat_wxyz", lambda altered: quat_from_matrix(altered.limb_rotations()))

    def limb_vectors(self, quantity: int, of_root: str) -> Tensor:
        """Return a vector quantity of the limbs' bodies in world axes, that of the root added, [m, K, 3]."""
        return self.limbs_world[:, :, quantity].mT + self.some(of_root).unsqueeze(1)

    def limb_rotations(self) -> Tensor:
        """Return rotation matrices of the limbs' bodies, [m, K, 3, 3]."""
        return self.limbs_world[:, :, 3:].movedim(-1, 1)

    def some(self, name: str) -> Tensor:
        """Return a quantity in the m environments in which limbs are computed."""
        value: Tensor = getattr(self, name)
        return value if self.is_masked else value.index_select(0, self.moving)

    def where_moving(self, limbs: Tensor, kept: Tensor) -> Tensor:
        """Return `limbs` [n, ...] in environments whose limbs leave the motion, `kept` in the others."""
        return torch.where(self.moves.view(-1, *[1] * (limbs.dim() - 1)), limbs, kept)

    def put(self, env_ids: Tensor, some: CachedTensors) -> None:
        """Replace some environments, int64 [k], by those of another altered motion, in every quantity used so far."""
        assert isinstance(some, AlteredMotion)
        self.motion.put(env_ids, some.motion)
        for name in ("share", "rate", "pose"):
            getattr(self.blend, name).index_copy_(0, env_ids, getattr(some.blend, name))
        self.joint_pos.index_copy_(0, env_ids, some.joint_pos)
        self.joint_vel.index_copy_(0, env_ids, some.joint_vel)
        kept = {name: value for name, value in self.cache.items() if name in (*self._OVERLAID, "limbs_base")}
        for name, value in kept.items():
            value.index_copy_(0, env_ids, getattr(some, name))
        self.cache = kept

    def select(self, env_ids: Tensor) -> AlteredMotion:
        """Return the motion of some environments, int64 [k]."""
        return AlteredMotion(self.limbs, self.motion.select(env_ids), self.blend.select(env_ids))
