"""Kinematics of limbs that hang on one body: poses and velocities of many rows at once, in torch."""

from __future__ import annotations

import mujoco
import numpy as np
import torch
from torch import Tensor

from mtrack.errors import NameProblem
from mtrack.robot import RobotModel
from mtrack_tracking.hinges import Array, chain, hinge_name, link


class Limbs:
    """The limbs below a base body that given joints move: G limbs, their A joints, and the K bodies they carry.

    All links are worked out level by level, those of all limbs together.
    """

    def __init__(
        self, model: RobotModel, compiled: mujoco.MjModel, base: int, joints: Tensor, device: torch.device
    ) -> None:
        """Take the links from the compiled description; `base` is of the robot's bodies.

        Raises NameProblem where a joint is on no such limb.
        """
        self._compiled, self._base = compiled, compiled.body(model.body_names[base]).id
        self._moving = {model.joint_names[i] for i in joints.tolist()}
        bodies = [i for i, name in enumerate(model.body_names) if self._carries(name)]
        chains = [chain(compiled, compiled.body(model.body_names[i]).id, self._base) for i in bodies]
        depths = {body: depth for links in chains for depth, body in enumerate(links)}
        links = sorted(depths, key=lambda body: (depths[body], body))
        place = {body: place for place, body in enumerate(links)}
        hinges = [hinge_name(compiled, body) for body in links]
        if missing := self._moving - set(hinges):
            raise NameProblem(
                f"joint '{sorted(missing)[0]}' moves none of the robot's bodies below '{model.body_names[base]}'"
            )
        roots = sorted({links[0] for links in chains})
        limb = {body: roots.index(links[0]) for links in chains for body in links}

        def index(values: list[int]) -> Tensor:
            return torch.tensor(values, dtype=torch.int64, device=device)

        self.base = base
        """Of the robot's bodies."""
        self.joints = joints.to(device)
        """int64 [A] of the robot's joints."""
        self.bodies = index(bodies)
        """int64 [K] of the robot's bodies."""
        self.num_limbs = len(roots)
        self.limb_of_joint = index([limb[links[hinges.index(model.joint_names[i])]] for i in joints.tolist()])
        self.limb_of_body = index([limb[links[-1]] for links in chains])
        self._hinges = index([model.joint_names.index(name) if name else 0 for name in hinges])
        self._carried = index([place[links[-1]] for links in chains])
        sizes = [list(depths.values()).count(depth) for depth in range(max(depths.values()) + 1)]
        self._sizes = sizes
        self._parents: list[Tensor | None] = [None]
        for depth, size in enumerate(sizes[1:], start=1):
            first, above = sum(sizes[:depth]), sum(sizes[: depth - 1])
            parents = [place[int(compiled.body_parentid[body])] - above for body in links[first : first + size]]
            same = parents == list(range(sizes[depth - 1]))  # nothing to select where each link has one child
            self._parents.append(None if same else index(parents))
        self._constants(links, chains, place, device)

    def __call__(self, joint_pos: Tensor, joint_vel: Tensor) -> Tensor:
        """Return the carried bodies seen from the base, [n, axis 3, quantity 6, K], at joints [n, J], rad and rad/s.

        Quantities as in `Kinematics.body_root`: position [m], linear [m/s] and angular velocity [rad/s] relative to
        the base, and the three columns of the rotation matrix.
        """
        # rows come last, and products are written out: many products of small matrices cost several times as much
        angle, speed = (joints.mT.index_select(0, self._hinges) for joints in (joint_pos, joint_vel))  # [L, n]
        local = torch.addcmul(self._fixed, angle.sin(), self._swing).addcmul_(1.0 - angle.cos(), self._bend)
        above, *rest = local.split(self._sizes, dim=2)
        poses = [above]
        for each, parents in zip(rest, self._parents[1:], strict=True):
            above = _product(above if parents is None else above.index_select(2, parents), each)
            poses.append(above)
        pose = torch.cat(poses, dim=2)  # [3, 4, L, n]
        turning = (pose[:, :3] * self._axes).sum(1).mul_(speed)  # [3, L, n]
        anchor = pose[:, 3] if self._anchors is None else pose[:, 3] + (pose[:, :3] * self._anchors).sum(1)
        twist = torch.cat((turning, torch.linalg.cross(anchor, turning, dim=0)))
        ang_vel, at_base = (self._hangs_on @ twist).split(3)  # sums over the hinges each body hangs on, [3, K, n]
        carried = pose.index_select(2, self._carried)
        pos = carried[:, 3]
        lin_vel = torch.linalg.cross(ang_vel, pos, dim=0).add_(at_base)
        seen = torch.cat((torch.stack((pos, lin_vel, ang_vel), dim=1), carried[:, :3]), dim=1)
        return seen.movedim(-1, 0).contiguous()

    def _carries(self, name: str) -> bool:
        """Return whether one of the limbs' joints moves a body against the base."""
        body = self._compiled.body(name).id
        while body not in (0, self._base):
            if hinge_name(self._compiled, body) in self._moving:
                return True
            body = int(self._compiled.body_parentid[body])
        return False

    def _constants(
        self, links: list[int], chains: list[list[int]], place: dict[int, int], device: torch.device
    ) -> None:
        """Keep constants of the links [3, 4, L, 1], of their hinges [3, L, 1], and which body hangs on which [K, L]."""
        constants, axes, anchors = np.zeros((3, len(links), 3, 4)), np.zeros((len(links), 3)), np.zeros((len(links), 3))
        for i, body in enumerate(links):
            constants[:, i] = link(self._compiled, body)
            if self._compiled.body_jntnum[body]:
                joint = self._compiled.body_jntadr[body]
                axes[i], anchors[i] = self._compiled.jnt_axis[joint], self._compiled.jnt_pos[joint]
        hangs_on = np.zeros((len(chains), len(links)))
        for row, members in enumerate(chains):
            hangs_on[row, [place[body] for body in members]] = 1.0

        def kept(value: Array) -> Tensor:
            return torch.tensor(value, dtype=torch.float32, device=device)

        self._fixed, self._swing, self._bend = kept(constants).permute(0, 2, 3, 1).unsqueeze(-1).contiguous()
        self._axes = kept(axes.T).unsqueeze(-1)
        self._anchors = kept(anchors.T).unsqueeze(-1) if anchors.any() else None
        self._hangs_on = kept(hangs_on)


def _product(outer: Tensor, inner: Tensor) -> Tensor:
    """Return poses seen from where the outer ones are: rotations and positions side by side, [3, 4, G, n]."""
    a, b, c = outer[:, :3].unsqueeze(2).unbind(1)
    x, y, z = inner.unsqueeze(1).unbind()
    product = (a * x).addcmul_(b, y).addcmul_(c, z)
    product[:, 3] += outer[:, 3]
    return product
