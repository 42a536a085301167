"""Find jumps of a motion: steps of the root or a joint that exceed what the steps on both sides suggest."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import attrs
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FEWEST_STEPS = 5
"""Shorter motions are not judged."""
_AROUND = 6  # steps on each side, whose median is reported
_LOWEST_RATE = 22.0  # 1/s; above twice this rate, every other frame can be skipped
_CALIBRATED_RATE = 25.0  # 1/s; at lower rates genuine steps differ more from each other
_SHAKES = 0.6  # relative to the jump; if the steps around it are larger, the motion is noisy


@attrs.frozen
class Break:
    """One way in which a motion is not continuous, and the worst place."""

    kind: str
    """`jump`, `repeat` or `gap`."""
    brief: str
    """Short text for a table."""
    text: str
    """A sentence: how large, where, and how large the steps around it are."""
    frame: int
    severity: float
    """At 1 and above, the clip is excluded unless the user accepts it."""
    remedy: str = "cut the clip there"

    @property
    def serious(self) -> bool:
        """Whether it excludes the clip."""
        return self.severity >= 1.0


@attrs.frozen
class _Limits:
    """How far a step may exceed what the steps around it suggest."""

    noted: float
    rejected: float
    unit: str
    factor: float
    """Conversion from m or rad to the unit."""


# genuine steps of 67 clips (kicks, leaps, spins, walks, falls; 30 and 50 Hz) exceed the steps around them by at most
# 0.022 m, 0.044 rad and 0.16 rad; retargeting artefacts in LAFAN1 (ankles, wrists) are between the two limits
_ROOT = _Limits(0.025, 0.06, "cm", 100.0)
_TURN = _Limits(0.12, 0.35, "rad", 1.0)
_JOINT = _Limits(0.2, 0.5, "rad", 1.0)


def find_jumps(
    root_pos: Array,
    quat: Array,
    angles: Array,
    fps: float,
    frames: NDArray[np.int64],
    names: Sequence[str],
    only_serious: bool,
) -> Iterator[Break]:
    """Yield the worst jump of the root, of its rotation and of each joint."""
    tolerance = max(1.0, _CALIBRATED_RATE / fps)
    worst: dict[str, Break] = {}
    stride = 1
    while stride == 1 or (fps / stride >= _LOWEST_RATE and len(root_pos) > FEWEST_STEPS * stride):
        # an interpolated jump extends over several frames, and is visible in steps over as many frames
        for what, steps, limits in (
            (("the root",), root_pos[stride:, None] - root_pos[:-stride, None], _ROOT),
            (("the root's rotation",), turns(quat, stride)[:, None], _TURN),
            (names, (angles[stride:] - angles[:-stride])[..., None], _JOINT),
        ):
            least = (limits.rejected if only_serious else limits.noted) * tolerance
            for column, one in _worst_jumps(steps, stride, limits, tolerance, least, what, frames):
                known = worst.get(what[column])
                if known is None or (one.serious and not known.serious):
                    worst[what[column]] = one
        stride *= 2
    yield from worst.values()


def _worst_jumps(
    steps: Array,
    stride: int,
    limits: _Limits,
    tolerance: float,
    least: float,
    what: Sequence[str],
    frames: NDArray[np.int64],
) -> Iterator[tuple[int, Break]]:
    """Yield the column and worst jump of each column of steps [S, C, D] with an excess of at least `least`."""
    size = np.abs(steps[..., 0]) if steps.shape[-1] == 1 else np.linalg.norm(steps, axis=-1)
    rows, columns = np.nonzero(size > least)  # no step exceeds the others by more than its own size
    if not len(rows):
        return
    if stride > 1:
        inside = (rows >= 2 * stride) & (rows < len(steps) - 2 * stride)
        rows, columns = rows[inside], columns[inside]
    excess = _excess(steps, size, rows, columns, stride)
    found = excess > least
    rows, columns, excess = rows[found], columns[found], excess[found]
    for column in np.unique(columns):
        mine = np.flatnonzero(columns == column)
        row, count = int(rows[mine[excess[mine].argmax()]]), 1 + int((np.diff(rows[mine]) > 2 * stride).sum())
        offsets = [offset for offset in range(-_AROUND, _AROUND + 1) if offset]
        around = float(np.median(size[[_reflected(row + offset * stride, len(size)) for offset in offsets], column]))
        back = row + stride < len(steps) and np.linalg.norm(steps[row, column] + steps[row + stride, column])
        spike = stride == 1 and bool(back) and back < 0.5 * size[row, column]
        unit, many = limits.unit, f", and in {count - 1} more places" if count > 1 else ""
        step, usual = size[row, column] * limits.factor, around * limits.factor
        first, last = int(frames[row]), int(frames[row + stride])
        where = f"in frame {last} alone" if spike else f"from frame {first} to {last}"
        yield (
            int(column),
            Break(
                "jump",
                f"{what[column].removeprefix('the ')} jumps {step:.3g} {unit}",
                _jump_text(what[column], step, usual, unit, where) + many,
                first,
                float(excess[mine].max()) / (limits.rejected * tolerance),
            ),
        )


def _jump_text(what: str, step: float, usual: float, unit: str, where: str) -> str:
    if usual > _SHAKES * step:  # noise: all steps are like this one
        return f"{what} shakes from frame to frame, by {usual:.2g} {unit} on average and by {step:.3g} {unit} {where}"
    return f"{what} jumps by {step:.3g} {unit} {where}; the steps around it are {usual:.2g} {unit}"


def _excess(steps: Array, size: Array, rows: NDArray[np.int64], columns: NDArray[np.int64], stride: int) -> Array:
    """Return how much some steps differ from what the two steps on each side suggest, and are longer than both, [K].

    An abrupt stop or start also differs, but is not longer than the steps on one of its sides.
    """
    near = [steps[_reflected(rows + offset * stride, len(steps)), columns] for offset in (-2, -1, 1, 2)]
    here, length = steps[rows, columns], size[rows, columns]
    expected = (4.0 * (near[1] + near[2]) - (near[0] + near[3])) / 6.0
    along = [(here * other).sum(axis=-1) / length for other in near[1:3]]
    longer = length - np.maximum(np.maximum(*along), 0.0)
    return np.asarray(np.minimum(np.linalg.norm(here - expected, axis=-1), longer))


def turns(quat: Array, stride: int) -> Array:
    """Return the rotation vectors from each frame to the frame one stride later, [T - stride, 3] rad."""
    first, last = quat[:-stride], quat[stride:]
    scalar = (first * last).sum(axis=1)
    (w, x, y, z), (w2, x2, y2, z2) = first.T, last.T  # the vector part of the product of first's conjugate and last
    vector = np.stack(
        (
            w * x2 - x * w2 - y * z2 + z * y2,
            w * y2 - y * w2 - z * x2 + x * z2,
            w * z2 - z * w2 - x * y2 + y * x2,
        ),
        axis=1,
    )
    length = np.linalg.norm(vector, axis=1)
    angle = 2.0 * np.arctan2(length, np.abs(scalar)) * np.where(scalar < 0.0, -1.0, 1.0)
    return np.asarray(vector * (angle / np.maximum(length, 1e-12))[:, None])


def _reflected(index: NDArray[np.int64] | int, count: int) -> NDArray[np.int64]:
    """Mirror indices outside of 0 ... count - 1 into this range."""
    inside = count - 1 - np.abs(count - 1 - np.abs(np.asarray(index, np.int64)))
    return np.asarray(np.clip(inside, 0, count - 1))
