"""Repairs one motion: heights, slides, stances, joint limits; and says what it changed."""

from __future__ import annotations

import attrs
import numpy as np

from mtrack import Robot
from mtrack_quality.geometry import Geometry
from mtrack_retarget.body import PlacedBody
from mtrack_retarget.footholds import footholds
from mtrack_retarget.robot_motion import Array, RobotMotion
from mtrack_retarget.root_path import Carriage, lifted, without_slides
from mtrack_retarget.solver import SoleSolver
from mtrack_retarget.stance import StanceFinder


class Repairer:
    """Repairs motions of one robot."""

    def __init__(self, robot: Robot) -> None:
        """Compile the robot."""
        self.body = PlacedBody(robot)
        self._geometry = Geometry(robot)
        self._stances = StanceFinder(robot)
        self._solver = SoleSolver(self.body)

    def __call__(self, motion: RobotMotion, *, keep_root_xy: bool = False) -> RobotMotion:
        """Return the repaired motion."""
        body = self.body
        track = self._geometry.track(motion.root_pos, motion.root_quat_wxyz, motion.joint_pos)
        stands = self._stances(motion, track.soles)
        carriage = Carriage(stands, track.soles, track.lowest, self._contact(motion))
        on_floor = attrs.evolve(motion, root_pos=lifted(motion, carriage))
        # the rule counts no foot that hovers higher than it expects of an ankle
        stands = stands | self._stances(on_floor, track.soles)
        carriage = attrs.evolve(carriage, stands=stands)
        motion = attrs.evolve(motion, root_pos=lifted(motion, carriage))
        if not keep_root_xy:
            motion = attrs.evolve(motion, root_pos=without_slides(motion, carriage))
        qpos = body.qpos(motion)
        plan = footholds(body.soles(qpos), stands, body.shapes, motion.fps, is_round=body.round_feet)
        return body.motion(self._solver(qpos, plan, motion.fps), motion.fps)

    def _contact(self, motion: RobotMotion) -> Array:
        """Return the horizontal velocity of each sole where it is lowest, [T, F, 2] m/s."""
        soles = self.body.soles(self.body.qpos(motion))
        _, balls = soles.bottom(self.body.shapes)
        local = np.einsum("tfji,tfj->tfi", soles.rot, balls - soles.pos)  # the same point of the foot in other frames
        before, after = (np.clip(np.arange(len(motion)) + step, 0, len(motion) - 1) for step in (-1, 1))
        moved = [soles.pos[at] + np.einsum("tfij,tfj->tfi", soles.rot[at], local) for at in (before, after)]
        seconds = (after - before)[:, None, None] / motion.fps
        return np.asarray((moved[1] - moved[0])[..., :2] / seconds)
