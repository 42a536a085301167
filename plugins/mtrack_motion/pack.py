"""Open packed files: all frames of many clips with all derived quantities, for one robot, mapped into memory.

A packed file is a safetensors file (tensors and JSON, no code): `root` [F + C, W] and `bodies` [F + C, 18 B], float32,
and facts about the C clips. The rows are those of a `MotionLibrary`: F frames, then the final pose of each clip.
Processes that open it share one copy in memory, and only the pages that they gather from are loaded.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import attrs
import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mtrack import Clip, MotionError, Robot
from mtrack_motion.derive import ContactRule
from mtrack_motion.library import Extremes, MotionLibrary
from mtrack_motion.tables import BODY_WIDTH, FrameBlock, LargeTables
from mtrack_mujoco.kinematics import kinematics_sha256

FORMAT, SCHEMA_VERSION = "mtrack motions", 2
EXTREMES = tuple(field.name for field in attrs.fields(Extremes))
_HEAD = b'{"__metadata__":{"format":"' + FORMAT.encode() + b'"'
_SAME_RATE = 1e-6


@attrs.frozen(eq=False)
class Pack:
    """An opened packed file: C clips, F frames."""

    path: Path
    facts: Mapping[str, Any]
    """Robot, rate, contact rule, columns, and name, hash, source and licence of each clip; see `packing`."""
    length: Tensor
    """int64 [C]."""
    extremes: Tensor
    """[C, 5] in the order of `EXTREMES`."""
    root: Tensor
    bodies: Tensor

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the clips."""
        return tuple(self.facts["names"])

    @staticmethod
    def open(path: Path) -> Pack:
        """Map a packed file into memory. Raises MotionError."""
        try:
            with safe_open(path, "pt") as file:
                meta = file.metadata() or {}
                facts = json.loads(meta.get("facts", "{}"))
                tensors = {name: file.get_tensor(name) for name in ("length", "extremes", "root", "bodies")}
            if meta.get("format") != FORMAT or facts.get("schema_version") != SCHEMA_VERSION:
                raise MotionError(f"{path}: was packed by another version of mtrack; pack its clips again")
            _check_facts(facts)
            pack = Pack(path, facts, **tensors)
            pack._check_shapes()
        except FileNotFoundError:
            raise MotionError(f"{path}: there is no such file; check the path") from None
        except (SafetensorError, OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            raise MotionError(f"{path}: is not a complete packed file ({error!s:.300}); pack its clips again") from None
        return pack

    def library(self, robot: Robot, control_dt: float, rule: ContactRule, clips: Sequence[int]) -> MotionLibrary:
        """Return the library of some clips. Raises MotionError if the file was made for another robot, rate or rule."""
        self._check_made_for(robot, control_dt, rule)
        columns = dict(self.facts["columns"])
        whole = MotionLibrary(
            names=self.names,
            start=self.length.cumsum(0) - self.length,
            length=self.length.clone(),
            held=int(self.length.sum()) + torch.arange(len(self.length)),
            weight=torch.ones(len(self.length)),
            extremes=Extremes(**{n: v.clone() for n, v in zip(EXTREMES, self.extremes.unbind(1), strict=True)}),
            fps=1.0 / control_dt,
            sha256=tuple(self.facts["sha256"]),
            tables=LargeTables(columns, [FrameBlock(self.root, self.bodies)]),
        )
        return whole if list(clips) == list(range(len(self.length))) else whole.some(clips)

    def clips(self, numbers: Sequence[int]) -> list[Clip]:
        """Return some of the clips at the rate of the file; their arrays are views of the mapped file."""
        firsts = (self.length.cumsum(0) - self.length).tolist()
        widths = self.facts["columns"]
        parts = dict(zip(widths, torch.split(self.root, list(widths.values()), dim=1), strict=True))
        wanted = {name: parts[name].numpy() for name in ("root_pos", "root_quat_wxyz", "joint_pos")}
        lengths = self.length.tolist()
        return [
            Clip(
                name=self.facts["names"][i],
                fps=self.facts["fps"],
                joint_names=tuple(self.facts["joint_names"]),
                source=self.facts["sources"][i],
                licence=self.facts["licences"][i],
                **{name: array[firsts[i] : firsts[i] + lengths[i]] for name, array in wanted.items()},
            )
            for i in numbers
        ]

    def _check_shapes(self) -> None:
        clips = len(self.facts["names"])
        rows = int(self.length.sum()) + clips
        widths = (sum(self.facts["columns"].values()), BODY_WIDTH * len(self.facts["body_names"]))
        expected = {
            "length": (clips,),
            "extremes": (clips, 5),
            "root": (rows, widths[0]),
            "bodies": (rows, widths[1]),
        }
        for name, shape in expected.items():
            tensor: Tensor = getattr(self, name)
            if tuple(tensor.shape) != shape or tensor.dtype != (torch.int64 if name == "length" else torch.float32):
                raise ValueError(f"{name} is {list(tensor.shape)} {tensor.dtype}, expected {list(shape)}")
        if clips and int(self.length.min()) < 1:
            raise ValueError("a clip has no frames")
        if any(len(self.facts[name]) != clips for name in ("sha256", "sources", "licences")):
            raise ValueError("facts about some clips are missing")

    def _check_made_for(self, robot: Robot, control_dt: float, rule: ContactRule) -> None:
        facts, again = self.facts, "pack its clips again: mtrack motions pack DIR -o FILE"
        digest = kinematics_sha256(robot)
        if digest != facts["robot_sha256"]:
            raise MotionError(
                f"{self.path}: was packed for the robot model {facts['robot']} {facts['robot_sha256'][:12]}, but this "
                f"one is {robot.model().name} {digest[:12]}, with other body positions; {again}"
            )
        if abs(facts["fps"] * control_dt - 1.0) > _SAME_RATE:
            raise MotionError(
                f"{self.path}: has {facts['fps']:g} frames per second, but control_dt = {control_dt:g} needs "
                f"{1.0 / control_dt:g}; {again} --control-dt {control_dt:g}"
            )
        for name, value in attrs.asdict(rule).items():
            if facts["contact"][name] != value:
                raise MotionError(
                    f"{self.path}: its contact reference was made with {name} = {facts['contact'][name]:g}, but "
                    f"command.contact_{name} is {value:g}; {again} --contact {name}={value:g}"
                )


def _check_facts(facts: Mapping[str, Any]) -> None:
    """Raise ValueError with the name of the first fact that is missing or has another type."""
    text, number = str, (int, float)
    lists = ("names", "sha256", "sources", "licences", "joint_names", "body_names")
    tables: dict[str, Any] = {"columns": int, "contact": number, "left_out": text}
    for name in (*lists, *tables, "robot", "robot_sha256", "fps"):
        value = facts[name]
        if name in lists:
            is_valid = isinstance(value, list) and all(isinstance(one, text) for one in value)
        elif name in tables:
            is_valid = isinstance(value, dict) and all(isinstance(one, tables[name]) for one in value.values())
        else:
            is_valid = isinstance(value, number if name == "fps" else text)
        if not is_valid:
            raise ValueError(f"'{name}' has another type")
    columns, wanted = facts["columns"], {"root_pos": 3, "root_quat_wxyz": 4, "joint_pos": len(facts["joint_names"])}
    if any(columns.get(name) != width for name, width in wanted.items()) or min(columns.values()) < 1:
        raise ValueError("'columns' are not those of its joints")
    missing = {field.name for field in attrs.fields(ContactRule)} - set(facts["contact"])
    if missing:
        raise ValueError(f"'contact' lacks {', '.join(sorted(missing))}")
    if not 0.0 < facts["fps"] < math.inf:
        raise ValueError("'fps' is not greater than 0")


def is_pack(path: Path) -> bool:
    """Return whether a path is a packed file, judged by its first bytes."""
    try:
        with path.open("rb") as file:
            return file.read(8 + len(_HEAD))[8:] == _HEAD
    except OSError:
        return False
