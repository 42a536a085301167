"""The motion library: the frames of all clips at the control rate, with velocities and contacts."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Sequence
from typing import Any, Protocol, runtime_checkable

import attrs
import torch
from torch import Tensor

from mtrack import Clip, Kinematics, MotionError, ReferenceClip, Robot, RobotModel
from mtrack_motion.clip import check_clip, content_hash, foreign_joints
from mtrack_motion.derive import ContactRule, derive_frames
from mtrack_motion.tables import FrameTables, GatheredKinematics, LargeTables, Tables

log = logging.getLogger(__name__)


@attrs.frozen(eq=False, kw_only=True)
class Extremes:
    """Smallest and largest values of each clip over all of its frames, [C] each."""

    root_low: Tensor
    """m."""
    root_high: Tensor
    """m."""
    root_speed: Tensor
    """m/s."""
    root_turning: Tensor
    """rad/s."""
    foot_high: Tensor
    """m, of the feet's origins."""

    @staticmethod
    def of(kinematics: Kinematics, feet: Tensor, length: Tensor) -> Extremes:
        """Return those of consecutive clips of `length` frames, int64 [C]; `feet` are body indices, int64 [F]."""
        clip = torch.repeat_interleave(torch.arange(len(length)), length)
        height = kinematics.root_pos[:, 2]
        most = {
            "root_low": -height,
            "root_high": height,
            "root_speed": kinematics.root_lin_vel.norm(dim=-1),
            "root_turning": kinematics.root_ang_vel.norm(dim=-1),
            "foot_high": kinematics.body_pos[:, feet, 2].amax(-1),
        }
        found = {n: torch.full((len(length),), -torch.inf).scatter_reduce_(0, clip, v, "amax") for n, v in most.items()}
        return Extremes(**{**found, "root_low": -found["root_low"]})

    def each(self, change: Callable[[Tensor], Tensor]) -> Extremes:
        """Return these with every tensor changed."""
        return Extremes(**{field.name: change(getattr(self, field.name)) for field in attrs.fields(Extremes)})


