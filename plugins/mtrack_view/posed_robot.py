"""A robot in any pose: its compiled description, and the colours of its shapes."""

from __future__ import annotations

import copy
import itertools
from typing import Literal, get_args

import mujoco
import numpy as np
from numpy.typing import NDArray

from mtrack import MtrackError, Robot
from mtrack_mujoco.lowest import ShapeDepths

Array = NDArray[np.float64]
Shapes = Literal["drawn", "collision"]
"""Which shapes of a robot: those that are drawn, or those that can collide."""

NUM_DRAWN_GROUPS = 3
"""Shapes in the first groups are drawn, as in MuJoCo's viewers."""
DRAWN = (np.arange(mujoco.mjNGROUP) < NUM_DRAWN_GROUPS).astype(np.uint8)
"""uint8 [groups]: 1 for those that are drawn."""
_GAMMA = 2.2  # descriptions have screen colours
_LEVELS = 65535
_SCREEN = (255.0 * (np.arange(_LEVELS + 1) / _LEVELS) ** (1.0 / _GAMMA) + 0.5).astype(np.uint8)
_CORNERS = np.array(list(itertools.product((-1.0, 1.0), repeat=3)))
_NO_COLOUR = 0.5  # red, green and blue of a shape without a colour of its own
_DULL = 0.2  # specular share of a shape without a material


class PosedRobot:
    """A compiled robot that can be put into poses."""

    def __init__(self, robot: Robot) -> None:
        """Compile the robot's description. Raises MtrackError if it has none, or if its root cannot move."""
        names = robot.model()
        self.model = robot.spec().compile()
        root = self.model.body(names.body_names[0])
        self.root = int(root.id)
        """Index of the root body."""
        joint = int(root.jntadr[0])
        if joint < 0 or self.model.jnt_type[joint] != mujoco.mjtJoint.mjJNT_FREE:
            raise MtrackError(f"the root '{root.name}' of {names.name} has no free joint")
        free = int(self.model.jnt_qposadr[joint])
        hinges = [int(self.model.joint(name).qposadr[0]) for name in names.joint_names]
        self._columns = np.array([*range(free, free + 7), *hinges])
        self._bodies = self.model.body_rootid == root.id
        self.is_part = self._bodies[self.model.geom_bodyid]
        """bool [G] whether a shape belongs to the robot, not to its surroundings."""
        self.is_floor = self._level_planes()
        """bool [G] whether a shape is the floor: a level plane without limits."""
        self.colour, self.shine = _materials(self.model)
        self._data = mujoco.MjData(self.model)
        self._colliding = self._shapes((self.model.geom_contype != 0) | (self.model.geom_conaffinity != 0))
        self._drawn = self._shapes(self.model.geom_group < NUM_DRAWN_GROUPS)
        if not len(self._drawn):
            self._drawn = self._colliding  # a description without visual shapes
        self._depths = {shapes: ShapeDepths(self.model, self.geoms(shapes).tolist()) for shapes in get_args(Shapes)}

    def geoms(self, shapes: Shapes) -> NDArray[np.int64]:
        """Return the indices of the robot's shapes that are drawn, or of those that can collide."""
        return self._drawn if shapes == "drawn" else self._colliding

    def put(self, pose: Array) -> mujoco.MjData:
        """Put one robot into a pose [7 + J] as `posed` does; the next call changes the data that this one returned."""
        self._data.qpos[self._columns] = pose
        mujoco.mj_kinematics(self.model, self._data)
        return self._data

    def lowest_point(self, pose: Array, shapes: Shapes = "collision") -> float:
        """Return the height of the robot's lowest point in a pose [7 + J] [m]; of its true shapes, not of a drawing."""
        return self._depths[shapes].lowest(self.put(pose), self.geoms(shapes))

    def tinted(self, colour: Array, share: float) -> PosedRobot:
        """Return this robot with its colours mixed with a colour [3] (light) by a share."""
        tinted = copy.copy(self)
        tinted.colour = (1.0 - share) * self.colour + share * colour
        return tinted

    def posed(self, pose: Array) -> mujoco.MjData:
        """Return the robot in a pose [7 + J]: root position [m], its quaternion w, x, y, z, joints [rad]."""
        data = mujoco.MjData(self.model)
        data.qpos[self._columns] = pose
        mujoco.mj_kinematics(self.model, data)
        return data

    @property
    def floor_height(self) -> float | None:
        """Height of the floor [m]; None without a floor."""
        heights = self.model.geom_pos[self.is_floor, 2]
        return float(heights.max()) if len(heights) else None

    def corners(self, data: mujoco.MjData, chosen: NDArray[np.bool_]) -> Array:
        """Return the corners of boxes around those shapes of `chosen` [G] that are drawn, [n, 8, 3] m."""
        shapes = np.flatnonzero(chosen & (DRAWN[self.model.geom_group] > 0))
        middle, half = self.model.geom_aabb[shapes, None, :3], self.model.geom_aabb[shapes, None, 3:]
        axes = data.geom_xmat[shapes].reshape(-1, 3, 3)
        corners: Array = data.geom_xpos[shapes, None] + (middle + half * _CORNERS) @ axes.transpose(0, 2, 1)
        return corners

    def _shapes(self, wanted: NDArray[np.bool_]) -> NDArray[np.int64]:
        return np.flatnonzero(wanted & self.is_part & (self.model.geom_type != mujoco.mjtGeom.mjGEOM_PLANE))

    def bounding_sphere(self, data: mujoco.MjData) -> tuple[Array, float]:
        """Return centre [3] and radius [m] of a sphere around the whole robot."""
        positions = data.geom_xpos[self.is_part]
        middle: Array = (positions.min(0) + positions.max(0)) / 2
        reach = np.linalg.norm(positions - middle, axis=1) + self.model.geom_rbound[self.is_part]
        return middle, float(reach.max())

    def body_positions(self, poses: Array) -> Array:
        """Return the origins of the robot's bodies in poses [T, 7 + J], [T, B, 3] m."""
        return np.stack([self.posed(pose).xpos[self._bodies] for pose in poses])

    def _level_planes(self) -> NDArray[np.bool_]:
        model = self.model
        is_plane = (model.geom_type == mujoco.mjtGeom.mjGEOM_PLANE) & (model.geom_bodyid == 0)
        is_level = (model.geom_quat[:, 1:3] == 0.0).all(1) & (model.geom_size[:, :2] == 0.0).all(1)
        found: NDArray[np.bool_] = is_plane & is_level & (DRAWN[model.geom_group] > 0)
        return found


def linear(*srgb: float) -> Array:
    """Return a screen colour as linear light, [3]."""
    return np.array(srgb) ** _GAMMA


def to_screen(light: Array) -> NDArray[np.uint8]:
    """Return linear light as screen colours, 0 to 255."""
    return _SCREEN[(np.clip(light, 0.0, 1.0) * _LEVELS).astype(np.uint16)]


def _materials(model: mujoco.MjModel) -> tuple[Array, Array]:
    """Return the colour [G, 3] (light) and the specular share [G] of each shape."""
    rgba, material = model.geom_rgba.copy(), model.geom_matid
    inherits = (material >= 0) & ((rgba == (_NO_COLOUR, _NO_COLOUR, _NO_COLOUR, 1.0)).all(1))
    rgba[inherits] = model.mat_rgba[material[inherits]]
    shine = np.full(model.ngeom, _DULL)
    shine[material >= 0] = model.mat_specular[material[material >= 0]]
    return rgba[:, :3].astype(np.float64) ** _GAMMA, shine
