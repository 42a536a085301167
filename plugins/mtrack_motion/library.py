"""All frames of all clips at the control rate, with all that is derived from them, gathered by frame number."""

from __future__ import annotations

import logging
import operator
from collections.abc import Callable, Sequence

import attrs
import torch
from torch import Tensor

from mtrack.errors import MotionError
from mtrack.exchange import Clip
from mtrack.protocols import Robot
from mtrack.quantities import derived
from mtrack.robot import RobotModel
from mtrack.scene import Kinematics
from mtrack_motion.clip import check_clip, content_hash, foreign_joints, joint_columns
from mtrack_motion.derive import ContactRule, Frames, angular_velocity, difference, resample, standing_feet
from mtrack_mujoco.kinematics import forward_kinematics

log = logging.getLogger(__name__)

_ROOT = ("root_pos", "root_quat_wxyz", "root_lin_vel", "root_ang_vel", "joint_pos", "joint_vel")
_ROOT_DERIVED = ("root_rot", "projected_gravity", "root_lin_vel_root", "root_ang_vel_root")


class FrameTables:
    """Float32 tables with a row for each frame: one of root, joints and contact, and others for quantities of bodies.

    Such a table is made when its quantity is first asked for, so a run keeps and fetches only what its terms use.
    """

    def __init__(self, kinematics: Kinematics, contact: Tensor) -> None:
        """Take all frames, [F, ...], and the contact reference, [F, feet]."""
        parts = {name: getattr(kinematics, name) for name in _ROOT} | {"contact": contact}
        parts |= {name: getattr(kinematics, name) for name in _ROOT_DERIVED}
        self.names = tuple(parts)
        self.root = torch.cat([part.flatten(1).float() for part in parts.values()], dim=1)
        """[F, W] what a gather always fetches, at once."""
        self.widths = [part[0].numel() for part in parts.values()]
        self.kinematics = kinematics
        self.made: dict[str, Tensor] = {}

    def table(self, name: str, compute: Callable[[Kinematics], Tensor]) -> Tensor:
        """Return the table of a quantity, [F, ...], `compute`d of all frames when first asked for."""
        if name not in self.made:
            self.made[name] = compute(self.kinematics).float().contiguous()
            self.kinematics.invalidate()  # the steps on the way are not kept
        return self.made[name]

    def to(self, device: torch.device | str) -> FrameTables:
        """Return these tables on a device."""
        fields = {f.name: getattr(self.kinematics, f.name) for f in attrs.fields(Kinematics) if f.name != "known"}
        kinematics = Kinematics(**{name: value.to(device) for name, value in fields.items()})
        return FrameTables(
            kinematics, torch.split(self.root, self.widths, dim=1)[self.names.index("contact")].to(device)
        )


def _fetched(name: str) -> derived[Tensor]:
    return derived(lambda frames: frames.fetch(name, operator.attrgetter(name)))


class GatheredKinematics(Kinematics):
    """Kinematics of some frames of a library: root and joints at once, bodies when first used."""

    body_pos = _fetched("body_pos")
    body_quat_wxyz = _fetched("body_quat_wxyz")
    body_lin_vel = _fetched("body_lin_vel")
    body_ang_vel = _fetched("body_ang_vel")
    body_rot = _fetched("body_rot")
    body_root = _fetched("body_root")

    def __init__(self, tables: FrameTables, frames: Tensor) -> None:
        """Fetch root and joints of frames, int64 [n] or [n, S]."""
        self.known = {}
        self.tables, self.frames, self.flat_frames = tables, frames, frames.reshape(-1)
        self.row = tables.root.index_select(0, self.flat_frames).view(*frames.shape, sum(tables.widths))
        parts = dict(zip(tables.names, torch.split(self.row, tables.widths, dim=-1), strict=True))
        for name in _ROOT:
            setattr(self, name, parts[name])
        self.contact = parts["contact"]
        """[..., feet] 1 where a foot of the reference stands."""
        self.known = {name: parts[name] for name in _ROOT_DERIVED}
        self.known["root_rot"] = parts["root_rot"].view(*frames.shape, 3, 3)

    def fetch(self, name: str, compute: Callable[[Kinematics], Tensor]) -> Tensor:
        """Return a quantity of these frames, [..., ...], that is computed once of every frame of the library."""
        if name not in self.known:
            table = self.tables.table(name, compute)
            self.known[name] = table.index_select(0, self.flat_frames).view(*self.frames.shape, *table.shape[1:])
        known: Tensor = self.known[name]
        return known

    def put(self, ids: Tensor, rows: GatheredKinematics) -> None:
        """Replace some rows, int64 [m], in every quantity fetched so far."""
        self.frames.index_copy_(0, ids, rows.frames)
        self.row.index_copy_(0, ids, rows.row)
        for name, value in self.known.items():
            if name in self.tables.made:  # the others are views of `row`
                value.index_copy_(0, ids, self.tables.made[name].index_select(0, rows.flat_frames))

    def rows(self, ids: Tensor) -> GatheredKinematics:
        """Return the kinematics of some rows, int64 [m]."""
        return GatheredKinematics(self.tables, self.frames.index_select(0, ids))


