"""Repairs one motion: heights, slides, stances, spikes, overlaps, joint limits; and says what it changed."""

from __future__ import annotations

from collections.abc import Iterator

import attrs
import numpy as np

from mtrack import MotionError, Robot
from mtrack_quality.geometry import Geometry
from mtrack_retarget.body import PlacedBody
from mtrack_retarget.ends import Ends, balanced, blended
from mtrack_retarget.footholds import footholds
from mtrack_retarget.measures import MotionMeasures, measure
from mtrack_retarget.robot_motion import Flags, RobotMotion
from mtrack_retarget.root_path import lifted, without_slides
from mtrack_retarget.smoothing import Smoothed, smooth
from mtrack_retarget.solver import SoleSolver
from mtrack_retarget.stance import StanceFinder
from mtrack_retarget.tracked import TrackedMotion, track_motion

_FEWEST = 4  # frames


@attrs.frozen
class RepairOptions:
    """What a repair may do."""

    keep_root_xy: bool = False
    """Leave the root's horizontal path as it is: only legs stop the feet from sliding."""
    blend_s: float = 0.0
    """Duration of a blend with standing that is added at both ends; 0 for none [s]."""


@attrs.frozen(eq=False)
class Repaired:
    """A repaired motion."""

    motion: RobotMotion
    added_before: int
    """Frames that a blend added before it."""
    before: MotionMeasures
    after: MotionMeasures
    """Both over the frames in which the feet should stand."""
    stance_share: float
    """Share of the feet's frames in which they stand."""
    lowered_m: float
    """Median over time; negative if it was raised."""
    root_moved_m: float
    """Largest horizontal displacement of the root."""
    joint_change_rad: float
    """Root mean square over joints and frames."""
    spikes: int
    """Frames that were replaced."""
    notes: tuple[str, ...]

    def changes(self) -> str:
        """Return what was done, for the record in the motion file."""
        way = "lowered" if self.lowered_m >= 0.0 else "raised"
        return "; ".join(
            (
                f"{way} by {abs(self.lowered_m) * 100:.1f} cm (median)",
                f"root moved up to {self.root_moved_m * 100:.0f} cm sideways",
                f"soles fixed in {self.stance_share:.0%} of their frames",
                f"joints changed by {self.joint_change_rad:.3f} rad (root mean square)",
                *self.notes,
            )
        )


class Repairer:
    """Repairs motions of one robot."""

    def __init__(self, robot: Robot) -> None:
        """Compile the robot. Raises MotionError if it cannot stand on two feet."""
        self.body = PlacedBody(robot)
        self._geometry = Geometry(robot)
        self._stances = StanceFinder(robot)
        self._solver = SoleSolver(self.body)

    def __call__(self, motion: RobotMotion, options: RepairOptions) -> Repaired:
        """Return the repaired motion. Raises MotionError."""
        if len(motion) < _FEWEST:
            raise MotionError(f"has {len(motion)} frames; a repair needs at least {_FEWEST}")
        body, fps = self.body, motion.fps
        clean = smooth(motion, body.names.joint_names)
        tracked = self._track(clean.motion)
        stands = self._standing(clean.motion, tracked)
        moved = attrs.evolve(clean.motion, root_pos=lifted(clean.motion, tracked, stands))
        if not options.keep_root_xy:
            moved = attrs.evolve(moved, root_pos=without_slides(moved, tracked, stands))
        qpos = body.qpos(moved)
        plan = footholds(body.soles(qpos), stands, body.shapes, fps, is_round=body.round_feet)
        ends = balanced(body, qpos, plan, fps)
        if options.blend_s > 0.0:
            ends = blended(body, ends, fps, options.blend_s)
        solved = body.motion(self._solver(ends.qpos, ends.plan, fps), fps)
        return self._compared(motion, clean, stands, solved, ends)

    def _track(self, motion: RobotMotion) -> TrackedMotion:
        return track_motion(self.body, self._geometry, motion)

    def _standing(self, motion: RobotMotion, tracked: TrackedMotion) -> Flags:
        """Return when the feet stand, [T, F]."""
        stands = self._stances(motion, tracked)
        on_floor = attrs.evolve(motion, root_pos=lifted(motion, tracked, stands))
        # the rule counts no foot that hovers higher than it expects of an ankle
        return np.asarray(stands | self._stances(on_floor, tracked))

    def _compared(
        self, motion: RobotMotion, clean: Smoothed, stands: Flags, solved: RobotMotion, ends: Ends
    ) -> Repaired:
        ranges = self.body.names.joint_range.double().numpy()
        kept = solved.part(ends.added_before, ends.added_before + len(motion))
        before, after = (measure(one, self._track(one), stands, ranges) for one in (motion, kept))
        root = kept.root_pos - motion.root_pos
        return Repaired(
            motion=solved,
            added_before=ends.added_before,
            before=before,
            after=after,
            stance_share=float(stands.mean()),
            lowered_m=float(-np.median(root[:, 2])),
            root_moved_m=float(np.linalg.norm(root[:, :2], axis=1).max()),
            joint_change_rad=float(np.sqrt(((kept.joint_pos - motion.joint_pos) ** 2).mean())),
            spikes=clean.spikes,
            notes=(*_smoothing_notes(clean), *_end_notes(ends)),
        )


def _smoothing_notes(clean: Smoothed) -> Iterator[str]:
    if clean.spikes:
        yield f"{clean.spikes} frame{'s' if clean.spikes > 1 else ''} with spikes replaced"
    if clean.smoothed:
        yield f"jitter smoothed: {', '.join(clean.smoothed[:3])}" + (
            f" and {len(clean.smoothed) - 3} more" if len(clean.smoothed) > 3 else ""
        )


def _end_notes(ends: Ends) -> Iterator[str]:
    for shift, name in zip(ends.shifts, ("first", "last"), strict=True):
        if shift > 1e-3:
            yield f"root moved by {shift * 100:.1f} cm in the {name} frame to stand"
    yield from ends.notes
