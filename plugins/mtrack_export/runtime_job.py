"""What the writers of other runtimes' files get, and what they return."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import attrs
import mujoco
import numpy as np
from numpy.typing import NDArray
from torch import nn

from mtrack_export.adapted import Adapted
from mtrack_export.contract import Facts
from mtrack_export.exported_run import ExportedRun
from mtrack_export.motion_tables import LinkMotion, choose, link_motion
from mtrack_export.network import set_metadata

if TYPE_CHECKING:
    import onnx


@attrs.define(eq=False, kw_only=True, slots=False)
class RuntimeJob:
    """A policy to write for another runtime."""

    run: ExportedRun
    contract: Facts
    policy: nn.Module
    """From the policy's observation [1, W] to its action [1, A]."""
    model: mujoco.MjModel
    """The robot."""
    clip: str
    """Name of the motion to write; empty for the only one, or for all if there may be several."""

    @property
    def joints(self) -> list[Facts]:
        """The robot's joints in policy.json."""
        return list(self.contract["robot"]["joints"])

    @cached_property
    def default_pos(self) -> dict[str, float]:
        """Pose that the policy's actions are added to [rad], by joint."""
        action = self.contract["action"]
        return dict(zip(action["joints"], action["offset"], strict=True))

    def of_joints(self, field: str) -> list[float]:
        """Return a value of each joint."""
        return [float(joint[field]) for joint in self.joints]

    @cached_property
    def motion(self) -> LinkMotion:
        """The motion that is to be in the network. Raises MtrackError if its name is missing or unknown."""
        return self._motion(choose(self._names(), self.clip))

    @cached_property
    def motions(self) -> list[LinkMotion]:
        """The named motion, or all. Raises MtrackError if the name is unknown."""
        names = self._names()
        return [self._motion(number) for number in ([choose(names, self.clip)] if self.clip else range(len(names)))]

    def _names(self) -> list[str]:
        return [name for name, _ in self.run.clip_frames()]

    def _motion(self, number: int) -> LinkMotion:
        joints = [joint["name"] for joint in self.joints]
        return link_motion(self.run.command.reference_clip(number), joints, self.model)


@attrs.frozen(eq=False, kw_only=True)
class RuntimeFiles:
    """What another runtime reads."""

    network: Adapted
    default_pos: Sequence[float]
    """Pose that the runtime adds scaled actions to [rad]."""
    network_file: str = "policy.onnx"
    files: Mapping[str, bytes] = attrs.field(factory=dict)
    """All others, by path."""
    motions: Sequence[LinkMotion]
    notes: Sequence[str] = ()
    """What the user has to know."""


def with_metadata(model: onnx.ModelProto, metadata: Mapping[str, str], job: RuntimeJob) -> None:
    """Add metadata that a runtime reads, and where the policy comes from, as JSON."""
    origin = json.dumps(job.contract["provenance"])
    set_metadata(model, {**metadata, "mtrack_provenance": origin})


def xyzw(quat_wxyz: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return quaternions in the order x, y, z, w, [..., 4]."""
    return np.ascontiguousarray(quat_wxyz[..., [1, 2, 3, 0]])
