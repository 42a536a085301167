"""Records the golden trace: what the sensors read, what the policy saw and did, and what the joints were to do."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

import attrs
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from mtrack import Action, Scene
from mtrack.api.abilities import PlaysClips
from mtrack.loop.assemble import Assembly
from mtrack.loop.learner import rollout_mode
from mtrack_export.exported_run import ExportedRun

_STEPS = 60
"""Control steps of each part of the trace."""
_PARTS = 3

Arrays = dict[str, NDArray[Any]]


class _RecordedAction:
    """An action that keeps the raw action and the targets of the present step."""

    def __init__(self, action: Action) -> None:
        self._action = action
        self.raw = torch.empty(0)
        self.targets: list[Tensor] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._action, name)

    def apply(self, action: Tensor) -> Tensor:
        self.raw, self.targets = action.clone(), []
        return self._action.apply(action)

    def target(self, substep: int) -> Tensor:
        target = self._action.target(substep)
        self.targets.append(target[0].clone())
        return target


def record_trace(run: ExportedRun, assembly: Assembly, contract: Mapping[str, Any]) -> Arrays:
    """Return the first steps of up to three clips, as arrays [n, ...] by name; `assembly` is without any randomness.

    `starts` marks the first step of each part. `sensors.*` and `window.*` are inputs of a runtime, `observation`,
    `action` (raw) and `target` [n, substeps, J] are its outputs. `contract` is what it was recorded with, as JSON.
    """
    recorded = _RecordedAction(assembly.env.action)
    env = attrs.evolve(assembly.env, action=cast(Action, recorded))
    command = cast(PlaysClips, env.command)
    clips = command.clip_frames()
    steps: list[Arrays] = []
    with rollout_mode(1):
        for number in _spread(len(clips)):
            command.pin_clips(torch.tensor([number]))
            env.start(progress=0.0)
            for step in range(min(_STEPS, clips[number][1] - 1)):
                before = _inputs(env.scene) | {
                    "starts": np.array(step == 0),
                    "observation": _array(env.observations[run.group]),
                }
                result = env.step(run.agent.policy(env.observations, run.actor))
                outputs = {"action": _array(recorded.raw), "target": torch.stack(recorded.targets).numpy()}
                steps.append(before | outputs)
                if bool(result.terminated | result.truncated):
                    break
    stacked = {name: np.stack([step[name] for step in steps]) for name in steps[0]}
    return stacked | {"contract": np.array(json.dumps(contract, allow_nan=False))}


def _spread(clips: int) -> list[int]:
    """Return indices of a few clips, the first and the last included."""
    return sorted({round(i * (clips - 1) / max(1, _PARTS - 1)) for i in range(_PARTS)})


def _inputs(scene: Scene) -> Arrays:
    """Return what the sensors read, and the reference at the frames that the policy sees."""
    robot, future = scene.robot, scene.reference.future
    inputs = {
        "sensors.root_quat_wxyz": robot.root_quat_wxyz,
        "sensors.root_ang_vel": robot.root_ang_vel_root,
        "sensors.joint_pos": robot.joint_pos - robot.joint_offset,
        "sensors.joint_vel": robot.joint_vel,
        "sensors.root_pos": robot.root_pos,
        "sensors.root_lin_vel": robot.root_lin_vel_root,
        "window.root_pos": future.root_pos,
        "window.root_quat_wxyz": future.root_quat_wxyz,
        "window.joint_pos": future.joint_pos,
        "window.joint_vel": future.joint_vel,
    }
    return {name: _array(value) for name, value in inputs.items()}


def _array(value: Tensor) -> NDArray[np.float32]:
    array: NDArray[np.float32] = value[0].detach().cpu().numpy().copy()
    return array
