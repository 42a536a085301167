"""Check what does not depend on the joint order of a recording: frame rate, units, up axis, body velocities."""

from __future__ import annotations

import logging

import numpy as np
import torch

from mtrack import MotionError, RobotModel
from mtrack.math import quat_rotate
from mtrack_formats.fit import unit_wxyz
from mtrack_formats.recording import QUATERNION_ORDERS, Bodies, FloatArray, ImportOptions, Recording
from mtrack_motion.clip import up_axis
from mtrack_motion.derive import angular_velocity, difference
from mtrack_motion.units import why_other_axis_up, why_wrong_numbers, why_wrong_rate

log = logging.getLogger(__name__)

_MIN_FRAMES = 2
_RATE_TOLERANCE = 0.02  # relative; velocities of exported files give the rate to 1e-6, of recorded ones to a few 1e-3
_MIN_CORRELATION = 0.9  # of velocities with differences of positions; below it they do not determine the rate
_MIN_MOVEMENT = 1e-4  # rad between frames
_COMPARED_FRAMES = 2000
_DISAGREES, _FITS = 0.3, 0.1  # of the size of the velocities; those of a centre of mass differ by less than the first
_MIN_DIFFERENCE = 0.05  # m/s or rad/s


def accept(problem: str, remedy: str, options: ImportOptions, joined: str = "; ") -> None:
    """Log a problem if the user chose to trust the file. Raises MotionError with the remedy if not."""
    if not options.trust:
        raise MotionError(f"{problem}{joined}{remedy}")
    log.warning("%s; imported anyway (--trust)", problem)


# ---- frame rate


def check_rate(recording: Recording, options: ImportOptions) -> None:
    """Raise MotionError for an impossible frame rate, from the user or from the file."""
    if options.fps is not None:
        problem, remedy = why_wrong_rate(options.fps, "--fps"), "give another --fps"
    else:
        problem, remedy = "", "give the right rate with --fps"
        if recording.fps is not None:
            problem = why_wrong_rate(recording.fps, "its 'fps'")
    if problem:
        raise MotionError(f"{recording.place}: {problem}; {remedy}")


def frame_rate(recording: Recording, options: ImportOptions) -> float:
    """Return the frames per second and log what is assumed. Raises MotionError if unknown or contradicted."""
    implied = implied_rate(recording.joint_pos, recording.joint_vel)
    rate = options.fps if options.fps is not None else recording.fps
    if rate is None:
        return _unstated_rate(recording, implied)
    if options.fps is not None:
        log.warning("assumed: %g frames per second, from --fps, which overrides the file", rate)
    else:
        log.info("frame rate from the file: %g frames per second", rate)
    if implied is None:
        log.warning("the frame rate is not checked: the file has no velocities, or nothing moves")
    elif abs(implied - rate) <= _RATE_TOLERANCE * rate:
        log.info("checked: the velocities match this frame rate")
    else:
        problem = f"{recording.place}: its velocities match {implied:.4g} frames per second, not {rate:g}"
        accept(problem, "give the right rate with --fps, or import it as it is with --trust", options)
    return rate


def _unstated_rate(recording: Recording, implied: float | None) -> float:
    """Return the rate that the velocities imply, or the default of the file's project. Raises MotionError."""
    if implied is not None:
        rate = round(implied, 2)
        log.warning("the file does not state its frame rate; its velocities match %g frames per second", rate)
        return rate
    if recording.default_fps is None:
        raise MotionError(f"{recording.place}: has no frame rate 'fps'; give it with --fps")
    log.warning(
        "assumed: %g frames per second (the file does not state it; use --fps if it is different)",
        recording.default_fps,
    )
    return recording.default_fps


def implied_rate(joint_pos: FloatArray, joint_vel: FloatArray | None) -> float | None:
    """Return the rate at which differences of positions [T, J] best match the velocities; None if nothing moves."""
    if joint_vel is None or len(joint_pos) < 3 or joint_pos.shape != joint_vel.shape:
        return None
    moved, vel = (joint_pos[2:] - joint_pos[:-2]) / 2.0, joint_vel[1:-1]
    if np.abs(moved).max() < _MIN_MOVEMENT:
        return None
    product, power, energy = float((vel * moved).sum()), float((moved**2).sum()), float((vel**2).sum())
    if product < _MIN_CORRELATION * float(np.sqrt(power * energy)) or energy == 0.0:
        return None
    return product / power