@attrs.frozen(eq=False, kw_only=True)
class MotionLibrary:
    """C clips of one robot at the control rate, F frames in all, one clip after the other.

    The tables have a row for each frame, and after all frames one more row for each clip: its last pose at rest.
    """

    names: tuple[str, ...]
    start: Tensor
    """int64 [C] first frame of each clip."""
    length: Tensor
    """int64 [C] number of its frames."""
    held: Tensor
    """int64 [C] the row to show after the end of each clip: the pose of its last frame, at rest."""
    weight: Tensor
    """[C] how often each clip is drawn, relative to the others of its source."""
    extremes: Extremes = attrs.field(repr=False)
    fps: float
    """Frames per second: the control rate."""
    sha256: tuple[str, ...]
    """Content hash of each clip."""
    tables: Tables = attrs.field(repr=False)

    @property
    def num_frames(self) -> int:
        """Number of frames of all clips."""
        return int(self.length.sum())

    def gather(self, frames: Tensor) -> GatheredKinematics:
        """Return kinematics and contact reference of frames of the library, int64 [n] or [n, S]."""
        return GatheredKinematics(self.tables, frames)

    def reference_clip(self, number: int) -> ReferenceClip:
        """Return a clip as a robot plays it."""
        first = int(self.start[number])
        frames = self.gather(torch.arange(first, first + int(self.length[number]), device=self.start.device))
        names = ("root_pos", "root_quat_wxyz", "joint_pos", "joint_vel")
        values = {name: getattr(frames, name).cpu().clone() for name in names}
        return ReferenceClip(name=self.names[number], sha256=self.sha256[number], **values)

    def rows(self, clip: Tensor, frames: Tensor) -> Tensor:
        """Return the table rows of frames of clips, int64 [n, S] and [n]; after its end a clip shows its held row."""
        within = frames < self.length[clip].unsqueeze(1)
        return torch.where(within, self.start[clip].unsqueeze(1) + frames, self.held[clip].unsqueeze(1))

    def nth(self, number: Tensor) -> Tensor:
        """Return the table rows, int64 [n], of frames that are numbered over all clips from 0 to `num_frames`."""
        ends = self.length.cumsum(0)
        clip = torch.searchsorted(ends, number, right=True)
        return number + (self.start + self.length - ends)[clip]

    def to(self, device: torch.device | str) -> MotionLibrary:
        """Return the library on a device."""
        moved = {name: getattr(self, name).to(device) for name in ("start", "length", "held", "weight", "tables")}
        return attrs.evolve(self, extremes=self.extremes.each(lambda tensor: tensor.to(device)), **moved)

    def some(self, clips: Sequence[int]) -> MotionLibrary:
        """Return a library of some clips, over the same tables."""
        ids = torch.tensor(clips, dtype=torch.int64)
        kept = {name: getattr(self, name)[ids] for name in ("start", "length", "held", "weight")}
        names, digests = (tuple(values[i] for i in clips) for values in (self.names, self.sha256))
        extremes = self.extremes.each(lambda tensor: tensor[ids])
        return attrs.evolve(self, names=names, sha256=digests, extremes=extremes, **kept)

    @staticmethod
    def concatenate(libraries: Sequence[MotionLibrary]) -> MotionLibrary:
        """Return one library of the clips of several at the same rate, in order."""
        if len(libraries) == 1:
            return libraries[0]
        before = list(itertools.accumulate((each.tables.num_frames for each in libraries[:-1]), initial=0))
        extremes = [attrs.asdict(each.extremes, recurse=False) for each in libraries]
        return MotionLibrary(
            names=tuple(name for each in libraries for name in each.names),
            start=torch.cat([each.start + first for each, first in zip(libraries, before, strict=True)]),
            length=torch.cat([each.length for each in libraries]),
            held=torch.cat([each.held + first for each, first in zip(libraries, before, strict=True)]),
            weight=torch.cat([each.weight for each in libraries]),
            extremes=Extremes(**{name: torch.cat([each[name] for each in extremes]) for name in extremes[0]}),
            fps=libraries[0].fps,
            sha256=tuple(digest for each in libraries for digest in each.sha256),
            tables=LargeTables(libraries[0].tables.columns, [part for each in libraries for part in each.tables.parts]),
        )

    @staticmethod
    def build(
        robot: Robot, clips: Sequence[tuple[float, Clip]], control_dt: float, contact: ContactRule | None = None
    ) -> MotionLibrary:
        """Return the library of (weight, clip) pairs for control steps of `control_dt` seconds. Raises MotionError."""
        if not clips:
            raise MotionError("there is no motion to track; give at least one clip")
        model = robot.model()
        for _, clip in clips:
            check_clip(clip, f"clip '{clip.name}'")
        _report_foreign_joints([clip for _, clip in clips], model)
        frames = derive_frames(robot, [clip for _, clip in clips], control_dt, contact or ContactRule())
        length, standing = frames.length, frames.contact
        start = length.cumsum(0) - length
        last = start + length - 1
        return MotionLibrary(
            names=tuple(clip.name for _, clip in clips),
            start=start,
            length=length,
            held=len(standing) + torch.arange(len(clips)),
            weight=torch.tensor([weight for weight, _ in clips], dtype=torch.float32),
            extremes=Extremes.of(frames.kinematics, model.bodies("feet"), length),
            fps=1.0 / control_dt,
            sha256=tuple(clip.identity or content_hash(clip) for _, clip in clips),
            tables=FrameTables(_with_held(frames.kinematics, last), torch.cat((standing, standing[last]))),
        )


@runtime_checkable
class PlaysLibrary(Protocol):
    """A command that plays the clips of a motion library; `Scene.command` may be one."""

    robot: Robot
    library: MotionLibrary
    clip: Tensor
    """int64 [N], of the library: the clip that each environment plays."""


def _with_held(kinematics: Kinematics, last: Tensor) -> Kinematics:
    """Return frames [F, ...] followed by those of `last`, int64 [C], at rest."""
    names = [field.name for field in attrs.fields(Kinematics) if field.name != "cache"]
    values: dict[str, Tensor] = {name: getattr(kinematics, name) for name in names}
    held = {name: torch.zeros_like(v[last]) if name.endswith("_vel") else v[last] for name, v in values.items()}
    both: dict[str, Any] = {name: torch.cat((value, held[name])) for name, value in values.items()}
    return Kinematics(**both)


def _report_foreign_joints(clips: Sequence[Clip], model: RobotModel) -> None:
    for joints in {foreign_joints(clip, model): None for clip in clips}:
        if joints:
            having = sum(foreign_joints(clip, model) == joints for clip in clips)
            names = ", ".join(joints)
            log.warning("%d clips move joints that robot '%s' does not have; ignored: %s", having, model.name, names)
