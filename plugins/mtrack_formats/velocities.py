"""Whether the body velocities of a file are those of its body poses; they are never used, but others may use them."""

from __future__ import annotations

import logging

import numpy as np
import torch

from mtrack.math import quat_rotate
from mtrack_formats.fit import unit_wxyz
from mtrack_formats.recording import Bodies, Recording, Table
from mtrack_motion.derive import angular_velocity, difference

log = logging.getLogger(__name__)

_FRAMES = 2000  # to compare
_DISAGREES, _FITS = 0.3, 0.1  # of the size of the velocities; those of a centre of mass differ by less than the first
_LEAST = 0.05  # m/s or rad/s


def report_velocities(recording: Recording, quat_order: str, rate: float) -> None:
    """Log a warning for recorded body velocities that are not the rates of change of the recorded body poses."""
    bodies = recording.bodies
    if bodies is None or not bodies.in_world or len(bodies.pos) < 3:
        return
    for name, unit, recorded in (("linear", "m/s", bodies.lin_vel), ("angular", "rad/s", bodies.ang_vel)):
        if recorded is None or (name == "angular" and bodies.quat is None):
            continue
        if recorded.shape != bodies.pos.shape or not np.isfinite(recorded).all():
            log.warning(
                "%s: the file's %s velocities of bodies are not usable; they are not used", recording.place, name
            )
            continue
        derived, compared = _derived(bodies, name, quat_order, rate), recorded[:_FRAMES]
        off = np.linalg.norm(compared - derived, axis=2)
        if _size(off) > max(_DISAGREES * _size(np.linalg.norm(derived, axis=2)), _LEAST):
            frame, body = (int(i) for i in np.unravel_index(int(off.argmax()), off.shape))
            log.warning(
                "%s: the file's %s velocities of bodies disagree with their poses, by %.2g %s on average and %.2g at "
                "body %d, frame %d%s; mtrack derives its own and does not use them",
                *(recording.place, name, _size(off), unit, off[frame, body], body, frame),
                _cause(bodies, compared, derived, quat_order),
            )


def _derived(bodies: Bodies, name: str, quat_order: str, rate: float) -> Table:
    """Return the velocities that the poses of the first frames have, [T, B, 3]."""
    count = bodies.pos.shape[1]
    if name == "linear":
        moved = difference(torch.tensor(bodies.pos[:_FRAMES]).flatten(1), 1.0 / rate)
        return np.asarray(moved.view(-1, count, 3).numpy(), np.float64)
    assert bodies.quat is not None
    quat = unit_wxyz(bodies.quat[:_FRAMES], quat_order)
    return torch.stack([angular_velocity(quat[:, body], 1.0 / rate) for body in range(count)], dim=1).numpy()


def _cause(bodies: Bodies, recorded: Table, derived: Table, quat_order: str) -> str:
    """Return what explains wrong velocities, in words; empty if nothing does."""
    if bodies.quat is None:
        return ""
    turned = quat_rotate(unit_wxyz(bodies.quat[:_FRAMES], quat_order), torch.tensor(recorded)).numpy()
    fits = _size(np.linalg.norm(turned - derived, axis=2)) < _FITS * _size(np.linalg.norm(derived, axis=2))
    return " (they are in the frame of each body, not in world axes)" if fits else ""


def _size(lengths: Table) -> float:
    return float(np.sqrt(np.mean(lengths**2)))
