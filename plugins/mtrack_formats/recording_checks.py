"""Cheap causes of a wrong reading, checked before any order: the frame rate, units, axes, empty numbers."""

from __future__ import annotations

import logging

import numpy as np

from mtrack.errors import MotionError
from mtrack.robot import RobotModel
from mtrack_formats.fit import unit_wxyz
from mtrack_formats.recording import QUATERNION_ORDERS, Options, Recording
from mtrack_motion.clip import up_axis
from mtrack_motion.units import why_other_axis_up, why_wrong_numbers, why_wrong_rate

_FEWEST = 2  # frames

log = logging.getLogger(__name__)


def check_rate(recording: Recording, options: Options) -> None:
    """Raise MotionError for a given or recorded frame rate that none can be."""
    if options.fps is not None:
        problem, remedy = why_wrong_rate(options.fps, "--fps"), "give another --fps"
    else:
        problem, remedy = "", "give the right rate with --fps"
        if recording.fps is not None:
            problem = why_wrong_rate(recording.fps, "its 'fps'")
    if problem:
        raise MotionError(f"{recording.place}: {problem}; {remedy}")


def check_numbers(recording: Recording, model: RobotModel, options: Options) -> None:
    """Raise MotionError for a unit or an axis that is not the documented one, unless it is trusted.

    Numbers that are not finite, and frames that are missing, are left to `check_clip`.
    """
    frames = len(recording.root_pos)
    tables = (recording.root_pos, recording.root_quat, recording.joint_pos)
    if frames < _FEWEST or not all(len(table) == frames and np.isfinite(table).all() for table in tables):
        return
    problem = why_wrong_numbers(recording.root_pos, recording.joint_pos, model)
    if not problem:
        problem = next(filter(None, (_other_axis_up(recording, model, order) for order in QUATERNION_ORDERS)), "")
    if problem:
        accept(f"{recording.place}: {problem}", "or take it as it is with --trust", options, joined=", ")


def accept(problem: str, remedy: str, options: Options, joined: str = "; ") -> None:
    """Log a problem that the user trusts. Raises MotionError with the remedy if not."""
    if not options.trust:
        raise MotionError(f"{problem}{joined}{remedy}")
    log.warning("%s; trusted all the same", problem)


def _other_axis_up(recording: Recording, model: RobotModel, order: str) -> str:
    return why_other_axis_up(recording.root_pos, up_axis(unit_wxyz(recording.root_quat, order).numpy()), model)
