"""Forces that pull bodies to where they shall yield to, and a wrench on the base that bounds what is left of them."""

from __future__ import annotations

import attrs
import torch
from torch import Tensor


def clamp_norm(vector: Tensor, most: Tensor | float) -> Tensor:
    """Return vectors [..., 3] no longer than `most`, in the same direction."""
    norm: Tensor = vector.norm(dim=-1, keepdim=True)
    return vector * (most / norm.clamp_min(1e-9)).clamp_max(1.0)


@attrs.frozen(eq=False)
class Spring:
    """Forces on P bodies of N rows over one control step, in the frame of their base.

    clamp_norm((goal - shown) stiffness, force) + clamp_norm((goal - present) pull_stiffness, pull_force): a push along
    the way to yield, as strong as it is long, and a weak spring to its end.
    """

    push: Tensor
    """[N, P, 3] N, the first term."""
    goal: Tensor
    """[N, P, 3] m, where the bodies shall be."""
    acts: Tensor
    """[N, P, 1] 1 where there is a force, else 0."""
    pull_stiffness: float
    """N/m."""
    pull_force: float
    """N."""

    def wrench(self, pos: Tensor, rot: Tensor, net_force: float, net_torque: float) -> Tensor:
        """Return force and torque on base and bodies at their origins, [N, 1 + P, 6], world axes.

        `pos` [N, 1 + P, 3] are their positions, the base first, and `rot` [N, 3, 3] the base's rotation. The base gets
        what keeps the sum of forces within `net_force` N, and their torque about its origin within `net_torque` N m.
        """
        place = (pos[:, 1:] - pos[:, :1]) @ rot
        pull = clamp_norm((self.goal - place) * self.pull_stiffness, self.pull_force)
        force = torch.addcmul(self.push, pull, self.acts)
        net = torch.stack((force.sum(1), torch.linalg.cross(place, force).sum(1)), dim=1)  # [N, 2, 3]
        most = net.new_tensor([[net_force], [net_torque]])
        compensation = clamp_norm(net, most) - net
        forces = torch.cat((compensation, force), dim=1) @ rot.mT  # to world axes: the base's two, then the bodies'
        wrench = forces.new_zeros(len(forces), pos.shape[1], 6)
        wrench[:, 0] = forces[:, :2].flatten(1)
        wrench[:, 1:, :3] = forces[:, 2:]
        return wrench
