"""Moves a robot like a person: inverse kinematics towards the scaled person, then the repair of its stances."""

from __future__ import annotations

import attrs
import mink
import numpy as np
from scipy.interpolate import make_interp_spline
from scipy.ndimage import gaussian_filter1d

from mtrack import Robot
from mtrack_retarget.body import PlacedBody
from mtrack_retarget.person import SIDES, Person
from mtrack_retarget.robot_limbs import find_limbs, site_name
from mtrack_retarget.robot_motion import Array, RobotMotion, continuous
from mtrack_retarget.scaled import ScaledPerson, scaled
from mtrack_retarget.solver import JointBounds, Separation, improve, pose

_FIRST_STEPS, _STEPS = 100, 2
_DAMPING = 1.0
_POS = {"knee": 3.0, "ankle": 20.0, "elbow": 4.0, "wrist": 12.0}  # costs per m
_PELVIS_POS, _PELVIS_ROT, _CHEST_ROT, _FOOT_ROT = 8.0, 4.0, 4.0, 3.0  # per m and rad
_POSTURE, _WRIST_POSTURE = 0.3, 3.0  # per rad; no recording says how wrists are turned
_CALM_S = 0.025  # s, width of the Gaussian over the solution
_SMOOTH_S = 0.012  # s, width of the Gaussian over a recording that is faster than the robot's control


class Retargeter:
    """Retargets people to one robot."""

    def __init__(self, robot: Robot) -> None:
        """Compile the robot and find its limbs. Raises MotionError."""
        self.limbs = find_limbs(robot)
        self.body = PlacedBody(robot, self.limbs.marks)
        self._bounds = JointBounds(self.body)
        self._separation = Separation(self.body)
        self._pelvis = mink.FrameTask(self.limbs.pelvis, "body", _PELVIS_POS, _PELVIS_ROT)
        self._chest = mink.FrameTask(self.limbs.chest, "body", 0.0, _CHEST_ROT)
        self._feet = [mink.FrameTask(site, "site", 0.0, _FOOT_ROT) for site in self.body.sites]
        parts = [part for part in _POS if len(self.limbs.shoulders) or part in ("knee", "ankle")]
        self._sites = {
            (part, side): mink.FrameTask(site_name(name, part), "site", _POS[part], 0.0)
            for part in parts
            for side, name in enumerate(SIDES)
        }
        postures = np.full(self.body.model.nv, _POSTURE)
        dofs = dict(zip(self.body.names.joint_names, self.body.at.dof_indices, strict=True))
        postures[[dofs[name] for name in self.limbs.wrists if name in dofs]] = _WRIST_POSTURE
        self._posture = mink.PostureTask(self.body.model, postures)

    def __call__(self, person: Person, fps: float) -> RobotMotion:
        """Return the motion of a robot at a rate, before its stances are repaired."""
        return self.follow(scaled(resampled(person, fps), self.limbs))

    def follow(self, person: ScaledPerson) -> RobotMotion:
        """Return the motion that follows a scaled person."""
        model, count = self.body.model, len(person.pelvis_pos)
        configuration = mink.Configuration(model)
        configuration.update(self._start(person))
        self._posture.set_target(configuration.q)
        solved = np.empty((count, model.nq))
        before: Array | None = None
        tasks = [self._pelvis, self._chest, *self._feet, *self._sites.values(), self._posture]
        for frame in range(count):
            self._aim(person, frame)
            self._bounds.follow(before, 1.0 / person.fps)
            for _ in range(_STEPS if frame else _FIRST_STEPS):
                improve(configuration, tasks, self._separation, self._bounds, _DAMPING)
            solved[frame] = before = configuration.q
        root = self.body.at.root_qpos + 3
        solved[:, root : root + 4] = continuous(solved[:, root : root + 4])
        solved = gaussian_filter1d(solved, _CALM_S * person.fps, axis=0, mode="nearest")
        solved[:, root : root + 4] /= np.linalg.norm(solved[:, root : root + 4], axis=1, keepdims=True)
        return self.body.motion(solved, person.fps)

    def _start(self, person: ScaledPerson) -> Array:
        """Return the default pose at the place and heading of the first frame, [nq]."""
        names, heading = self.body.names, person.pelvis_rot[0, :, 0]
        yaw = float(np.arctan2(heading[1], heading[0]))
        motion = RobotMotion(
            fps=person.fps,
            root_pos=person.pelvis_pos[:1],
            root_quat_wxyz=np.array([[np.cos(yaw / 2.0), 0.0, 0.0, np.sin(yaw / 2.0)]]),
            joint_pos=names.default_joint_pos.double().numpy()[None],
        )
        return np.asarray(self.body.qpos(motion)[0])

    def _aim(self, person: ScaledPerson, frame: int) -> None:
        self._pelvis.set_target(pose(person.pelvis_pos[frame], person.pelvis_rot[frame]))
        self._chest.set_target(pose(np.zeros(3), person.chest_rot[frame]))
        for task, rot in zip(self._feet, person.foot_rot[frame], strict=True):
            task.set_target(pose(np.zeros(3), rot))
        for (part, side), task in self._sites.items():
            task.set_target(pose(person.sites[part][frame, side], np.eye(3)))


def resampled(person: Person, fps: float) -> Person:
    """Return a person at another rate, by cubic splines; a faster recording is smoothed first."""
    count = len(person.parts["pelvis"])
    seconds = np.arange(count) / person.fps
    wanted = np.arange(int(np.floor(seconds[-1] * fps + 1e-6)) + 1) / fps
    parts = {}
    for name, pos in person.parts.items():
        smooth = gaussian_filter1d(pos, _SMOOTH_S * person.fps, axis=0, mode="nearest") if person.fps > fps else pos
        parts[name] = make_interp_spline(seconds, smooth, k=min(3, count - 1))(wanted)
    return attrs.evolve(person, fps=fps, parts=parts)
