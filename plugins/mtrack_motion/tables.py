"""Tables with a row for each frame of all clips, in memory or mapped from files, and the gather of frames from them."""

from __future__ import annotations

import itertools
import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol, TypeAlias

import attrs
import torch
from torch import Tensor

from mtrack import Kinematics, MtrackError
from mtrack.api.cached_tensors import CachedTensors, derived
from mtrack.math import transform
from mtrack_motion.rotations import quat_from_matrix

Compute: TypeAlias = Callable[[Kinematics], Tensor]
"""Computes a quantity [F, ...] of frames [F]."""

_ROOT = ("root_pos", "root_quat_wxyz", "root_lin_vel", "root_ang_vel", "joint_pos", "joint_vel")
_ROOT_DERIVED = ("root_rot", "projected_gravity", "root_lin_vel_root", "root_ang_vel_root")
BODY_WIDTH = 18
"""Numbers of each body in a row of bodies: those of `Kinematics.body_root`."""


@attrs.frozen(eq=False)
class FrameBlock:
    """Consecutive frames of a large set."""

    root: Tensor
    """[F, W] float32: root, joints and contact."""
    bodies: Tensor
    """[F, 18 B] float32: the bodies seen from the root, which is what most terms read."""


class Tables(Protocol):
    """F frames that can be gathered."""

    columns: Mapping[str, int]
    """Names and widths of the columns that every gather reads: root, joints and contact."""
    num_frames: int
    """F."""

    @property
    def parts(self) -> Sequence[FrameBlock]:
        """All frames, in order."""

    def rows(self, frames: Tensor) -> Tensor:
        """Return root, joints and contact of frames, int64 [n] to [n, W]."""

    def take(self, name: str, compute: Compute, gathered: GatheredKinematics) -> Tensor:
        """Return a quantity of n gathered frames, [n, ...], as a new tensor."""

    def to(self, device: torch.device | str) -> Tables:
        """Return these tables on a device."""


def root_parts(kinematics: Kinematics, contact: Tensor) -> dict[str, Tensor]:
    """Return the columns that every gather reads, each [F, ...], in order."""
    parts = {name: getattr(kinematics, name) for name in _ROOT} | {"contact": contact}
    return parts | {name: getattr(kinematics, name) for name in _ROOT_DERIVED}


class FrameTables:
    """Float32 tables in memory: one with root, joints and contact, and one for each quantity of bodies.

    The table of a quantity is computed when it is first read, so a run keeps and gathers only what its terms use.
    """

    def __init__(self, kinematics: Kinematics, contact: Tensor) -> None:
        """Take all frames, [F, ...], and the contact reference, [F, feet]."""
        parts = root_parts(kinematics, contact)
        self.root = torch.cat([part.flatten(1).float() for part in parts.values()], dim=1)
        """[F, W]."""
        self.columns: Mapping[str, int] = {name: part[0].numel() for name, part in parts.items()}
        self.kinematics, self.contact = kinematics, contact
        self.num_frames = len(self.root)
        self.made: dict[str, Tensor] = {}

    @property
    def parts(self) -> Sequence[FrameBlock]:
        """All frames, as one block."""
        bodies = self.kinematics.body_root.flatten(1)
        self.kinematics.invalidate()
        return (FrameBlock(self.root, bodies),)

    def rows(self, frames: Tensor) -> Tensor:
        """Return root, joints and contact of frames, int64 [n] to [n, W]."""
        return self.root.index_select(0, frames)

    def take(self, name: str, compute: Compute, gathered: GatheredKinematics) -> Tensor:
        """Return a quantity of n gathered frames, [n, ...]; `compute` is called once, with all frames."""
        if name not in self.made:
            self.made[name] = compute(self.kinematics).float().contiguous()
            self.kinematics.invalidate()  # intermediate results are not kept
        return self.made[name].index_select(0, gathered.flat_frames)

    def to(self, device: torch.device | str) -> Tables:
        """Return these tables on a device."""
        fields = {f.name: getattr(self.kinematics, f.name) for f in attrs.fields(Kinematics) if f.name != "cache"}
        kinematics = Kinematics(**{name: value.to(device) for name, value in fields.items()})
        return FrameTables(kinematics, self.contact.to(device))


