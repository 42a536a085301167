"""Plans the soles of a motion: fixed on the floor while they stand, and between two stances as the motion has them."""

from __future__ import annotations

from collections.abc import Sequence

import attrs
import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.spatial.transform import Rotation

from mtrack_quality.measure import runs
from mtrack_retarget.body import SolePoses, SoleShape
from mtrack_retarget.robot_motion import Array, Flags, smoothstep

_LEVEL, _TILTED = 0.25, 0.5  # rad: a sole that is tilted by less is put down flat, by more it keeps its tilt
_SOFTEST = 0.004  # m: balls that are higher by this carry 1/e of the weight
_APART = 0.07  # m that a stance may slide; further apart, it is two stances with a step between them
_STEP_S = 0.2  # s for that step
_STEP_M, _CLEARANCE = 0.1, 0.02  # m: in a longer step, a foot rises at least by this in the middle
_SETTLE_S = 0.2  # s in which a sole that leaves the floor takes up the speed that the motion has there
_TILT_S = 0.04  # s, width of the Gaussian that smooths kept tilts


@attrs.frozen(eq=False)
class Footholds:
    """Where the soles should be, and in which frames they are fixed."""

    soles: SolePoses
    fixed: Flags
    """[T, F]."""


@attrs.frozen(eq=False)
class _Flat:
    """A sole as it would be if it were flat on the floor, pivoted about the points that carry it."""

    pos: Array
    """[T, 2] m."""
    yaw: Array
    """[T] rad."""
    tilt: Rotation
    """T rotations from flat to the sole's own orientation."""


def footholds(soles: SolePoses, stands: Flags, shapes: Sequence[SoleShape], fps: float, *, is_round: bool) -> Footholds:
    """Return the plan for soles of some shapes that stand in some frames, [T, F]."""
    pos, rot, fixed = soles.pos.copy(), soles.rot.copy(), np.zeros_like(stands)
    for foot in range(stands.shape[1]):
        flat = _flat(soles.pos[:, foot], soles.rot[:, foot], shapes[foot])
        tilt = _kept_tilt(flat.tilt, stands[:, foot], fps, is_round=is_round)
        spans = [part for span in runs(stands[:, foot]) for part in _parts(flat.pos, *span, fps)]
        for first, end in spans:
            frames = slice(first, end)
            place, yaw = np.median(flat.pos[frames], axis=0), _mean_angle(flat.yaw[frames])
            pos[frames, foot], rot[frames, foot] = _pivoted(place, yaw, tilt[frames], shapes[foot])
            fixed[frames, foot] = True
        if spans:
            _swing(soles, pos, rot, fixed[:, foot], foot, fps)
    _raise(pos, rot, fixed, shapes)
    return Footholds(SolePoses(pos, rot), fixed)


def _flat(pos: Array, rot: Array, shape: SoleShape) -> _Flat:
    own = Rotation.from_matrix(rot)
    quat = own.as_quat()  # x, y, z, w; the twist about z, which is defined for every tilt but a somersault
    yaw = 2.0 * np.arctan2(quat[:, 2], quat[:, 3])
    turn = Rotation.from_euler("z", yaw[:, None])
    tilt = turn.inv() * own
    carried = np.einsum("tij,kj->tki", rot, shape.points)
    level = np.einsum("tij,kj->tki", turn.as_matrix(), shape.points)
    share = _shares(carried[..., 2] - shape.radii)
    shift = ((carried - level) * share[..., None]).sum(axis=1)
    return _Flat((pos + shift)[:, :2], np.unwrap(yaw), tilt)


def _shares(heights: Array) -> Array:
    """Return how much each ball carries, [T, K], from the heights of their lowest points [T, K] m."""
    weight = np.exp(-(heights - heights.min(axis=1, keepdims=True)) / _SOFTEST)
    return np.asarray(weight / weight.sum(axis=1, keepdims=True))


def _kept_tilt(tilt: Rotation, stands: Flags, fps: float, *, is_round: bool) -> Rotation:
    """Return the tilts of a standing sole: none if it is nearly flat, its own if it is far from that."""
    vector = tilt.as_rotvec()
    angle = np.linalg.norm(vector, axis=1)
    share = np.clip((angle - _LEVEL) / (_TILTED - _LEVEL), 0.0, 1.0)
    keep = np.ones_like(share) if is_round else smoothstep(share)
    kept = vector * keep[:, None]
    for first, end in runs(stands):
        kept[first:end] = gaussian_filter1d(kept[first:end], _TILT_S * fps, axis=0, mode="nearest")
    return Rotation.from_rotvec(kept)


