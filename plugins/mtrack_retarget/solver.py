"""Inverse kinematics frame by frame with mink: soles on their targets, joints within their range and speed."""

from __future__ import annotations

from collections.abc import Sequence

import mink
import mujoco
import numpy as np
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from mtrack_quality.geometry import Geometry
from mtrack_retarget.body import PlacedBody
from mtrack_retarget.footholds import Footholds
from mtrack_retarget.robot_motion import Array, Flags

_SOLVER = "daqp"  # mink's own choice too: the fastest for problems of this size
_FIRST_STEPS, _MOST_STEPS = 20, 4  # of the first frame, and of others, which start from the frame before
_ENOUGH = 3e-4  # m: no sole is further from its target
_DAMPING = 5.0  # a straight leg is singular; without it, the solver jumps between a bent and an overstretched knee
_FIXED = np.array([100.0, 100.0, 100.0, 10.0, 10.0, 10.0])  # costs per m and rad of a sole on the floor
_LOOSE = np.array([20.0, 20.0, 20.0, 2.0, 2.0, 2.0])  # and of one in the air
_SETTLE_S = 0.08  # s, width of the Gaussian over the change between the two
_ROOT_POS, _ROOT_ROT = 4.0, 3.0
_POSTURE = 0.4
_APART, _SEPARATION = 0.015, 20.0  # m between links that may not touch; cost per m
_SPEED_SHARE, _RANGE_MARGIN = 0.95, 1e-3  # of the speed limits; rad


class JointBounds(mink.Limit):
    """Keeps joints in their range, and near enough to the frame before for their speed limits."""

    def __init__(self, body: PlacedBody) -> None:
        """Read the limits of the robot's joints."""
        names = body.names
        low, high = names.joint_range.double().numpy().T
        bounded = high > low
        self._low = np.where(bounded, low + _RANGE_MARGIN, -np.inf)
        self._high = np.where(bounded, high - _RANGE_MARGIN, np.inf)
        self._speed = names.velocity_limit.double().numpy() * _SPEED_SHARE
        self._qpos, dofs = body.at.qpos, np.array(body.at.dof_indices)
        rows = np.eye(body.model.nv)[dofs]
        self._rows = np.concatenate((rows, -rows))
        self._least, self._most = self._low, self._high

    def follow(self, before: Array | None, dt: float) -> None:
        """Bound the next solutions by the positions [nq] of the frame before; None for the first frame."""
        self._least, self._most = self._low, self._high
        if before is not None:
            here, reach = np.clip(before[self._qpos], self._low, self._high), self._speed * dt
            self._least, self._most = np.maximum(self._low, here - reach), np.minimum(self._high, here + reach)

    def compute_qp_inequalities(self, configuration: mink.Configuration, dt: float) -> mink.Constraint:
        """Return the bounds on the displacement of the joints."""
        here = configuration.q[self._qpos]
        return mink.Constraint(G=self._rows, h=np.concatenate((self._most - here, here - self._least)))


class Separation(mink.Task):
    """Keeps links apart that may not touch: every two shapes nearer than a margin push each other away."""

    def __init__(self, body: PlacedBody) -> None:
        """Compile the robot with all its shapes colliding with each other."""
        super().__init__(cost=np.zeros(0))
        self._geometry = Geometry(body.robot)
        self._model = self._geometry.model
        self._model.geom_margin[:] = _APART
        self._data = mujoco.MjData(self._model)
        self._rows: list[Array] = []
        self._errors: list[float] = []

    def look(self, qpos: Array) -> None:
        """Find the shapes that are near each other at positions [nq]."""
        model, data = self._model, self._data
        data.qpos[:] = qpos
        mujoco.mj_kinematics(model, data)
        mujoco.mj_comPos(model, data)
        mujoco.mj_collision(model, data)
        self._rows, self._errors = [], []
        one, other = np.empty((3, model.nv)), np.empty((3, model.nv))
        for distance, geoms, place, frame in zip(
            data.contact.dist, data.contact.geom, data.contact.pos, data.contact.frame, strict=True
        ):
            if distance >= _APART or self._geometry.may_overlap(geoms):
                continue
            first, second = model.geom_bodyid[geoms]
            mujoco.mj_jac(model, data, one, None, place, first)
            mujoco.mj_jac(model, data, other, None, place, second)
            self._rows.append(frame[:3] @ (other - one))
            self._errors.append(float(distance) - _APART)
        self.cost = np.full(len(self._rows), _SEPARATION)

    def __bool__(self) -> bool:
        return bool(self._rows)

    def compute_error(self, configuration: mink.Configuration) -> Array:
        """Return how much further apart each two shapes should be, negative [m]."""
        return np.array(self._errors)

    def compute_jacobian(self, configuration: mink.Configuration) -> Array:
        """Return the change of these distances."""
        return np.stack(self._rows)


