"""Kinematics of the limbs that are attached to one body, in many environments at once, in torch."""

from __future__ import annotations

import attrs
import mujoco
import numpy as np
import torch
from torch import Tensor

from mtrack import Kinematics, NameProblem, RobotModel
from mtrack_mujoco.hinges import Array, chain, hinge_name, link


class Limbs:
    """The limbs below a base body that given joints move: G limbs, their A joints, and the K bodies they carry.

    Links are computed level by level, those of all limbs together.
    """

    def __init__(
        self, model: RobotModel, compiled: mujoco.MjModel, base: int, joints: Tensor, device: torch.device
    ) -> None:
        """Take the links from a compiled robot; `base` is an index of the robot's bodies.

        Raises NameProblem if a joint moves no body below the base.
        """
        self._compiled, self._base = compiled, compiled.body(model.body_names[base]).id
        self._moving = {model.joint_names[i] for i in joints.tolist()}
        bodies = [i for i, name in enumerate(model.body_names) if self._carries(name)]
        chains = [chain(compiled, compiled.body(model.body_names[i]).id, self._base) for i in bodies]
        depths = {body: depth for links in chains for depth, body in enumerate(links)}
        links = sorted(depths, key=lambda body: (depths[body], body))
        index_of = {body: index for index, body in enumerate(links)}
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
        """Index of the robot's bodies."""
        self.joints = joints.to(device)
        """int64 [A], indices of the robot's joints."""
        self.bodies = index(bodies)
        """int64 [K], indices of the robot's bodies."""
        self.num_limbs = len(roots)
        self.limb_of_joint = index([limb[links[hinges.index(model.joint_names[i])]] for i in joints.tolist()])
        self.limb_of_body = index([limb[links[-1]] for links in chains])
        self._hinges = index([model.joint_names.index(name) if name else 0 for name in hinges])
        self._carried = index([index_of[links[-1]] for links in chains])
        sizes = [list(depths.values()).count(depth) for depth in range(max(depths.values()) + 1)]
        self._sizes = sizes
        self._parents: list[Tensor | None] = [None]
        for depth, size in enumerate(sizes[1:], start=1):
            first, above = sum(sizes[:depth]), sum(sizes[: depth - 1])
            parents = [index_of[int(compiled.body_parentid[body])] - above for body in links[first : first + size]]
            same = parents == list(range(sizes[depth - 1]))  # each link has one child: nothing to select
            self._parents.append(None if same else index(parents))
        self._constants(links, chains, index_of, device)

    def __call__(self, joint_pos: Tensor, joint_vel: Tensor) -> Tensor:
        """Return the carried bodies seen from the base, [n, axis 3, quantity 6, K], at joints [n, J], rad and rad/s.

        The quantities are those of `Kinematics.body_root`: position [m], linear [m/s] and angular velocity [rad/s]
        relative to the base, and the three columns of the rotation matrix.
        """
        # environments come last and products are written out: products of small matrices take several times as long
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
        ang_vel, at_base = (self._hinges_above @ twist).split(3)  # sums over the hinges above each body, [3, K, n]
        carried = pose.index_select(2, self._carried)
        pos = carried[:, 3]
        lin_vel = torch.linalg.cross(ang_vel, pos, dim=0).add_(at_base)
        seen = torch.cat((torch.stack((pos, lin_vel, ang_vel), dim=1), carried[:, :3]), dim=1)
        return seen.movedim(-1, 0).contiguous()

    def _carries(self, name: str) -> bool:
        """Return whether one of the limbs' joints moves a body relative to the base."""
        body = self._compiled.body(name).id
        while body not in (0, self._base):
            if hinge_name(self._compiled, body) in self._moving:
                return True
            body = int(self._compiled.body_parentid[body])
        return False

    def _constants(
        self, links: list[int], chains: list[list[int]], index_of: dict[int, int], device: torch.device
    ) -> None:
        """Keep constants of links [3, 4, L, 1], of their hinges [3, L, 1], and the hinges above each body [K, L]."""
        constants, axes, anchors = np.zeros((3, len(links), 3, 4)), np.zeros((len(links), 3)), np.zeros((len(links), 3))
        for i, body in enumerate(links):
            constants[:, i] = link(self._compiled, body)
            if self._compiled.body_jntnum[body]:
                joint = self._compiled.body_jntadr[body]
                axes[i], anchors[i] = self._compiled.jnt_axis[joint], self._compiled.jnt_pos[joint]
        hinges_above = np.zeros((len(chains), len(links)))
        for row, members in enumerate(chains):
            hinges_above[row, [index_of[body] for body in members]] = 1.0

        def tensor(value: Array) -> Tensor:
            return torch.tensor(value, dtype=torch.float32, device=device)

        self._fixed, self._swing, self._bend = tensor(constants).permute(0, 2, 3, 1).unsqueeze(-1).contiguous()
        self._axes = tensor(axes.T).unsqueeze(-1)
        self._anchors = tensor(anchors.T).unsqueeze(-1) if anchors.any() else None
        self._hinges_above = tensor(hinges_above)


@attrs.frozen(eq=False)
class PushedBodies:
    """The P bodies of limbs that forces act on, and the base of the limbs."""

    bodies: Tensor
    """int64 [1 + P] base and pushed bodies, indices of the robot's bodies."""
    in_limbs: Tensor
    """int64 [P] the pushed bodies as indices of `Limbs.bodies`."""
    limb: Tensor
    """int64 [P] the limb of each."""
    entries: Tensor
    """int64 [3 (2 + P)] of a flattened `Backend.wrench`: force and torque on the base, forces on the bodies."""
    base: int
    seen_name: str
    """A name for what `seen_from_base` returns, different for other bodies."""

    @staticmethod
    def find(limbs: Limbs, model: RobotModel, bodies: Tensor, device: torch.device) -> PushedBodies:
        """Return those with indices of the robot's bodies, int64 [P]. Raises NameProblem if one is on no limb."""
        carried = limbs.bodies.tolist()
        for body in bodies.tolist():
            if body not in carried:
                raise NameProblem(f"'{model.body_names[body]}' is on no limb that the given joints move")
        in_limbs = torch.tensor([carried.index(body) for body in bodies.tolist()], device=device)
        chosen = [limbs.base, *bodies.tolist()]
        pushed = torch.tensor(chosen, device=device)
        first = 6 * torch.cat((pushed[:1], pushed[:1], pushed[1:]))
        first[1] += 3  # the base's torque
        return PushedBodies(
            bodies=pushed,
            in_limbs=in_limbs,
            limb=limbs.limb_of_body.index_select(0, in_limbs),
            entries=(first.unsqueeze(1) + torch.arange(3, device=device)).flatten(),
            base=limbs.base,
            seen_name=f"seen from the base: {chosen}",
        )

    def seen_from_base(self, motion: Kinematics) -> Tensor:
        """Return the positions of the pushed bodies in the frame of the base, [..., 3, P] m."""
        pos, base = motion.body_root[..., 0, :], self.base
        apart = pos.index_select(-1, self.bodies[1:]) - pos[..., base : base + 1]
        return motion.body_root[..., 3:, base].mT @ apart


def _product(outer: Tensor, inner: Tensor) -> Tensor:
    """Return inner poses in the frame of the outer ones' base: rotation and position side by side, [3, 4, G, n]."""
    a, b, c = outer[:, :3].unsqueeze(2).unbind(1)
    x, y, z = inner.unsqueeze(1).unbind()
    product = (a * x).addcmul_(b, y).addcmul_(c, z)
    product.select(1, 3).add_(outer.select(1, 3))
    return product
