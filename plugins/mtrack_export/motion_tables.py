"""The frames of a clip with the poses of all links, as other runtimes want a motion."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import mujoco
import numpy as np
from numpy.typing import NDArray

from mtrack import MtrackError, ReferenceClip

Floats = NDArray[np.float32]


@attrs.frozen(eq=False, kw_only=True)
class LinkMotion:
    """T frames at the control rate; the last one is at rest."""

    name: str
    sha256: str
    """Content hash of the motion that it was made from."""
    joint_pos: Floats
    """[T, J] rad."""
    joint_vel: Floats
    """[T, J] rad/s."""
    links: tuple[str, ...]
    """Root and every body that a joint moves, K of them."""
    link_pos: Floats
    """[T, K, 3] m."""
    link_quat_wxyz: Floats
    """[T, K, 4]."""

    def of_link(self, link: str) -> tuple[Floats, Floats]:
        """Return positions [T, 3] and orientations [T, 4] of a link."""
        number = self.links.index(link)
        return self.link_pos[:, number], self.link_quat_wxyz[:, number]

    def twist(self, link: str) -> float:
        """Return by how much a link's heading is that of the root in the first frame [rad]."""
        (_, own), (_, root) = self.of_link(link), self.of_link(self.links[0])
        apart = heading(own[0]) - heading(root[0])
        return float(np.arctan2(np.sin(apart), np.cos(apart)))


def heading(quat_wxyz: Floats) -> float:
    """Return the angle of a rotation [4] about the vertical axis [rad]."""
    w, x, y, z = (float(value) for value in quat_wxyz)
    return float(np.arctan2(2.0 * (w * z + x * y), 1.0 - 2.0 * (y * y + z * z)))


def moved_bodies(model: mujoco.MjModel) -> list[int]:
    """Return the indices of the root and of all bodies that a joint moves."""
    return [body for body in range(1, model.nbody) if model.body_jntnum[body]]


def link_motion(clip: ReferenceClip, joints: Sequence[str], model: mujoco.MjModel) -> LinkMotion:
    """Return a clip with the poses of all links; `joints` names the columns of its joint vectors."""
    data = mujoco.MjData(model)
    columns = [int(model.joint(name).qposadr[0]) for name in joints]
    bodies = moved_bodies(model)
    arrays = [value.numpy() for value in (clip.root_pos, clip.root_quat_wxyz, clip.joint_pos, clip.joint_vel)]
    # a clip ends at rest, as in training: one more frame without velocities
    root_pos, root_quat, joint_pos, joint_vel = (np.concatenate((array, array[-1:])) for array in arrays)
    joint_vel[-1] = 0.0
    pos, quat = [], []
    for frame in range(len(joint_pos)):
        data.qpos[:3], data.qpos[3:7] = root_pos[frame], root_quat[frame]
        data.qpos[columns] = joint_pos[frame]
        mujoco.mj_kinematics(model, data)
        pos.append(data.xpos[bodies].astype(np.float32))
        quat.append(data.xquat[bodies].astype(np.float32))
    return LinkMotion(
        name=clip.name,
        sha256=clip.sha256,
        joint_pos=joint_pos.astype(np.float32),
        joint_vel=joint_vel.astype(np.float32),
        links=tuple(model.body(body).name for body in bodies),
        link_pos=np.stack(pos),
        link_quat_wxyz=np.stack(quat),
    )


def choose(names: Sequence[str], wanted: str) -> int:
    """Return the index of the clip with a name; the only one if the name is empty. Raises MtrackError."""
    if not wanted and len(names) == 1:
        return 0
    if wanted in names:
        return list(names).index(wanted)
    listed = ", ".join(names)
    if wanted:
        raise MtrackError(f"no clip is named '{wanted}'; there are: {listed}")
    raise MtrackError(f"the network contains one motion: choose it with --clip NAME; there are: {listed}")