def _parts(pos: Array, first: int, end: int, fps: float) -> list[tuple[int, int]]:
    """Return a stance as one span of frames, or as several if it slides too far."""
    here, step = pos[first:end], round(_STEP_S * fps)
    far = np.linalg.norm(here - np.median(here, axis=0), axis=1).max()
    if far < _APART or end - first < 3 * step:
        return [(first, end)]
    moved = np.linalg.norm(here[step:] - here[:-step], axis=1)
    inner = moved[step // 2 : len(moved) - step // 2]
    cut = first + step // 2 + int(inner.argmax())
    return [*_parts(pos, first, cut, fps), *_parts(pos, cut + step, end, fps)]


def _pivoted(place: Array, yaw: float, tilt: Rotation, shape: SoleShape) -> tuple[Array, Array]:
    """Return positions and orientations of a sole that stands at a place and is tilted about its lowest points."""
    turn = Rotation.from_euler("z", yaw)
    rot = (turn * tilt).as_matrix()
    carried = np.einsum("tij,kj->tki", rot, shape.points)
    level = turn.apply(shape.points)
    bottom = carried[..., 2] - shape.radii
    share = _shares(bottom)
    pos = np.concatenate((np.tile(place, (len(rot), 1)), np.zeros((len(rot), 1))), axis=1)
    pos += ((level[None] - carried) * share[..., None]).sum(axis=1) * [1.0, 1.0, 0.0]
    pos[:, 2] = -bottom.min(axis=1)
    return pos, rot


def _swing(soles: SolePoses, pos: Array, rot: Array, fixed: Flags, foot: int, fps: float) -> None:
    """Let the corrections of a foot change smoothly from one stance to the next."""
    shift = pos[:, foot] - soles.pos[:, foot]
    turn = (Rotation.from_matrix(rot[:, foot]) * Rotation.from_matrix(soles.rot[:, foot]).inv()).as_rotvec()
    correction = np.concatenate((shift, turn), axis=1)
    for first, end in runs(~fixed):
        start = _change(correction, first - 1, -1, fixed)
        stop = _change(correction, end, 1, fixed)
        # at an end of the motion, the correction stays what it is
        before, after = correction[first - 1 if first else end], correction[end if end < len(fixed) else first - 1]
        elapsed, count = np.arange(1.0, end - first + 1)[:, None], end - first + 1
        share = smoothstep(elapsed / count)
        reach = min(count, _SETTLE_S * fps)
        correction[first:end] = before + (after - before) * share
        correction[first:end] += start * _settling(elapsed, reach) - stop * _settling(count - elapsed, reach)
    swings = ~fixed
    pos[swings, foot] = soles.pos[swings, foot] + correction[swings, :3]
    turned = Rotation.from_rotvec(correction[swings, 3:]) * Rotation.from_matrix(soles.rot[swings, foot])
    rot[swings, foot] = turned.as_matrix()


def _change(correction: Array, frame: int, inwards: int, fixed: Flags) -> Array:
    """Return the change of the correction per frame at the edge of a stance; 0 if there is no stance."""
    inside = frame + inwards
    if not 0 <= min(frame, inside) <= max(frame, inside) < len(fixed) or not fixed[inside]:
        return np.zeros(6)
    return np.asarray((correction[frame] - correction[inside]) * -inwards)


def _settling(frames: Array, reach: float) -> Array:
    """Return a distance that starts with slope 1 at frame 0 and is 0 from `reach` frames on."""
    left = np.clip(1.0 - frames / reach, 0.0, None)
    return np.asarray(frames * left * left)


def _raise(pos: Array, rot: Array, fixed: Flags, shapes: Sequence[SoleShape]) -> None:
    """Raise soles that are in the floor, or that graze it in a step."""
    lowest, _ = SolePoses(pos, rot).bottom(shapes)
    least = np.zeros_like(lowest)
    for foot in range(fixed.shape[1]):
        for first, end in runs(~fixed[:, foot]):
            if first > 0 and end < len(fixed) and _far(pos[end, foot] - pos[first - 1, foot]) > _STEP_M:
                share = np.arange(1, end - first + 1) / (end - first + 1)
                least[first:end, foot] = _CLEARANCE * np.sin(np.pi * share) ** 2
    pos[..., 2] += np.maximum(least - lowest, 0.0)


def _far(way: Array) -> float:
    return float(np.linalg.norm(way[:2]))


def _mean_angle(angles: Array) -> float:
    return float(np.arctan2(np.median(np.sin(angles)), np.median(np.cos(angles))))
