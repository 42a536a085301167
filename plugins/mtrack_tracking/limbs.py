"""Kinematics of limbs that hang on one body: poses and velocities of many rows at once, in torch."""

from __future__ import annotations

import mujoco
import numpy as np
import torch
from torch import Tensor

from mtrack.errors import NameProblem
from mtrack.robot import RobotModel
from mtrack_tracking.hinges import chain, hinge_name, link


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
        angle = joint_pos.index_select(1, self._hinges)[..., None, None]
        local = torch.addcmul(self._fixed, angle.sin(), self._swing).addcmul_(1.0 - angle.cos(), self._bend)
        above, *rest = local.split(self._sizes, dim=1)
        poses = [above]
        for each, parents in zip(rest, self._parents[1:], strict=True):
            above = (above if parents is None else above.index_select(1, parents)) @ each
            poses.append(above)
        pose = torch.cat(poses, dim=1)[..., :3, :]  # [n, L, 3, 4]
        axis, anchor = (pose @ self._hinge_lines).unbind(-1)  # [n, L, 3]
        turning = axis * joint_vel.index_select(1, self._hinges).unsqueeze(-1)
        twist = torch.cat((turning, torch.linalg.cross(anchor, turning)), dim=-1)
        ang_vel, at_base = (self._above @ twist).split(3, dim=-1)  # sums over the hinges above each body, [n, K, 3]
        carried = pose.index_select(1, self._carried)
        pos = carried[..., 3]
        lin_vel = torch.linalg.cross(ang_vel, pos).add_(at_base)
        seen = torch.cat((torch.stack((pos, lin_vel, ang_vel), dim=-1), carried[..., :3]), dim=-1)
        return seen.permute(0, 2, 3, 1).contiguous()

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
        """Keep link constants [L, 4, 4], hinge lines [L, 4, 2] (axis, anchor) and what hangs on which links [K, L]."""
        constants = np.zeros((3, len(links), 4, 4))
        constants[0, :, 3, 3] = 1.0
        lines = np.zeros((len(links), 4, 2))
        lines[:, 3, 1] = 1.0
        for i, body in enumerate(links):
            constants[:, i, :3] = link(self._compiled, body)
            if self._compiled.body_jntnum[body]:
                joint = self._compiled.body_jntadr[body]
                lines[i, :3] = np.column_stack((self._compiled.jnt_axis[joint], self._compiled.jnt_pos[joint]))
        above = np.zeros((len(chains), len(links)))
        for row, members in enumerate(chains):
            above[row, [place[body] for body in members]] = 1.0
        self._fixed, self._swing, self._bend = torch.tensor(constants, dtype=torch.float32, device=device)
        self._hinge_lines = torch.tensor(lines, dtype=torch.float32, device=device)
        self._above = torch.tensor(above, dtype=torch.float32, device=device)
