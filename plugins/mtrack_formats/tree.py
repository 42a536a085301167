"""A robot as a tree of links: the orders in which projects list its joints and bodies, and the poses of its links."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import attrs
import mujoco
import torch
from torch import Tensor

from mtrack import Robot
from mtrack.math import quat_from_rotation_vector, quat_multiply, quat_rotate


@attrs.frozen(eq=False)
class TreeLink:
    """One body of the robot: its pose on its parent, and the joint that moves it."""

    name: str
    """Name of the body; empty for the links between the joints of a body with several joints."""
    parent: int
    """Index of the parent; -1 for the root."""
    pos: Tensor
    """[3] m, in the parent's frame."""
    quat_wxyz: Tensor
    """[4], in the parent's frame."""
    joint: str
    """Empty if the link has no joint."""
    axis: Tensor
    """[3] joint axis in the link's frame; 0 without a joint."""
    anchor: Tensor
    """[3] m, a point on the axis in the link's frame."""

    @property
    def direction(self) -> Tensor:
        """[3] unit vector from the parent's origin to the link's; 0 if they coincide."""
        length = self.pos.norm()
        return self.pos / length if length > 1e-6 else torch.zeros_like(self.pos)


@attrs.frozen(eq=False)
class Tree:
    """The links of a robot, parents first; link 0 is the root."""

    links: tuple[TreeLink, ...]

    @staticmethod
    def of(robot: Robot, root_name: str) -> Tree:
        """Return the tree of a robot below its root, depth-first as in its description."""
        model = robot.spec().compile()
        root = model.body(root_name).id
        links = [TreeLink(root_name, -1, _ZERO, _UPRIGHT, "", _ZERO, _ZERO)]
        place = {root: 0}
        for body in range(root + 1, model.nbody):
            if int(model.body_parentid[body]) in place:
                links += _links(model, body, place[int(model.body_parentid[body])], len(links))
                place[body] = len(links) - 1
        return Tree(tuple(links))

    @property
    def joint_names(self) -> tuple[str, ...]:
        """All joints, depth-first."""
        return tuple(link.joint for link in self.links if link.joint)

    @property
    def names(self) -> tuple[str, ...]:
        """All links, depth-first."""
        return tuple(link.name for link in self.links)

    def joint_orders(self) -> dict[str, tuple[str, ...]]:
        """Return the joints in the orders that files without names use."""
        return {
            order: tuple(self.links[i].joint for i in ids if self.links[i].joint)
            for order, ids in self._orders().items()
        }

    def body_orders(self, count: int) -> dict[str, tuple[str, ...]]:
        """Return `count` bodies in the orders that files without names use: all bodies, or only the moving ones."""
        bodies = {i for i, link in enumerate(self.links) if link.name}
        moving = {i for i in bodies if self.links[i].joint or self.links[i].parent < 0}
        found: dict[str, tuple[str, ...]] = {}
        for chosen in (bodies, moving):
            if len(chosen) == count:
                for order, ids in self._orders().items():
                    found[order] = tuple(self.links[i].name for i in ids if i in chosen)
        return found

    def _orders(self) -> dict[str, list[int]]:
        queue = [0]
        for at in queue:
            queue += [i for i, link in enumerate(self.links) if link.parent == at]
        return {"depth-first": list(range(len(self.links))), "breadth-first": queue}

    def poses(self, joint_pos: Tensor) -> tuple[Tensor, Tensor]:
        """Return position [T, L, 3] m and orientation [T, L, 4] (w, x, y, z) of all links in the root's frame.

        `joint_pos` is [T, J] rad, in the order of `joint_names`.
        """
        columns = torch.tensor([bool(link.joint) for link in self.links]).cumsum(0) - 1
        turn = joint_pos[:, columns.clamp_min(0), None] * self._stacked("axis")  # 0 for links without a joint
        fixed = self._stacked("quat_wxyz").expand(len(joint_pos), -1, -1)
        local_quat = quat_multiply(fixed, quat_from_rotation_vector(turn))
        anchor = self._stacked("anchor")
        local_pos = self._stacked("pos") + quat_rotate(fixed, anchor) - quat_rotate(local_quat, anchor)
        pos, quat = [local_pos[:, 0]], [local_quat[:, 0]]
        for i, link in enumerate(self.links[1:], start=1):
            pos.append(pos[link.parent] + quat_rotate(quat[link.parent], local_pos[:, i]))
            quat.append(quat_multiply(quat[link.parent], local_quat[:, i]))
        return torch.stack(pos, dim=1), torch.stack(quat, dim=1)

    def levers(self, joint_pos: Tensor, points: Sequence[tuple[int, Tensor]], with_rotation: bool) -> dict[str, float]:
        """Return for each joint how far the farthest point moves when the joint turns, m/rad, averaged over time.

        A point is the index of a link and a position [3] m in that link's frame. If rotations are recorded too, every
        point shows the joints above it: the lever is infinite.
        """
        pos, quat = self.poses(joint_pos)
        places = [pos[:, link] + quat_rotate(quat[:, link], offset) for link, offset in points]
        axis, anchor = quat_rotate(quat, self._stacked("axis")), pos + quat_rotate(quat, self._stacked("anchor"))
        levers: dict[str, float] = {}
        for i, link in enumerate(self.links):
            below = set(self._below(i))
            carried = [place for place, (holder, _) in zip(places, points, strict=True) if holder in below]
            reach = [torch.linalg.cross(axis[:, i], place - anchor[:, i]).norm(dim=1) for place in carried]
            if link.joint:
                far = float(torch.stack(reach).amax(dim=0).mean()) if reach else 0.0
                levers[link.joint] = math.inf if reach and with_rotation else far
        return levers

    def _stacked(self, name: str) -> Tensor:
        return torch.stack([getattr(link, name) for link in self.links])

    def _below(self, top: int) -> Iterator[int]:
        inside = {top}
        for i in range(top, len(self.links)):
            if i == top or self.links[i].parent in inside:
                inside.add(i)
                yield i


_ZERO, _UPRIGHT = torch.zeros(3, dtype=torch.float64), torch.tensor([1.0, 0.0, 0.0, 0.0], dtype=torch.float64)


def _links(model: mujoco.MjModel, body: int, parent: int, place: int) -> Iterator[TreeLink]:
    """Yield the links of a body, one per joint; the last one is the body itself."""
    first = int(model.body_jntadr[body])
    joints = [
        joint
        for joint in range(first, first + int(model.body_jntnum[body]))
        if model.jnt_type[joint] == mujoco.mjtJoint.mjJNT_HINGE
    ]
    pos, quat = torch.tensor(model.body_pos[body]), torch.tensor(model.body_quat[body])
    for stage, joint in enumerate(joints or [-1]):
        yield TreeLink(
            name=model.body(body).name if stage == max(len(joints), 1) - 1 else "",
            parent=parent if stage == 0 else place + stage - 1,
            pos=pos if stage == 0 else _ZERO,
            quat_wxyz=quat if stage == 0 else _UPRIGHT,
            joint=model.joint(joint).name if joint >= 0 else "",
            axis=torch.tensor(model.jnt_axis[joint]) if joint >= 0 else _ZERO,
            anchor=torch.tensor(model.jnt_pos[joint]) if joint >= 0 else _ZERO,
        )
