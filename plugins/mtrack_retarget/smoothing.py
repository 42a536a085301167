"""Removes spikes of one or two frames and the jitter of noisy recordings; everything else stays as it is."""

from __future__ import annotations

import attrs
import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter
from scipy.spatial.transform import Rotation

from mtrack_retarget.robot_motion import Array, Flags, RobotMotion, continuous

_SPIKE_POS, _SPIKE_ANGLE = 0.02, 0.12  # m, rad from the line between its neighbours
_SPIKE_RATIO = 5.0  # times the usual distance from that line
_AROUND = 13  # frames over which that is measured
_JITTER_POS, _JITTER_ANGLE = 0.004, 0.015  # m, rad: standard deviation of noise that is smoothed
_SMOOTH_S = 0.04  # s, width of the Gaussian over noisy columns
_FOURTH = np.array([1.0, -4.0, 6.0, -4.0, 1.0])
_FEWEST = 8  # frames; shorter motions are not judged


@attrs.frozen(eq=False)
class Smoothed:
    """A motion and what was smoothed."""

    motion: RobotMotion
    spikes: int
    """Frames that were replaced by what lies between their neighbours."""
    smoothed: tuple[str, ...]
    """Noisy columns: joints, `root position`, `root rotation`."""


def smooth(motion: RobotMotion, joint_names: tuple[str, ...]) -> Smoothed:
    """Return a motion without spikes and jitter."""
    if len(motion) < _FEWEST:
        return Smoothed(motion, 0, ())
    turn = Rotation.from_quat(motion.root_quat_wxyz, scalar_first=True)
    first = turn[0]
    vector = _unwrapped((first.inv() * turn).as_rotvec())
    columns = [("root position", motion.root_pos, _SPIKE_POS, _JITTER_POS)]
    columns.append(("root rotation", vector, _SPIKE_ANGLE, _JITTER_ANGLE))
    columns += [
        (name, motion.joint_pos[:, i : i + 1], _SPIKE_ANGLE, _JITTER_ANGLE) for i, name in enumerate(joint_names)
    ]
    repaired, spiked, noisy = [], np.zeros(len(motion), bool), []
    for name, values, spike, jitter in columns:
        clean, found = _without_spikes(values, spike)
        spiked |= found
        if _noise(clean) > jitter:
            clean = gaussian_filter1d(clean, _SMOOTH_S * motion.fps, axis=0, mode="nearest")
            noisy.append(name)
        repaired.append(clean)
    if not spiked.any() and not noisy:
        return Smoothed(motion, 0, ())
    quat = (first * Rotation.from_rotvec(repaired[1])).as_quat(scalar_first=True)
    clean_motion = RobotMotion(motion.fps, repaired[0], continuous(quat), np.concatenate(repaired[2:], axis=1))
    return Smoothed(clean_motion, int(spiked.sum()), tuple(noisy))


def _without_spikes(values: Array, least: float) -> tuple[Array, Flags]:
    """Return values [T, W] whose spikes are interpolated, and the frames that were replaced."""
    values, replaced = values.copy(), np.zeros(len(values), bool)
    for width in (1, 2):
        count = len(values) - width - 1
        shares = np.arange(1, width + 1)[:, None, None] / (width + 1)
        chord = values[:count] + (values[width + 1 :] - values[:count]) * shares
        inner = np.stack([values[1 + i : 1 + i + count] for i in range(width)])
        distance = np.linalg.norm(inner - chord, axis=-1)
        least_of_run, most_of_run = distance.min(axis=0), distance.max(axis=0)
        usual = median_filter(most_of_run, _AROUND, mode="reflect")
        neighbours = np.maximum(np.roll(most_of_run, 1), np.roll(most_of_run, -1))
        neighbours[[0, -1]] = np.inf
        returns = np.linalg.norm(values[width + 1 :] - values[:count], axis=-1) < least_of_run
        stands_out = (most_of_run > _SPIKE_RATIO * usual) & (most_of_run > 1.3 * neighbours)
        spikes = returns & stands_out & (least_of_run > least)
        for frame in np.flatnonzero(spikes):
            values[frame + 1 : frame + 1 + width] = chord[:, frame]
            replaced[frame + 1 : frame + 1 + width] = True
    return values, replaced


def _noise(values: Array) -> float:
    """Return the standard deviation of white noise in values [T, W]; smooth motions hardly have fourth differences."""
    fourth = sum(weight * values[i : len(values) - 4 + i] for i, weight in enumerate(_FOURTH))
    return float(np.median(np.abs(fourth), axis=0).max() / 0.6745 / np.linalg.norm(_FOURTH))


def _unwrapped(vectors: Array) -> Array:
    """Return rotation vectors [T, 3] that change continuously over several turns."""
    vectors = vectors.copy()
    for frame in range(1, len(vectors)):
        angle = np.linalg.norm(vectors[frame])
        if angle > 1e-9:
            turns = 2.0 * np.pi * np.arange(-2, 3)[:, None] * vectors[frame] / angle
            options = vectors[frame] + turns
            vectors[frame] = options[np.linalg.norm(options - vectors[frame - 1], axis=1).argmin()]
    return vectors