def improve(
    configuration: mink.Configuration,
    tasks: Sequence[mink.Task],
    separation: Separation,
    bounds: JointBounds,
    damping: float,
) -> None:
    """Move a robot one step towards its tasks, within its bounds and without overlaps. Raises mink.NoSolutionFound."""
    separation.look(configuration.q)
    near = [separation] if separation else []
    velocity = mink.solve_ik(configuration, [*tasks, *near], 1.0, _SOLVER, damping, limits=[bounds])
    configuration.integrate_inplace(velocity, 1.0)


def pose(pos: Array, rot: Array) -> mink.SE3:
    """Return a target for a frame, from a position [3] m and a rotation [3, 3]."""
    return mink.SE3.from_rotation_and_translation(mink.SO3.from_matrix(rot), pos)


class SoleSolver:
    """Moves a robot's soles to their targets, and changes the rest of a motion as little as possible."""

    def __init__(self, body: PlacedBody) -> None:
        """Create the tasks."""
        self._body = body
        self._soles = [mink.FrameTask(site, "site", 1.0, 1.0) for site in body.sites]
        root = body.names.body_names[0]
        self._root = mink.FrameTask(root, "body", _ROOT_POS, _ROOT_ROT)
        self._posture = mink.PostureTask(body.model, _POSTURE)
        self._bounds = JointBounds(body)
        self._separation = Separation(body)

    def __call__(self, qpos: Array, plan: Footholds, fps: float) -> Array:
        """Return positions [T, nq] near `qpos` with the soles on their targets. Raises mink.NoSolutionFound."""
        solved = np.empty_like(qpos)
        soles = plan.soles
        # the share is 1 in every fixed frame, and fades on both sides
        share = gaussian_filter1d(_widened(plan.fixed, round(2.0 * _SETTLE_S * fps)), _SETTLE_S * fps, axis=0)
        costs = _LOOSE + (_FIXED - _LOOSE) * share[..., None]
        configuration = mink.Configuration(self._body.model)
        root = self._body.at.root_qpos
        before: Array | None = None
        correction = np.zeros(self._body.model.nv)
        tasks = [*self._soles, self._root, self._posture]
        for frame, target in enumerate(qpos):
            turn = target[root + 3 : root + 7]
            self._root.set_target(mink.SE3(wxyz_xyz=np.concatenate((turn, target[root : root + 3]))))
            self._posture.set_target(target)
            for task, *target_pose, cost in zip(
                self._soles, soles.pos[frame], soles.rot[frame], costs[frame], strict=True
            ):
                task.set_target(pose(*target_pose))
                task.cost = cost
            self._bounds.follow(before, 1.0 / fps)
            start = target.copy()
            mujoco.mj_integratePos(self._body.model, start, correction, 1.0)
            configuration.update(start)
            for _ in range(_MOST_STEPS if frame else _FIRST_STEPS):
                improve(configuration, tasks, self._separation, self._bounds, _DAMPING)
                if max(np.abs(task.compute_error(configuration)[:3]).max() for task in self._soles) < _ENOUGH:
                    break
            solved[frame] = configuration.q
            mujoco.mj_differentiatePos(self._body.model, correction, 1.0, target, solved[frame])
            before = solved[frame]
        return solved


def _widened(flags: Flags, frames: int) -> Array:
    """Return 1 for frames [T, F] that are at most some frames from a flagged one, else 0."""
    return np.asarray(maximum_filter1d(flags.astype(float), 2 * frames + 1, axis=0))
