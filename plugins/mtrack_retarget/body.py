"""A robot whose feet are placed: its model with a site at the middle of each sole, and the shapes of the soles."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import mujoco
import numpy as np

from mtrack import MotionError, Robot
from mtrack_mujoco.addresses import Addresses
from mtrack_procedural.footprint import body_points, footprint
from mtrack_retarget.robot_motion import Array, RobotMotion

_SITE = "mtrack_sole_"


def _directions() -> Array:
    """Return unit vectors below the horizon, [48, 3]."""
    angle, down = np.meshgrid(np.arange(12) * np.pi / 6.0, np.radians([5.0, 30.0, 60.0, 85.0]))
    level = np.cos(down)
    return np.stack((level * np.cos(angle), level * np.sin(angle), -np.sin(down)), axis=-1).reshape(-1, 3)


_DOWNWARD = _directions()


@attrs.frozen(eq=False)
class SolePoses:
    """Poses of F soles in T frames: the middle of a sole, x to the toes, z along the sole's normal."""

    pos: Array
    """[T, F, 3] m."""
    rot: Array
    """[T, F, 3, 3]."""

    def bottom(self, shapes: Sequence[SoleShape]) -> tuple[Array, Array]:
        """Return the heights of the soles' lowest points, [T, F] m, and the balls that have them, [T, F, 3] m."""
        heights, balls = np.empty(self.pos.shape[:2]), np.empty(self.pos.shape)
        for foot, shape in enumerate(shapes):
            points = self.pos[:, foot, None] + np.einsum("tij,kj->tki", self.rot[:, foot], shape.points)
            bottom = points[..., 2] - shape.radii
            lowest = bottom.argmin(axis=1)[:, None]
            heights[:, foot] = np.take_along_axis(bottom, lowest, axis=1)[:, 0]
            balls[:, foot] = np.take_along_axis(points, lowest[..., None], axis=1)[:, 0]
        return heights, balls


@attrs.frozen(eq=False)
class SoleShape:
    """Balls that bound the shapes of a foot from below, in the frame of its sole."""

    points: Array
    """[K, 3] m."""
    radii: Array
    """[K] m."""

    @staticmethod
    def of(points: Array, radii: Array) -> SoleShape:
        """Return those of many balls that are the lowest one in some orientation of the foot."""
        reach = points @ _DOWNWARD.T + radii[:, None]
        chosen = np.unique(reach.argmax(axis=0))
        return SoleShape(points[chosen], radii[chosen])


@attrs.frozen(eq=False)
class Mark:
    """A frame on a body, added to the model as a site."""

    name: str
    body: str
    pos: Array
    """[3] m in the body's frame."""
    rot: Array = attrs.field(factory=lambda: np.eye(3))
    """[3, 3] its axes as columns."""


class PlacedBody:
    """One robot, compiled for inverse kinematics."""

    def __init__(self, robot: Robot, marks: Sequence[Mark] = ()) -> None:
        """Compile the robot with more sites, and find its soles. Raises MotionError if its feet have no shapes."""
        self.robot = robot
        self.names = robot.model()
        feet = [self.names.body_names[i] for i in self.names.bodies("feet").tolist()]
        self.feet = tuple(feet)
        model = robot.spec().compile()
        at = Addresses.of(model, self.names)
        data = mujoco.MjData(model)
        data.qpos[at.root_qpos : at.root_qpos + 3] = self.names.default_root_pos.numpy()
        data.qpos[at.root_qpos + 3 : at.root_qpos + 7] = 1.0, 0.0, 0.0, 0.0
        data.qpos[at.qpos] = self.names.default_joint_pos.numpy()
        mujoco.mj_kinematics(model, data)
        if len(feet) != 2:
            raise MotionError(f"robot '{self.names.name}' has {len(feet)} bodies in its set 'feet'; name two")
        soles = footprint(model, data, [model.body(name).id for name in feet])
        self.round_feet = soles.is_round
        middle = np.array([[soles.middle, soles.aside[i], -soles.height[i]] for i in range(len(feet))])
        balls = [body_points(model, data, model.body(name).id) for name in feet]
        self.shapes = tuple(
            SoleShape.of(points @ soles.axes[i] - middle[i], radii) for i, (points, radii) in enumerate(balls)
        )
        sole_marks = [Mark(_SITE + name, name, soles.axes[i] @ middle[i], soles.axes[i]) for i, name in enumerate(feet)]
        self.model = _with_sites(robot, [*sole_marks, *marks])
        self.at = Addresses.of(self.model, self.names)
        self._data = mujoco.MjData(self.model)
        self.sites = tuple(mark.name for mark in sole_marks)
        self._sites = np.array([self.model.site(name).id for name in self.sites])

    def qpos(self, motion: RobotMotion) -> Array:
        """Return a motion as positions of the model, [T, nq]."""
        qpos = np.tile(self.model.qpos0, (len(motion), 1))
        qpos[:, self.at.root_qpos : self.at.root_qpos + 3] = motion.root_pos
        qpos[:, self.at.root_qpos + 3 : self.at.root_qpos + 7] = motion.root_quat_wxyz
        qpos[:, self.at.qpos] = motion.joint_pos
        return qpos

    def motion(self, qpos: Array, fps: float) -> RobotMotion:
        """Return positions of the model [T, nq] as a motion."""
        root = self.at.root_qpos
        return RobotMotion(fps, qpos[:, root : root + 3], qpos[:, root + 3 : root + 7], qpos[:, self.at.qpos])

    def soles(self, qpos: Array) -> SolePoses:
        """Return the poses of the soles for positions [T, nq]."""
        pos, rot = np.empty((len(qpos), len(self.feet), 3)), np.empty((len(qpos), len(self.feet), 3, 3))
        for frame, now in enumerate(qpos):
            self._data.qpos[:] = now
            mujoco.mj_kinematics(self.model, self._data)
            pos[frame] = self._data.site_xpos[self._sites]
            rot[frame] = self._data.site_xmat[self._sites].reshape(-1, 3, 3)
        return SolePoses(pos, rot)


def _with_sites(robot: Robot, marks: Sequence[Mark]) -> mujoco.MjModel:
    spec = robot.spec()
    for mark in marks:
        quat = np.empty(4)
        mujoco.mju_mat2Quat(quat, mark.rot.flatten())
        spec.body(mark.body).add_site(name=mark.name, pos=mark.pos, quat=quat)
    return spec.compile()
