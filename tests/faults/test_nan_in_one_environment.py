"""A NaN anywhere in one environment leaves the other ones bit-identical until their own next reset."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from copy import deepcopy
from typing import Any

import pytest
import torch

from mtrack.loop.env import Env
from mtrack.loop.learner import rollout_mode
from mtrack.loop.snapshot import env_state, load_env_state
from mtrack.run.phase_run import PhaseRun
from mtrack_mujoco.backend import MujocoBackend
from mtrack_testing import small_recipe
from mtrack_tracking.rewards import KeypointPosTracking

NUM, SPOILED, STEPS, FAULT_STEP = 4, 1, 12, 3
SETTINGS = (
    f"num_envs={NUM}",
    "device=cpu",
    "max_episode_steps=8",
    "motions.builtin.motions=['squat', 'walk']",
    "randomizations.compliance.bank_size=100",
    "phases.train.autocast=none",
)


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> PhaseRun:
    """The teacher's phase of the whole G1 task, with all randomizations."""
    recipe = small_recipe("g1_tracking", *SETTINGS).for_phase("train")
    folder = tmp_path_factory.mktemp("run")
    return PhaseRun.open(recipe, "train", folder, recipe.agent.build(), "cpu", None, [], 0)


Fault = Callable[[Env, Any, pytest.MonkeyPatch], None]


def in_qpos(env: Env, observations: Any, patch: pytest.MonkeyPatch) -> None:
    env.backend._sim.qpos[SPOILED, 9] = torch.nan


def in_ctrl(env: Env, observations: Any, patch: pytest.MonkeyPatch) -> None:
    step = MujocoBackend.step

    def spoiled(self: MujocoBackend, target: torch.Tensor, last: bool) -> None:
        step(self, target.index_fill(0, torch.tensor([SPOILED]), torch.nan), last)

    patch.setattr(MujocoBackend, "step", spoiled)


def in_observation(env: Env, observations: Any, patch: pytest.MonkeyPatch) -> None:
    for group in observations.keys():  # noqa: SIM118  a TensorDict iterates over its rows
        observations[group][SPOILED] = torch.nan


def in_reward(env: Env, observations: Any, patch: pytest.MonkeyPatch) -> None:
    compute = KeypointPosTracking.__call__

    def spoiled(self: KeypointPosTracking, scene: Any) -> torch.Tensor:
        return compute(self, scene).index_fill(0, torch.tensor([SPOILED]), torch.nan)

    patch.setattr(KeypointPosTracking, "__call__", spoiled)


def in_action(env: Env, observations: Any, patch: pytest.MonkeyPatch) -> None:
    pass  # `trajectory` spoils it


def trajectory(started: PhaseRun, fault: Fault | None = None) -> Iterator[dict[str, torch.Tensor]]:
    """Yield what each environment has after each step, and whether it was reset."""
    env = started.assembly.env
    for step in range(STEPS):
        with rollout_mode(NUM), pytest.MonkeyPatch.context() as patch:
            observations = env.observations.clone()
            if fault and step == FAULT_STEP:
                fault(env, observations, patch)
            action = started.phase.act(observations)["action"]
            if fault is in_action and step == FAULT_STEP:
                action[SPOILED, 0] = torch.nan
            result = env.step(action)
        robot = env.scene.robot
        yield {
            "reset": result.terminated | result.truncated,
            "reward": result.reward.clone(),
            "joint_pos": robot.joint_pos.clone(),
            "root_pos": robot.root_pos.clone(),
            "body_lin_vel": robot.body_lin_vel.clone(),
            "contacts": env.backend.contacts.clone(),
            **{group: value.clone() for group, value in env.observations.items()},
        }


@pytest.fixture(scope="module")
def before(started: PhaseRun) -> tuple[dict[str, Any], torch.Tensor]:
    with rollout_mode(NUM):
        started.phase.act(started.assembly.env.observations)  # starts the normalisers
    return deepcopy(env_state(started.assembly)), started.phase.rng.get_state()


@pytest.fixture(scope="module")
def sound(started: PhaseRun, before: object) -> list[dict[str, torch.Tensor]]:
    return list(trajectory(started))


@pytest.mark.parametrize("fault", [in_qpos, in_ctrl, in_action, in_observation, in_reward])
def test_the_others_stay_bit_identical_until_they_are_reset(
    started: PhaseRun,
    before: tuple[dict[str, Any], torch.Tensor],
    sound: list[dict[str, torch.Tensor]],
    fault: Fault,
) -> None:
    state, generator = before
    load_env_state(started.assembly, deepcopy(state))
    started.phase.rng.set_state(generator)
    faulty = list(trajectory(started, fault))
    assert faulty[FAULT_STEP]["reset"][SPOILED], "it is reset at once"
    assert not sound[FAULT_STEP]["reset"][SPOILED]
    assert all(value.float().isfinite().all() for step in faulty for value in step.values())
    compared = 0
    for env_id in {*range(NUM)} - {SPOILED}:
        for step, (one, other) in enumerate(zip(sound, faulty, strict=True)):
            if step > FAULT_STEP and one["reset"][env_id]:
                break  # what it draws now is another number
            for name, value in one.items():
                assert torch.equal(value[env_id], other[name][env_id]), (env_id, step, name)
            compared += step > FAULT_STEP
    assert compared > NUM, "no other environment lived long enough"