class LargeTables:
    """Blocks of frames, too many for derived tables: quantities are computed for gathered frames only."""

    def __init__(self, columns: Mapping[str, int], parts: Sequence[FrameBlock]) -> None:
        """Take blocks in order; `columns` describes a row of their `root`."""
        self.columns, self.parts = columns, tuple(parts)
        ends = list(itertools.accumulate(len(part.root) for part in parts))
        self.num_frames, self._firsts = ends[-1], [0, *ends[:-1]]
        self._ends = torch.tensor(ends, device=parts[0].root.device)

    def rows(self, frames: Tensor) -> Tensor:
        """Return root, joints and contact of frames, int64 [n] to [n, W]."""
        return self._select([part.root for part in self.parts], frames)

    def take(self, name: str, compute: Compute, gathered: GatheredKinematics) -> Tensor:
        """Return a quantity of n gathered frames, [n, ...], computed from these frames."""
        if gathered.plain is None:
            gathered.plain = self._plain(gathered)
        # a copy: other quantities are computed from the same tensors, and the caller may write to this one
        return compute(gathered.plain).to(torch.float32, copy=True, memory_format=torch.contiguous_format)

    def to(self, device: torch.device | str) -> Tables:
        """Return these tables on a device; on another one than now as a single block, so that no gather has to wait.

        Raises MtrackError if the device has too little memory for all of them.
        """
        if torch.device(device) == self._ends.device:
            return LargeTables(self.columns, self.parts)
        whole = (_concatenated([getattr(part, name) for part in self.parts], device) for name in ("root", "bodies"))
        return LargeTables(self.columns, [FrameBlock(*whole)])

    def _plain(self, gathered: GatheredKinematics) -> Kinematics:
        bodies = self._select([part.bodies for part in self.parts], gathered.flat_frames)
        row = gathered.row.reshape(len(bodies), sum(self.columns.values()))
        parts = dict(zip(self.columns, torch.split(row, list(self.columns.values()), dim=1), strict=True))
        return RootedKinematics(parts, bodies.view(len(bodies), 3, 6, bodies.shape[1] // BODY_WIDTH))

    def _select(self, tables: Sequence[Tensor], frames: Tensor) -> Tensor:
        if len(tables) == 1:
            return tables[0].index_select(0, frames)
        chosen = tables[0].new_empty(len(frames), tables[0].shape[1])
        part = torch.searchsorted(self._ends, frames.contiguous(), right=True)
        for number, (first, table) in enumerate(zip(self._firsts, tables, strict=True)):
            mine = (part == number).nonzero().squeeze(1)
            chosen.index_copy_(0, mine, table.index_select(0, frames.index_select(0, mine) - first))
        return chosen


def _concatenated(tables: Sequence[Tensor], device: torch.device | str) -> Tensor:
    """Return tables one after the other on a device, copied one by one. Raises MtrackError if they do not fit."""
    frames, width = sum(len(table) for table in tables), tables[0].shape[1]
    try:
        whole = torch.empty(frames, width, dtype=tables[0].dtype, device=device)
    except torch.OutOfMemoryError as error:
        raise MtrackError(
            f"the packed motions do not fit into the memory of {device}: {frames:,} frames take "
            f"{tables[0].element_size() * width * frames / 1e9:.1f} GB there for this table alone; pack only the clips "
            "that you need, or use a GPU with more memory"
        ) from error
    for place, table in zip(whole.split([len(table) for table in tables]), tables, strict=True):
        place.copy_(table)
    return whole


class RootedKinematics(Kinematics):
    """Kinematics of n frames whose bodies are given as seen from the root; world axes are computed on first use."""

    def __init__(self, parts: Mapping[str, Tensor], body_root: Tensor) -> None:
        """Take the columns of rows, [n, ...], and `Kinematics.body_root`."""
        for name in _ROOT:
            setattr(self, name, parts[name])
        self.cache = {"root_rot": parts["root_rot"].unflatten(1, (3, 3)), "body_root": body_root}

    @derived
    def body_world(self) -> Tensor:
        """Bodies as in `body_root`, but in world axes; still relative to position and velocities of the root."""
        return transform(self.root_rot, self.body_root.flatten(-2)).view(self.body_root.shape)

    body_pos = derived(lambda motion: motion.body_world[:, :, 0].mT + motion.root_pos.unsqueeze(1))
    body_lin_vel = derived(lambda motion: motion.body_world[:, :, 1].mT + motion.root_lin_vel.unsqueeze(1))
    body_ang_vel = derived(lambda motion: motion.body_world[:, :, 2].mT + motion.root_ang_vel.unsqueeze(1))
    body_rot = derived(lambda motion: motion.body_world[:, :, 3:].movedim(-1, 1))
    body_quat_wxyz = derived(lambda motion: quat_from_matrix(motion.body_rot))


def _fetched(name: str) -> derived[Tensor]:
    return derived(lambda frames: frames.fetch(name, operator.attrgetter(name)))


class GatheredKinematics(Kinematics):
    """Kinematics of some frames: root and joints are gathered at once, bodies when they are first used.

    Every tensor is a copy that the caller may write to.
    """

    body_pos = _fetched("body_pos")
    body_quat_wxyz = _fetched("body_quat_wxyz")
    body_lin_vel = _fetched("body_lin_vel")
    body_ang_vel = _fetched("body_ang_vel")
    body_rot = _fetched("body_rot")
    body_root = _fetched("body_root")

    def __init__(self, tables: Tables, frames: Tensor) -> None:
        """Gather root and joints of frames, int64 [n] or [n, S]."""
        self.tables, self.frames, self.flat_frames = tables, frames, frames.reshape(-1)
        self.fetched: dict[str, Compute] = {}
        self.plain: Kinematics | None = None
        """These frames in one dimension with all their bodies, if the tables derive quantities from them."""
        self.row = tables.rows(self.flat_frames).view(*frames.shape, sum(tables.columns.values()))
        split = torch.split(self.row, list(tables.columns.values()), dim=-1)
        parts = dict(zip(tables.columns, split, strict=True))
        for name in _ROOT:
            setattr(self, name, parts[name])
        self.contact = parts["contact"]
        """[..., feet] 1 if a foot of the reference stands, else 0."""
        self.cache = {name: parts[name] for name in _ROOT_DERIVED}
        self.cache["root_rot"] = parts["root_rot"].view(*frames.shape, 3, 3)

    def fetch(self, name: str, compute: Compute) -> Tensor:
        """Return a quantity of these frames, [..., ...]; `compute` returns it for frames in one dimension.

        Equal names must mean equal quantities: tables in memory call `compute` once and keep the result by name.
        """
        if name not in self.cache:
            taken = self.tables.take(name, compute, self)
            self.cache[name] = taken.view(*self.frames.shape, *taken.shape[1:])
            self.fetched[name] = compute
        known: Tensor = self.cache[name]
        return known

    def put(self, env_ids: Tensor, some: CachedTensors) -> None:
        """Replace some environments, int64 [m], by other gathered frames, in every quantity used so far."""
        assert isinstance(some, GatheredKinematics)
        self.frames.index_copy_(0, env_ids, some.frames)
        self.row.index_copy_(0, env_ids, some.row)
        self.plain = None
        for name, value in self.cache.items():
            if name in self.fetched:  # the others are views of `row`
                value.index_copy_(0, env_ids, self.tables.take(name, self.fetched[name], some))

    def select(self, env_ids: Tensor) -> GatheredKinematics:
        """Return the kinematics of some environments, int64 [m]."""
        return GatheredKinematics(self.tables, self.frames.index_select(0, env_ids))
