"""Write packed files (`mtrack motions pack`): derive all quantities of many clips, one batch at a time."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import attrs
import torch
from torch import Tensor

from mtrack import Clip, MotionError, MtrackError, Robot
from mtrack.errors import did_you_mean
from mtrack.registry.registry import Registry
from mtrack_motion.chosen_robot import chosen_robot
from mtrack_motion.clip import content_hash
from mtrack_motion.derive import ContactRule, resampled_frames
from mtrack_motion.file import sync_directory
from mtrack_motion.library import MotionLibrary
from mtrack_motion.pack import EXTREMES, FORMAT, SCHEMA_VERSION
from mtrack_motion.reading import Selection
from mtrack_motion.tables import BODY_WIDTH, FrameBlock
from mtrack_mujoco.kinematics import kinematics_sha256

_BATCH = 50_000  # frames derived at once: about 200 MB
_ALIGNMENT = 64  # bytes


@attrs.frozen
class Packed:
    """What was packed and what was left out."""

    clips: int
    frames: int
    bytes: int
    left_out: Mapping[str, str]
    """The reason, by clip or file."""
    duplicates: Sequence[str]
    """Left-out clips whose motion is packed under another name."""

    @property
    def num_failed(self) -> int:
        """Number of motions that are not in the file under any name."""
        return len(self.left_out) - len(self.duplicates)


@attrs.frozen
class _Member:
    """A clip to pack: its facts, and how to read it again."""

    name: str
    frames: int
    """At the control rate."""
    sha256: str
    source: str
    licence: str
    read: Callable[[], Clip]


def made_for(robot: Robot, control_dt: float, rule: ContactRule) -> dict[str, Any]:
    """Return what a packed file is made for (robot model, rate, contact rule); it is rejected for anything else."""
    model = robot.model()
    return {
        "schema_version": SCHEMA_VERSION,
        "robot": model.name,
        "robot_sha256": kinematics_sha256(robot),
        "joint_names": model.joint_names,
        "body_names": model.body_names,
        "fps": 1.0 / control_dt,
        "contact": attrs.asdict(rule),
    }


def pack_motions(
    path: Path, out: Path, robot: Robot, control_dt: float, rule: ContactRule, allow_jumps: bool = False
) -> Packed:
    """Write the usable clips of a path into one file, sorted by name. Raises MotionError."""
    selection = Selection(path, robot.model(), allow_jumps=allow_jumps)
    members = sorted((_member(clip, read, control_dt) for _, clip, read in selection), key=lambda one: one.name)
    selection.raise_if_none()
    facts = made_for(robot, control_dt, rule) | {
        "names": [one.name for one in members],
        "sha256": [one.sha256 for one in members],
        "sources": [one.source for one in members],
        "licences": [one.licence for one in members],
        "left_out": selection.left_out,
    }
    length = torch.tensor([one.frames for one in members])
    writer: PackWriter | None = None
    try:
        for batch in _batches(members):
            library = MotionLibrary.build(robot, [(1.0, one.read()) for one in batch], control_dt, rule)
            writer = writer or PackWriter(
                out, facts | {"columns": library.tables.columns}, length, len(facts["body_names"])
            )
            writer.add(library)
        assert writer is not None
        writer.close()
    except OSError as error:
        raise MotionError(f"{out}: cannot be written: {error.strerror or error}; choose another place") from None
    finally:
        if writer is not None:
            writer.discard()
    return Packed(len(members), int(length.sum()), out.stat().st_size, selection.left_out, tuple(selection.duplicates))


def pack_for(
    path: Path, out: Path, robot: str, control_dt: float, contact: Sequence[str], allow_jumps: bool = False
) -> Packed:
    """Pack for a robot by name, with thresholds of the contact rule as `key=value` texts. Raises MtrackError."""
    registry = Registry.scan()
    if not control_dt > 0.0:
        raise MtrackError(f"--control-dt {control_dt:g}: must be greater than 0")
    names = [field.name for field in attrs.fields(ContactRule)]
    changes: dict[str, float] = {}
    for text in contact:
        name, _, value = text.partition("=")
        try:
            changes[name] = float(value)
        except ValueError:
            raise MtrackError(f"--contact {text}: expected KEY=NUMBER") from None
        if name not in names:
            remedy = did_you_mean(name, names) or f"choose from: {', '.join(names)}"
            raise MtrackError(f"--contact {text}: there is no threshold '{name}'; {remedy}")
    try:
        rule = ContactRule(**changes)
    except ValueError as error:
        raise MtrackError(f"--contact: {error.args[0]}") from None
    body = chosen_robot(registry, robot)
    return pack_motions(path, out, body, control_dt, rule, allow_jumps)


def _member(clip: Clip, read: Callable[[], Clip], control_dt: float) -> _Member:
    frames = resampled_frames(clip, control_dt)
    return _Member(clip.name, frames, content_hash(clip), clip.source, clip.licence, read)


def _batches(members: Sequence[_Member]) -> Iterator[list[_Member]]:
    batch: list[_Member] = []
    for one in members:
        if batch and sum(each.frames for each in batch) + one.frames > _BATCH:
            yield batch
            batch = []
        batch.append(one)
    yield batch


class PackWriter:
    """Writes a packed file under a temporary name: first the facts about all clips, then their frames in order."""

    def __init__(self, path: Path, facts: Mapping[str, Any], length: Tensor, num_bodies: int) -> None:
        """Start a file of clips with these lengths, int64 [C]; `facts` has the columns of a row of `root`."""
        self._path, self._temporary = path, path.with_name(f".{path.name}.{os.getpid()}.part")
        clips = len(length)
        rows = int(length.sum()) + clips
        shapes = {"length": [clips], "extremes": [clips, len(EXTREMES)]}
        shapes |= {"root": [rows, sum(facts["columns"].values())], "bodies": [rows, BODY_WIDTH * num_bodies]}
        sizes = {name: math.prod(shape) * (8 if name == "length" else 4) for name, shape in shapes.items()}
        header: dict[str, object] = {"__metadata__": {"format": FORMAT, "facts": json.dumps(facts)}}
        places, ends = {}, 0
        for name, shape in shapes.items():
            places[name], ends = ends, ends + sizes[name]
            kind = "I64" if name == "length" else "F32"
            header[name] = {"dtype": kind, "shape": shape, "data_offsets": [places[name], ends]}
        text = json.dumps(header, separators=(",", ":")).encode()
        text += b" " * (-(8 + len(text)) % _ALIGNMENT)
        self._file: IO[bytes] = self._temporary.open("wb")
        self._file.write(len(text).to_bytes(8, "little") + text)
        self._next = {name: 8 + len(text) + place for name, place in places.items()}
        self._end = 8 + len(text) + ends
        self._final_poses: list[FrameBlock] = []
        self._put("length", length)

    def add(self, library: MotionLibrary) -> None:
        """Write the next clips, as `MotionLibrary.build` made them."""
        self._put("extremes", torch.stack([getattr(library.extremes, name) for name in EXTREMES], dim=1))
        (part,), frames = library.tables.parts, library.num_frames
        self._put("root", part.root[:frames])
        self._put("bodies", part.bodies[:frames])
        # these rows follow the frames of all clips
        self._final_poses.append(FrameBlock(part.root[frames:].clone(), part.bodies[frames:].clone()))

    def close(self) -> None:
        """Write the clips' final poses and give the file its final name. Raises ValueError if clips are missing."""
        for part in self._final_poses:
            self._put("root", part.root)
            self._put("bodies", part.bodies)
        if self._next["bodies"] != self._end:
            raise ValueError(f"{self._end - self._next['bodies']:,} bytes are missing")
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        self._temporary.replace(self._path)
        sync_directory(self._path.parent)

    def discard(self) -> None:
        """Close the temporary file and remove it, if it was not renamed."""
        self._file.close()
        self._temporary.unlink(missing_ok=True)

    def _put(self, name: str, values: Tensor) -> None:
        self._file.seek(self._next[name])
        self._file.write(values.contiguous().numpy().data)
        self._next[name] = self._file.tell()
