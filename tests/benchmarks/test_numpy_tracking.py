"""The numpy environments that mtrack is timed against compute the same task, and an error in them would be seen."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import attrs
import numpy as np
import pytest

from mtrack.loop.assemble import Assembly, assemble

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
from async_vector_env import PHASE, checked
from numpy_task import Task, task_of
from numpy_tracking import NumpyTracking
from numpy_verification import TOLERANCE, Verification
from numpy_workers import Recorded, Several


@pytest.fixture(scope="module")
def assembly() -> Assembly:
    return assemble(checked("max_episode_steps=20"), PHASE, num_envs=8)


@pytest.fixture(scope="module")
def task(assembly: Assembly) -> Task:
    return task_of(assembly)


def test_numpy_and_mtrack_agree_in_every_observation_reward_and_end(assembly: Assembly, task: Task) -> None:
    found = Verification(assembly, task).run(steps=40)
    assert len(found) == len(task.observations) + len(task.rewards) + 5
    assert max(of.difference for of in found.values()) < TOLERANCE / 10
    never = {name for name, of in found.items() if of.value == 0.0}
    assert never <= {"observations.policy.compliance"}, "what is always 0 has not been compared"


def weaker(task: Task) -> Task:
    return attrs.evolve(task, scales=0.99 * task.scales)


def untold(task: Task) -> Task:
    tables = attrs.evolve(task.tables, ahead_rot=task.tables.ahead_rot + 0.001)
    return attrs.evolve(task, tables=tables)


def paid_otherwise(task: Task) -> Task:
    return attrs.evolve(task, params=task.params | {"rewards.tracking.root_rot.sigma": 0.101})


@pytest.mark.parametrize(
    ("change", "named"), [(weaker, "applied_target"), (untold, "target_keypoint_rot"), (paid_otherwise, "root_rot")]
)
def test_a_task_that_differs_is_refused(assembly: Assembly, task: Task, change: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        Verification(assembly, change(task)).run(steps=4)


def test_a_worker_of_several_environments_does_what_each_does_alone(task: Task) -> None:
    several, alone = Several(task, 2, seed=3), [NumpyTracking(task, seed) for seed in (3, 4)]
    assert np.array_equal(several.reset()[0], [env.reset()[0] for env in alone])
    for _ in range(23):  # episodes end after 20
        rows, rewards, _, ended, _ = several.step(np.full((2, 29), 0.1))
        steps = [env.step(np.full(29, 0.1)) for env in alone]
        assert np.array_equal(rewards, [reward for _, reward, *_ in steps])
        assert ended.tolist() == [truncated for *_, truncated, _ in steps]
        expected = [env.reset()[0] if step[3] else step[0] for env, step in zip(alone, steps, strict=True)]
        assert np.array_equal(rows, expected)


def test_recorded_physics_are_made_again(task: Task) -> None:
    env = Recorded(task)
    env.record(steps=12, action_size=0.3)
    assert env.replay() > 0.0
    env.calls.pop()
    with pytest.raises(RuntimeError, match="void"):
        env.replay()
