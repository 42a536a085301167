"""The frame rate of a recording: as given, as the file says, and held against its velocities where it has them."""

from __future__ import annotations

import logging

import numpy as np

from mtrack import MotionError
from mtrack_formats.recording import Options, Recording, Table

log = logging.getLogger(__name__)

_AGREES = 0.02  # share; velocities of exported files give the rate to 1e-6, of recorded ones to a few thousandths
_ALIKE = 0.9  # correlation of velocities with differences of positions, below which they say nothing of the rate
_MOVES = 1e-4  # rad between frames


def frame_rate(recording: Recording, options: Options) -> float:
    """Return the frames a second; what is assumed is said. Raises MotionError where none is known or two disagree."""
    implied = implied_rate(recording.joint_pos, recording.joint_vel)
    rate = options.fps if options.fps is not None else recording.fps
    if rate is None:
        if implied is not None:
            rate = round(implied, 2)
            log.warning("the file does not say its frame rate; its velocities are those of %g frames a second", rate)
            return rate
        if recording.default_fps is None:
            raise MotionError(f"{recording.place}: has no frame rate 'fps'; give it with --fps")
        log.warning(
            "assumed: %g frames a second (the file does not say; give --fps if it is another)", recording.default_fps
        )
        return recording.default_fps
    if options.fps is not None:
        log.warning("assumed: %g frames a second, as given, whatever the file says", rate)
    else:
        log.info("frame rate from the file: %g frames a second", rate)
    if implied is None:
        log.warning("the frame rate is not checked: the file has no velocities, or nothing in it moves")
    elif abs(implied - rate) <= _AGREES * rate:
        log.info("checked: the velocities are those of this frame rate")
    else:
        said = f"{recording.place}: its velocities are those of {implied:.4g} frames a second, not of {rate:g}"
        if not options.trust:
            raise MotionError(f"{said}; give the right rate with --fps, or take it as it is with --trust")
        log.warning("%s; trusted all the same", said)
    return rate


def implied_rate(joint_pos: Table, joint_vel: Table | None) -> float | None:
    """Return the rate at which differences of positions [T, J] best equal the velocities; None where nothing moves."""
    if joint_vel is None or len(joint_pos) < 3 or joint_pos.shape != joint_vel.shape:
        return None
    moved, vel = (joint_pos[2:] - joint_pos[:-2]) / 2.0, joint_vel[1:-1]
    if np.abs(moved).max() < _MOVES:
        return None
    product, power, energy = float((vel * moved).sum()), float((moved**2).sum()), float((vel**2).sum())
    if product < _ALIKE * float(np.sqrt(power * energy)) or energy == 0.0:
        return None
    return product / power
