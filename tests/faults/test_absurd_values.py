"""A finite but absurd value in one environment is counted, and ruins neither normalisers nor other environments."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from toy_runs import run_toy, tensors

from mtrack import is_trial
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run.phase_run import PhaseRun
from mtrack_bench.measure import TimedTraining
from mtrack_log.jsonl import read_jsonl
from mtrack_mujoco.backend import MujocoBackend
from mtrack_toy.physics import ToyPhysics
from mtrack_toy.task import ToyError

ABSURD = 1e10


@contextmanager
def changed_once(owner: type, name: str, nth: int, change: Callable[[Any, Any], None]) -> Iterator[None]:
    """Call `change` with the component and the result of the nth call of a method; trial steps do not count."""
    inner, calls = getattr(owner, name), 0

    def patched(self: Any, *arguments: Any, **named: Any) -> Any:
        nonlocal calls
        result = inner(self, *arguments, **named)
        if not is_trial():
            calls += 1
            if calls == nth:
                change(self, result)
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(owner, name, patched)
        yield


def normaliser_tensors(directory: Path) -> dict[str, torch.Tensor]:
    return {name: value for name, value in tensors(directory).items() if "normalisers" in name}


def require_alike(faulty: dict[str, torch.Tensor], sound: dict[str, torch.Tensor]) -> None:
    """The statistics of the faulty run are about as large as those of a sound one."""
    for name, value in faulty.items():
        if name.endswith("variance"):
            assert (value < 10.0 * sound[name] + 1.0).all(), name
        elif name.endswith("mean"):
            assert (value.abs() < sound[name].abs() + 10.0).all(), name


def values(directory: Path, name: str) -> list[float]:
    return [metrics.values.get(name, 0.0) for metrics in read_jsonl(directory / "metrics.jsonl")]


def test_an_absurd_joint_is_reset_and_counted(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    assert run_toy(tmp_path / "sound", 3) == 0

    def jump(physics: ToyPhysics, _: None) -> None:
        physics.joint_pos[1, 0] = ABSURD

    with changed_once(ToyPhysics, "step", 2 * 5, jump):  # in the second iteration
        assert run_toy(tmp_path / "run", 3) == 0
    assert values(tmp_path / "run", "env/diverged") == [0.0, 1.0, 0.0]
    assert values(tmp_path / "run", "update/left_out") == [0.0, 0.0, 0.0]
    assert "environment 1 diverged in step 5 of its episode" in caplog.text
    assert [path.name for path in (tmp_path / "run" / "diverged").iterdir()] == ["train-001.safetensors"]
    require_alike(normaliser_tensors(tmp_path / "run"), normaliser_tensors(tmp_path / "sound"))


@pytest.mark.parametrize("nth", [4, 40], ids=["in the first observation", "later"])  # the assembly makes 3 calls
def test_an_absurd_observation_is_left_out_and_counted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], nth: int
) -> None:
    assert run_toy(tmp_path / "sound", 4) == 0

    def spoil(_: ToyError, result: torch.Tensor) -> None:
        result[0, 0] = ABSURD

    with changed_once(ToyError, "__call__", nth, spoil):
        assert run_toy(tmp_path / "run", 4, "loggers.console.every_s=0") == 0
    assert sum(values(tmp_path / "run", "update/left_out")) == 1.0
    assert "absurd values 1" in capsys.readouterr().err
    assert "update/left_out" not in read_jsonl(tmp_path / "sound" / "metrics.jsonl")[-1].values
    require_alike(normaliser_tensors(tmp_path / "run"), normaliser_tensors(tmp_path / "sound"))


def test_a_robot_that_is_thrown_out_of_the_world_is_reset_and_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    settings = ["num_envs=2", "device=cpu", "motions.builtin.motions=['squat']", "phases.train.minibatches=1"]
    settings += ["phases.train.estimator_minibatches=1", "phases.train.train_every=4"]
    recipe = check_recipe(read_recipe("g1_tracking_quick", settings), Registry.scan()).for_phase("train")

    def statistics() -> dict[str, torch.Tensor]:
        phase_run = PhaseRun.open(recipe, "train", tmp_path, recipe.agent.build(), "cpu", None, [], 0)
        training = TimedTraining(phase_run, "train", 4)
        for _ in range(2):
            training.iteration()
        found: dict[str, torch.Tensor] = phase_run.agent.normalisers.state_dict()
        return found

    def throw(backend: MujocoBackend, _: None) -> None:
        backend._sim.qpos[1, 0] = 1e8

    sound = statistics()
    with changed_once(MujocoBackend, "step", 4 * 6, throw):  # in the second iteration
        faulty = statistics()
    assert "environment 1 diverged in step 6" in caplog.text
    assert "x is 1e+08, beyond 10000" in caplog.text
    require_alike(faulty, sound)
