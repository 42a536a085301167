"""A policy inside a network that reads and writes what another runtime does, with a motion in it if that is wanted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from mtrack import MtrackError
from mtrack_export.common_layout import Columns
from mtrack_export.contract import Facts
from mtrack_export.network import INPUT, OUTPUT, TOLERANCE, to_onnx, trace_onnx
from mtrack_export.trace import Arrays

if TYPE_CHECKING:
    import onnx

TIME = "time_step"
Tables = Mapping[str, NDArray[np.float32]]
"""Outputs of each frame of a motion, [T, ...] by name."""


class AdaptedPolicy(nn.Module):
    """A policy [1, W] to [1, A] as a function of the observation that another runtime serves, [1, P] to [1, A]."""

    index: Tensor
    shift: Tensor
    action_shift_of_inputs: Tensor
    action_shift: Tensor

    def __init__(self, policy: nn.Module, columns: Columns, clip: float) -> None:
        """Take a policy, the columns that it reads, and the bound of its action."""
        super().__init__()
        self.policy, self.clip = policy, clip
        self.actions = columns.actions
        shift = torch.from_numpy(columns.shift)
        of_actions = torch.from_numpy(columns.is_action)
        self.register_buffer("index", torch.from_numpy(columns.index))
        self.register_buffer("shift", torch.where(of_actions, 0.0, shift))
        self.register_buffer("action_shift_of_inputs", torch.where(of_actions, shift, 0.0))
        self.register_buffer("action_shift", torch.from_numpy(columns.action_shift))

    def forward(self, served: Tensor) -> Tensor:
        """Return the runtime's action, [1, A]."""
        # before the first action all of them are 0, in every runtime, and so were they in training
        has_acted = (served[:, self.actions].abs().amax(dim=1, keepdim=True) > 0.0).float()
        observation = served.index_select(1, self.index) + self.shift + has_acted * self.action_shift_of_inputs
        action: Tensor = self.policy(observation).clamp(-self.clip, self.clip)
        return action + self.action_shift


class PolicyWithMotion(nn.Module):
    """The same with the frame of a motion that `time_step` [1, 1] asks for; the first or last one outside of it."""

    def __init__(self, policy: AdaptedPolicy, tables: Tables) -> None:
        """Put the frames of a motion beside a policy."""
        super().__init__()
        self.policy = policy
        self.tables = nn.ParameterList(
            nn.Parameter(torch.from_numpy(table), requires_grad=False) for table in tables.values()
        )

    def forward(self, served: Tensor, time_step: Tensor) -> tuple[Tensor, ...]:
        """Return the runtime's action [1, A] and the outputs of a frame, [1, ...] each."""
        last = len(self.tables[0]) - 1
        frame = time_step.reshape(1).to(torch.int64).clamp(0, last)
        return self.policy(served), *(table.index_select(0, frame) for table in self.tables)


@attrs.frozen(eq=False)
class Adapted:
    """A network for another runtime."""

    model: onnx.ModelProto
    columns: Columns
    tables: Tables
    """Of the motion inside; empty if there is none."""

    def check(self, contract: Facts, trace: Arrays, default_pos: NDArray[np.float32]) -> float:
        """Return the largest difference of a target from the golden trace's [rad]; check the motion, too.

        Raises MtrackError if one is above the tolerance.
        """
        import onnxruntime  # noqa: PLC0415  optional

        session = onnxruntime.InferenceSession(self.model.SerializeToString(), providers=["CPUExecutionProvider"])
        action, frames = contract["action"], _some_frames(self.tables)
        scale, offset, clip = (np.array(action[name], np.float32) for name in ("scale", "offset", "clip"))
        worst = 0.0
        served = self.columns.serve(trace["observation"], trace["starts"])
        for step, (row, wanted) in enumerate(zip(served, trace["action"], strict=True)):
            inputs = {INPUT: row[None]}
            if self.tables:
                inputs[TIME] = np.array([[frames[step % len(frames)]]], np.float32)
            found, *shown = session.run(None, inputs)
            target = np.clip(wanted, -clip, clip) * scale + offset
            worst = max(worst, float(np.abs(found[0] * scale + default_pos - target).max()))
            for name, value in zip(self.tables, shown, strict=True):
                table = self.tables[name]
                if not np.array_equal(value[0], table[min(max(frames[step % len(frames)], 0), len(table) - 1)]):
                    raise MtrackError(f"output '{name}' of the exported network is not that of the motion")
        if not worst <= TOLERANCE:
            raise MtrackError(f"a target of the exported network is wrong by {worst:.3g} rad; at most {TOLERANCE:g}")
        return worst


def adapt(policy: nn.Module, columns: Columns, clip: float, tables: Tables | None = None) -> Adapted:
    """Return a policy as a network for a runtime with these columns. Raises MtrackError."""
    adapted = AdaptedPolicy(policy, columns, clip).eval()
    if not tables:
        return Adapted(to_onnx(adapted, columns.width), columns, {})
    inputs = {INPUT: torch.zeros(1, columns.width), TIME: torch.zeros(1, 1)}
    model = trace_onnx(PolicyWithMotion(adapted, tables).eval(), inputs, (OUTPUT, *tables))
    return Adapted(model, columns, tables)


def _some_frames(tables: Tables) -> list[int]:
    """Return frames to look at: before the first, some within, after the last."""
    frames = len(next(iter(tables.values()), ()))
    return [-3, 0, 1, frames // 2, frames - 1, frames, frames + 100]
