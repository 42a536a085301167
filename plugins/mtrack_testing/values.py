"""Checks of results by kind: shapes and dtypes, and finite values for finite inputs."""

from __future__ import annotations

import torch
from torch import Tensor

from mtrack import Mirror, StartState
from mtrack_testing.component_trial import ComponentTrial, Outputs
from mtrack_testing.promises import ComponentUnderTest

_REDUCE = "reduce over all other axes: .mean(-1), .sum(-1)"
_FLATTEN = "concatenate the rest: .flatten(1)"
_FLOAT_FIX = "create tensors with torch.zeros_like(x) or device=scene.device and no dtype; end with .float() if needed"
_SHAPES = {"observation": "[N, width]", "reward": "[N]", "termination": "[N]", "metric": "[N]"}


def check_outputs(trial: ComponentTrial, time: int, outputs: Outputs) -> None:
    """Raise BrokenPromise if the outputs of a step do not fit the kind."""
    subject, num_envs = trial.subject, len(trial.env_ids)
    value = outputs.get("value")
    if subject.kind in _SHAPES and (value is not None or "value" in outputs):
        _check_value(subject, value, num_envs)
    if subject.kind == "action":
        num_joints = len(trial.world.model.joint_names)
        for name, tensor in outputs.items():
            width = trial.component.num_actions if name == "apply" else num_joints
            _check_tensor(subject, f"{name.partition(' ')[0]}()", tensor, (num_envs, width), torch.float32)
    if subject.kind == "command":
        _check_tensor(subject, "finished()", outputs["finished"], (num_envs,), torch.bool)
        robot = trial.scene.robot
        for name, tensor in outputs.items():
            quantity = name.removeprefix("reference.")
            if hasattr(robot, quantity):
                _check_tensor(subject, name, tensor, tuple(getattr(robot, quantity).shape), torch.float32)
    for name, tensor in outputs.items():
        if not bool(torch.isfinite(tensor).all()):
            env = int((~torch.isfinite(tensor)).reshape(num_envs, -1).any(1).nonzero()[0]) if num_envs else 0
            wrong = tensor.reshape(num_envs, -1)[env].sum().item()
            where = "with the robot exactly on its reference" if time == 1 else f"at step {time}"
            subject.fail(
                "finite",
                f"{name} is {wrong} in environment {env} {where}, but the input is finite",
                "bound divisors and the arguments of acos, sqrt and log: x.clamp(-1, 1), x.clamp_min(1e-9)",
            )


def check_members(trial: ComponentTrial) -> None:
    """Raise BrokenPromise if the attributes of a bound component do not fit its kind."""
    subject, component = trial.subject, trial.component
    if subject.kind == "termination":
        subject.require(
            isinstance(component.timeout, bool),
            "contract",
            f"timeout is {component.timeout!r}, neither True nor False",
            "timeout: bool = param(default=False)",
        )
    if subject.kind == "action":
        names = component.names
        subject.require(
            isinstance(names, tuple) and len(set(names)) == len(names) == component.num_actions > 0,
            "contract",
            f"it has {len(names)} names for {component.num_actions} actions, or names repeat",
            "set names and num_actions in bind(), one name for each column",
        )
        shape = (len(trial.env_ids), len(trial.world.model.joint_names))
        _check_tensor(subject, "current_target", component.current_target, shape, torch.float32)
    if subject.kind in ("observation", "action"):
        mirror = component.mirror()
        width = component.num_actions if subject.kind == "action" else trial.result()["value"].shape[-1]
        check_mirror(subject, mirror, width)


def check_mirror(subject: ComponentUnderTest, mirror: Mirror, width: int) -> None:
    """Raise BrokenPromise if a mirror is not as wide as its value, or not the identity when applied twice."""
    subject.require(
        isinstance(mirror, Mirror) and mirror.width == width,
        "mirror",
        f"its mirror is {getattr(mirror, 'width', mirror)} wide, its value {width}",
        "concatenate the mirrors of the parts: Mirror.cat([Mirror.vector(), ...])",
    )
    value = torch.arange(1.0, 1.0 + width)
    is_permutation = sorted(mirror.perm.tolist()) == list(range(width))
    subject.require(
        is_permutation and torch.equal(mirror(mirror(value)), value),
        "mirror",
        "mirroring twice is not the identity",
        "pair each column with its partner, and the partner with it; both change sign or neither does",
    )


def check_start(trial: ComponentTrial, start: StartState | None, env_ids: Tensor) -> None:
    """Raise BrokenPromise if the start of a command is not one state per environment."""
    for name in ("root_pos", "root_quat_wxyz", "root_lin_vel", "root_ang_vel", "joint_pos", "joint_vel"):
        wanted = getattr(trial.scene.robot, name)
        given = getattr(start, name, None)
        _check_tensor(trial.subject, f"reset().{name}", given, (len(env_ids), *wanted.shape[1:]), torch.float32)


def _check_value(subject: ComponentUnderTest, value: object, num_envs: int) -> None:
    wanted: tuple[int, ...] = (num_envs,)
    if subject.kind == "observation" and isinstance(value, Tensor) and value.dim() == 2 and value.shape[1] > 0:
        wanted = (num_envs, value.shape[1])
    elif subject.kind == "observation":
        wanted = (num_envs, -1)
    dtype = torch.bool if subject.kind == "termination" else torch.float32
    _check_tensor(subject, f"{_SHAPES[subject.kind]} value", value, wanted, dtype)


def _check_tensor(
    subject: ComponentUnderTest, name: str, value: object, shape: tuple[int, ...], dtype: torch.dtype
) -> None:
    if not isinstance(value, Tensor):
        subject.fail("shape", f"{name} is a {type(value).__name__}", "return a torch.Tensor")
    shown = f"({', '.join('width' if size < 0 else str(size) for size in shape)})"
    subject.require(
        tuple(value.shape) == shape,
        "shape",
        f"{name} has shape {tuple(value.shape)} for {shape[0]} environments, not {shown}",
        "keep the first axis for environments, and " + (_FLATTEN if -1 in shape else _REDUCE),
    )
    subject.require(
        value.dtype == dtype,
        "dtype",
        f"{name} is {str(value.dtype).removeprefix('torch.')}, not {str(dtype).removeprefix('torch.')}",
        "compare to get a bool: x > limit" if dtype == torch.bool else _FLOAT_FIX,
    )
    subject.require(value.device.type == "cpu", "device", f"{name} is on {value.device}", _FLOAT_FIX)
