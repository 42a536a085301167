"""Moves the root so that what carries the robot is on the floor and does not slide, as far as that is possible."""

from __future__ import annotations

import numpy as np
from scipy.ndimage import gaussian_filter1d, median_filter

from mtrack_quality.measure import free_fall, runs
from mtrack_retarget.robot_motion import Array, Flags, RobotMotion
from mtrack_retarget.tracked import TrackedMotion

_HEIGHT_S, _SLIDE_S = 0.06, 0.12  # s, widths of the Gaussians that smooth heights and slides
_SLIDE_WINDOW_S = 0.4
_LEAP_S = 0.6  # s; longer without a standing foot, the robot lies, crawls or sits
_LOWER = 0.02  # m by which another part of the body is below the feet if it carries the robot
_UP = np.array([0.0, 0.0, 1.0])
_NEAR = 0.02  # m above the lower sole at which a foot's slide counts 1/e


def lifted(motion: RobotMotion, tracked: TrackedMotion, stands: Flags) -> Array:
    """Return root positions [T, 3] m that put what carries the robot on the floor; `stands` is [T, F].

    Between two contacts the change of height is linear, so that a leap keeps its acceleration.
    """
    by_foot = np.where(stands, tracked.soles, np.inf).min(axis=1)
    falls = free_fall(motion.root_pos[:, 2], motion.fps)
    by_body = (tracked.lowest < tracked.soles.min(axis=1) - _LOWER) & ~falls
    carried = stands.any(axis=1) | by_body
    if not carried.any():
        return np.asarray(motion.root_pos - _UP * tracked.lowest.min())
    floor = np.where(by_body, tracked.lowest, by_foot)
    frames = np.arange(len(motion))
    floor = np.interp(frames, frames[carried], floor[carried])
    floor = gaussian_filter1d(floor, _HEIGHT_S * motion.fps, mode="nearest")
    return np.asarray(motion.root_pos - floor[:, None] * _UP)


def without_slides(motion: RobotMotion, tracked: TrackedMotion, stands: Flags) -> Array:
    """Return root positions [T, 3] m that move against the slides of the feet that stand, [T, F]."""
    window = max(1, round(_SLIDE_WINDOW_S * motion.fps))
    slide, weight = np.zeros_like(tracked.contact), np.zeros(stands.shape)
    above = tracked.soles - tracked.soles.min(axis=1, keepdims=True)
    for foot in range(stands.shape[1]):
        for first, end in runs(stands[:, foot]):
            now = tracked.contact[first:end, foot]
            slide[first:end, foot] = median_filter(now, size=(min(window, end - first), 1), mode="nearest")
            weight[first:end, foot] = np.exp(-above[first:end, foot] / _NEAR)
    total = weight.sum(axis=1)
    known = total > 0.0
    if not known.any():
        return motion.root_pos
    mean = (slide * weight[..., None]).sum(axis=1)[known] / total[known, None]
    frames = np.arange(len(motion))
    drift = np.stack([np.interp(frames, frames[known], mean[:, axis]) for axis in range(2)], axis=1)
    for first, end in runs(~known):  # a leap keeps the drift, a fall or a crawl has none
        if (end - first) / motion.fps > _LEAP_S:
            drift[first:end] = 0.0
    drift = gaussian_filter1d(drift, _SLIDE_S * motion.fps, axis=0, mode="nearest")
    shift = np.cumsum(drift, axis=0) / motion.fps
    moved = motion.root_pos.copy()
    moved[:, :2] -= shift - shift[0]
    return moved