# ---- units and axes


def check_units(recording: Recording, model: RobotModel, options: ImportOptions) -> None:
    """Raise MotionError for a unit or an up axis other than the documented one, unless the user trusts the file.

    Missing frames and numbers that are not finite are left to `check_clip`.
    """
    frames = len(recording.root_pos)
    tables = (recording.root_pos, recording.root_quat, recording.joint_pos)
    if frames < _MIN_FRAMES or not all(len(table) == frames and np.isfinite(table).all() for table in tables):
        return
    problem = why_wrong_numbers(recording.root_pos, recording.joint_pos, model)
    if not problem:
        problem = next(filter(None, (_other_axis_up(recording, model, order) for order in QUATERNION_ORDERS)), "")
    if problem:
        accept(f"{recording.place}: {problem}", "or import it as it is with --trust", options, joined=", ")


def _other_axis_up(recording: Recording, model: RobotModel, order: str) -> str:
    return why_other_axis_up(recording.root_pos, up_axis(unit_wxyz(recording.root_quat, order).numpy()), model)


# ---- body velocities


def report_velocities(recording: Recording, quat_order: str, rate: float) -> None:
    """Log a warning if recorded body velocities are not the derivatives of the recorded body poses.

    mtrack never uses these velocities, but other programs may.
    """
    bodies = recording.bodies
    if bodies is None or not bodies.in_world or len(bodies.pos) < 3:
        return
    for name, unit, recorded in (("linear", "m/s", bodies.lin_vel), ("angular", "rad/s", bodies.ang_vel)):
        if recorded is None or (name == "angular" and bodies.quat is None):
            continue
        if recorded.shape != bodies.pos.shape or not np.isfinite(recorded).all():
            log.warning("%s: the file's %s body velocities are invalid; mtrack ignores them", recording.place, name)
            continue
        derived, compared = _derived(bodies, name, quat_order, rate), recorded[:_COMPARED_FRAMES]
        off = np.linalg.norm(compared - derived, axis=2)
        if _rms(off) > max(_DISAGREES * _rms(np.linalg.norm(derived, axis=2)), _MIN_DIFFERENCE):
            frame, body = (int(i) for i in np.unravel_index(int(off.argmax()), off.shape))
            log.warning(
                "%s: the file's %s velocities of bodies disagree with their poses, by %.2g %s on average and %.2g at "
                "body %d, frame %d%s; mtrack ignores them and derives its own",
                *(recording.place, name, _rms(off), unit, off[frame, body], body, frame),
                _explain_velocities(bodies, compared, derived, quat_order),
            )


def _derived(bodies: Bodies, name: str, quat_order: str, rate: float) -> FloatArray:
    """Return the velocities derived from the poses of the first frames, [T, B, 3]."""
    count = bodies.pos.shape[1]
    if name == "linear":
        moved = difference(torch.tensor(bodies.pos[:_COMPARED_FRAMES]).flatten(1), 1.0 / rate)
        return np.asarray(moved.view(-1, count, 3).numpy(), np.float64)
    assert bodies.quat is not None
    quat = unit_wxyz(bodies.quat[:_COMPARED_FRAMES], quat_order)
    return torch.stack([angular_velocity(quat[:, body], 1.0 / rate) for body in range(count)], dim=1).numpy()


def _explain_velocities(bodies: Bodies, recorded: FloatArray, derived: FloatArray, quat_order: str) -> str:
    """Return what explains wrong velocities; empty if nothing does."""
    if bodies.quat is None:
        return ""
    turned = quat_rotate(unit_wxyz(bodies.quat[:_COMPARED_FRAMES], quat_order), torch.tensor(recorded)).numpy()
    fits = _rms(np.linalg.norm(turned - derived, axis=2)) < _FITS * _rms(np.linalg.norm(derived, axis=2))
    return " (they are in the frame of each body, not in world axes)" if fits else ""


def _rms(lengths: FloatArray) -> float:
    return float(np.sqrt(np.mean(lengths**2)))
