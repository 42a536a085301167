"""Plays an exported policy in plain MuJoCo through the robot's runtime, and compares that with `mtrack eval`."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import torch

from mtrack import MtrackError, StartState
from mtrack.api.device import available_cpus
from mtrack.math import quat_rotate
from mtrack.registry.registry import Registry
from mtrack_deploy import DeployError, Policy
from mtrack_deploy.policy import CONTRACT_FILE
from mtrack_deploy.rollout import RecordedRollout, roll_out
from mtrack_eval.evaluated_run import EvalOptions, open_run
from mtrack_eval.rollouts import Arena, Rollouts, prepare
from mtrack_export.exported_run import without_randomizations

ERROR_MARGIN, SUCCESS_MARGIN = 0.10, 0.10
"""How far error (relative) and success (of a clip, absolute) may be from those of `mtrack eval`."""
STANDING_SHARE = 0.95
"""Share of the rollouts that tracked a clip which must stand some seconds after its end."""
_ERROR = "mpkpe_local"
_ROUNDING = 1e-9


@attrs.frozen(kw_only=True)
class ClipComparison:
    """One clip in the simulation of training and in plain MuJoCo."""

    clip: str
    eval_success: float
    deploy_success: float
    eval_error: float
    """Mean keypoint error without that of the root, until the first failure [mm]."""
    deploy_error: float
    standing: float
    """Share of the rollouts that tracked the clip which still stood after its end; NaN if none did."""


@attrs.frozen(kw_only=True)
class DeployCheck:
    """The result of a check."""

    clips: Sequence[ClipComparison]
    rollouts: int
    limited: Mapping[str, float]
    """Share of the commands, in joints and physics steps, that each limit of the runtime changed."""
    stops: Sequence[str]
    """Why rollouts were stopped, each reason once."""

    @property
    def error_ratio(self) -> float:
        """Mean error over the clips, as a multiple of that of `mtrack eval`."""
        return float(np.sum([clip.deploy_error for clip in self.clips]) / np.sum([c.eval_error for c in self.clips]))

    def as_json(self) -> dict[str, Any]:
        """Return everything, JSON-able."""
        facts: dict[str, Any] = _without_nan(attrs.asdict(self) | {"error_ratio": self.error_ratio})
        return facts | {"problems": self.problems}

    @property
    def problems(self) -> list[str]:
        """What is not as it should be; empty if the policy passes."""
        found = []
        if not abs(self.error_ratio - 1.0) <= ERROR_MARGIN:
            found.append(f"the error is {self.error_ratio:.2f} times that of `mtrack eval`")
        for clip in self.clips:
            if abs(clip.deploy_success - clip.eval_success) > SUCCESS_MARGIN + _ROUNDING:
                found.append(f"{clip.clip}: success {clip.deploy_success:.0%}, but {clip.eval_success:.0%} in training")
            if clip.deploy_success > 0.0 and not clip.standing >= STANDING_SHARE - _ROUNDING:
                found.append(f"{clip.clip}: only {clip.standing:.0%} of those that tracked it stand after its end")
        return found


def _without_nan(value: Any) -> Any:
    """Return a value with null for NaN, which JSON does not have."""
    if isinstance(value, Mapping):
        return {name: _without_nan(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(member) for member in value]
    return None if isinstance(value, float) and math.isnan(value) else value


def check_deployment(run: Path, folder: Path, options: EvalOptions, names: Sequence[str]) -> DeployCheck:
    """Compare an exported policy with its run on clips, by default all. Raises MtrackError."""
    try:
        policy = Policy.load(folder)
    except DeployError as error:
        raise MtrackError(str(error)) from error
    known = [motion.name for motion in policy.contract.motions]
    unknown = [name for name in names if name not in known]
    if unknown:
        raise MtrackError(f"no clip is named '{unknown[0]}'; the policy was exported with {', '.join(known)}")
    clips = [known.index(name) for name in names] if names else list(range(len(known)))
    rollouts = options.rollouts or 1
    tasks = [(folder, known[clip], seed) for clip in clips for seed in range(rollouts)]
    with ProcessPoolExecutor(min(available_cpus(), len(tasks)), get_context("spawn")) as pool:
        try:
            recorded = list(pool.map(_play, tasks, chunksize=max(1, rollouts // 4)))
        except DeployError as error:
            raise MtrackError(str(error)) from error
    arena = _arena(run, options, len(clips))
    ours = arena.recorded(_states(recorded, arena.lengths[clips].tolist(), rollouts), clips)
    theirs = arena.policy(clips=clips)
    stands = torch.tensor([rollout.stands for rollout in recorded]).view(len(clips), rollouts)
    tracked = ~ours.failed
    standing = (stands & tracked).sum(1) / tracked.sum(1)  # 0 / 0 is NaN
    return DeployCheck(
        clips=[_compared(known[clip], row, theirs, ours, float(standing[row])) for row, clip in enumerate(clips)],
        rollouts=rollouts,
        limited=_limited(policy, recorded),
        stops=sorted({rollout.stopped for rollout in recorded if rollout.stopped}),
    )


def add_proof(folder: Path, check: DeployCheck) -> None:
    """Write the result of a check into policy.json; no target depends on it."""
    file = folder / CONTRACT_FILE
    contract = json.loads(file.read_text("utf-8"))
    contract["proof"]["deploy_check"] = attrs.asdict(check) | {
        "error_ratio": check.error_ratio,
        "problems": check.problems,
    }
    written = file.with_suffix(".new")
    written.write_text(json.dumps(contract, indent=1) + "\n", "utf-8")
    written.replace(file)


def _play(task: tuple[Path, str, int]) -> RecordedRollout:
    """Roll out one clip in another process."""
    folder, clip, seed = task
    return roll_out(Policy.load(folder), clip, seed=seed)


def _arena(run: Path, options: EvalOptions, clips: int) -> Arena:
    """Return the simulation of training with its observation noise and delays, without what a robot does not have."""
    opened = open_run(run, attrs.evolve(options, noise=True), Registry.scan(files=options.files))
    changes = without_randomizations(opened.recipe)
    if "start_noise" in opened.recipe.command.params:
        changes.append("command.start_noise=0.0")
    return prepare(opened.changed(changes), clips)


def _states(recorded: Sequence[RecordedRollout], lengths: Sequence[int], rollouts: int) -> list[StartState]:
    """Return the states of each frame, of all rollouts; a rollout that is over keeps its last state."""
    names = ("root_pos", "root_quat_wxyz", "root_lin_vel", "root_ang_vel", "joint_pos", "joint_vel")
    values = {}
    for name in names:
        rows = [getattr(rollout, name)[: 1 + lengths[i // rollouts]] for i, rollout in enumerate(recorded)]
        padded = [np.concatenate((row, row[-1:].repeat(1 + max(lengths) - len(row), axis=0))) for row in rows]
        values[name] = torch.from_numpy(np.stack(padded, axis=1)).float()  # [T + 1, rollouts, ...]
    values["root_ang_vel"] = quat_rotate(values["root_quat_wxyz"], values["root_ang_vel"])
    return [StartState(**{name: value[frame] for name, value in values.items()}) for frame in range(1 + max(lengths))]


def _compared(name: str, row: int, theirs: Rollouts, ours: Rollouts, standing: float) -> ClipComparison:
    def success(rollouts: Rollouts) -> float:
        return 1.0 - float(rollouts.failed[row].double().mean())

    def error(rollouts: Rollouts) -> float:
        return float(rollouts.values[_ERROR][row].nanmean())

    return ClipComparison(
        clip=name,
        eval_success=success(theirs),
        deploy_success=success(ours),
        eval_error=error(theirs),
        deploy_error=error(ours),
        standing=standing,
    )


def _limited(policy: Policy, recorded: Sequence[RecordedRollout]) -> dict[str, Any]:
    joints, substeps = len(policy.contract.robot.joints), policy.contract.timing.decimation
    commands = joints * substeps * sum(len(rollout.root_pos) - 1 for rollout in recorded)
    total: Counter[str] = sum((rollout.limited for rollout in recorded), Counter())
    return {name: count / commands for name, count in sorted(total.items())}