@attrs.frozen(eq=False, kw_only=True)
class MotionLibrary:
    """Clips of one robot at the control rate: C clips, F frames in all, one after the other."""

    names: tuple[str, ...]
    start: Tensor
    """int64 [C] first frame of each clip."""
    length: Tensor
    """int64 [C] number of its frames."""
    weight: Tensor
    """[C] how often it is to be drawn, as given."""
    fps: float
    """Frames a second: that of the control steps."""
    sha256: tuple[str, ...]
    """Content hash of each clip."""
    tables: FrameTables = attrs.field(repr=False)

    @property
    def num_frames(self) -> int:
        """Number of frames, F."""
        return len(self.tables.root)

    def gather(self, frames: Tensor) -> GatheredKinematics:
        """Return kinematics and contact reference of global frames, int64 [n] or [n, S]."""
        return GatheredKinematics(self.tables, frames)

    def to(self, device: torch.device | str) -> MotionLibrary:
        """Return the library on a device."""
        moved = {name: getattr(self, name).to(device) for name in ("start", "length", "weight", "tables")}
        return attrs.evolve(self, **moved)

    @staticmethod
    def build(
        robot: Robot, clips: Sequence[tuple[float, Clip]], control_dt: float, contact: ContactRule | None = None
    ) -> MotionLibrary:
        """Return the library of (weight, clip) pairs for control steps of `control_dt` s. Raises MotionError."""
        if not clips:
            raise MotionError("there is no motion to track: give at least one clip")
        model = robot.model()
        for _, clip in clips:
            check_clip(clip, f"clip '{clip.name}'")
        _report_foreign_joints([clip for _, clip in clips], model)
        parts = [resample(clip, joint_columns(clip, model), control_dt) for _, clip in clips]
        length = torch.tensor([len(part.root_pos) for part in parts])
        start = length.cumsum(0) - length
        kinematics = _kinematics(robot, parts, control_dt)
        first = torch.zeros(len(kinematics.root_pos), dtype=torch.bool)
        first[start] = True
        feet = standing_feet(kinematics, model.bodies("feet"), first, contact or ContactRule())
        return MotionLibrary(
            names=tuple(clip.name for _, clip in clips),
            start=start,
            length=length,
            weight=torch.tensor([weight for weight, _ in clips], dtype=torch.float32),
            fps=1.0 / control_dt,
            sha256=tuple(content_hash(clip) for _, clip in clips),
            tables=FrameTables(kinematics, feet),
        )


def _kinematics(robot: Robot, parts: Sequence[Frames], dt: float) -> Kinematics:
    """Return pose and velocity of root, joints and bodies in all frames, float32."""
    columns = (
        [part.root_pos for part in parts],
        [part.root_quat_wxyz for part in parts],
        [difference(part.root_pos, dt) for part in parts],
        [angular_velocity(part.root_quat_wxyz, dt) for part in parts],
        [part.joint_pos for part in parts],
        [difference(part.joint_pos, dt) for part in parts],
    )
    root_pos, root_quat, root_lin_vel, root_ang_vel, joint_pos, joint_vel = (torch.cat(c).float() for c in columns)
    return forward_kinematics(robot, root_pos, root_quat, root_lin_vel, root_ang_vel, joint_pos, joint_vel)


def _report_foreign_joints(clips: Sequence[Clip], model: RobotModel) -> None:
    for joints in {foreign_joints(clip, model): None for clip in clips}:
        if joints:
            having = sum(foreign_joints(clip, model) == joints for clip in clips)
            names = ", ".join(joints)
            log.warning("%d clips move joints robot '%s' does not have; left out: %s", having, model.name, names)
