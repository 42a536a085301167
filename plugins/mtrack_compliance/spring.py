"""Forces that push limbs to where they should yield to, and a wrench on their base that bounds their sum."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor


@attrs.frozen(eq=False)
class Springs:
    """Forces on P bodies in N environments over the D substeps of a control step, in the frame of the bodies' base.

    clamp_norm((goal - shown) stiffness, force) + clamp_norm((goal - present) pull_stiffness, pull_force): a push in
    proportion to the distance to yield, and a weak spring to the goal. The present positions are extrapolated to all
    substeps from positions and velocities at the first; within 20 ms that is as accurate as the engine's values of the
    previous substep. Environments come last in all tensors, which is several times as fast.
    """

    goal_and_push: Tensor
    """[3, 2 P, N]: where the bodies should be [m], and the first term [N]."""
    pull_stiffness: Tensor
    """[P, 1, N] N/m; 0 if no spring acts."""
    pull_force: float
    """N."""
    limits: Tensor
    """[2, 1, 1] of the sum of all forces [N] and of their torques [N m]."""
    times: Tensor
    """[D, 1] s, of the substeps, from 0."""

    def wrenches(self, pos: Tensor, lin_vel: Tensor, rot: Tensor, ang_vel: Tensor) -> Tensor:
        """Return force on the base, torque on it, then forces on the bodies, at their origins, [3, 2 + P, D, N], world.

        Positions and velocities [3, 1 + P, N] are those of base and bodies; rotation [3, 3, N] and angular velocity
        [3, N] are those of the base, in world axes. The wrench on the base keeps the sum of all forces, and of their
        torques about its origin, within the limits.
        """
        lever = self._then(pos[:, 1:] - pos[:, :1], lin_vel[:, 1:] - lin_vel[:, :1])
        a, b, c = rot.unsqueeze(2).unbind(1)
        x, y, z = self.goal_and_push.unsqueeze(1).unbind()
        wanted = (a * x).addcmul_(b, y).addcmul_(c, z)
        turning = torch.linalg.cross(ang_vel.unsqueeze(1).expand_as(wanted), wanted, dim=0)  # their frame turns
        goal, push = self._then(wanted, turning).chunk(2, dim=1)
        way = goal - lever
        force = push.addcmul(way, torch.minimum(self.pull_force / length(way), self.pull_stiffness))
        net = torch.stack((force.sum(1), torch.linalg.cross(lever, force, dim=0).sum(1)), dim=1)  # [3, 2, D, N]
        excess = (self.limits / length(net)).clamp_max_(1.0).sub_(1.0)
        return torch.cat((net * excess, force), dim=1)

    def _then(self, now: Tensor, change: Tensor) -> Tensor:
        """Return values [3, K, N] that change at a constant rate [1/s], at the substeps, [3, K, D, N]."""
        return torch.addcmul(now.unsqueeze(2), change.unsqueeze(2), self.times)


def clamp_norm(vectors: Tensor, most: Tensor) -> Tensor:
    """Return vectors [3, ...] shortened to a length of at most `most`."""
    return vectors * (most / length(vectors)).clamp_max(1.0)


def length(vectors: Tensor) -> Tensor:
    """Return the lengths of vectors [3, ...], at least 1e-9 so that they can be divisors."""
    # `norm` over another dimension than the last takes ten times as long
    return vectors.square().sum(0).sqrt_().clamp_min_(1e-9)
