"""If a component raises, exits or interrupts, the run ends with its name, and the last checkpoint is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_runs import checkpoints, failing, mtrack, raising, run_toy, same, tensors

from mtrack_ppo.train import Train
from mtrack_toy.physics import ToyPhysics
from mtrack_toy.task import ToyCloseness, ToyTarget


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of 6 iterations without failures."""
    directory = tmp_path_factory.mktemp("runs") / "whole"
    assert run_toy(directory) == 0
    return directory


@pytest.mark.parametrize(
    ("owner", "name", "nth", "kept"),
    [(Train, "update", 4, 2), (ToyCloseness, "__call__", 4 * 4 + 2, 4), (ToyPhysics, "step", 2 * 4 * 3 + 3, 2)],
    ids=["in an update", "in a rollout", "in the physics"],
)
def test_resuming_after_an_exception_reproduces_an_uninterrupted_run(
    whole: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], owner: type, name: str, nth: int, kept: int
) -> None:
    directory = tmp_path / "run"
    with failing(owner, name, nth, raising(ArithmeticError("broken on purpose"))):
        assert run_toy(directory) == 1
    errors = capsys.readouterr().err
    assert "raised ArithmeticError: broken on purpose" in errors
    *_, kept_line, remedy = errors.splitlines()
    assert f"(iteration {kept} of phase 'train')" in kept_line
    assert "once this is fixed: mtrack run --resume" in remedy and "--allow-change if you edited code" in remedy
    assert checkpoints(directory)[-1] == f"train-{kept:07d}", "no checkpoint is saved within an iteration"
    assert mtrack("run", "--resume", directory) == 0
    assert same(tensors(directory), tensors(whole))


ENDS = [SystemExit(0), SystemExit(7), KeyboardInterrupt(), GeneratorExit(), BaseExceptionGroup("x", [SystemExit(0)])]


@pytest.mark.parametrize("error", ENDS, ids=lambda error: f"{type(error).__name__} {error.args}")
def test_an_exit_or_interrupt_of_a_component_is_reported_as_its_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: BaseException
) -> None:
    with failing(ToyCloseness, "__call__", 3, raising(error)):
        assert run_toy(tmp_path / "run", 2) == 1
    errors = capsys.readouterr().err
    assert "reward 'toy_closeness' (mtrack 0.2.0.dev0) at rewards.toy.closeness (" in errors
    assert f") raised {type(error).__name__}" in errors


@pytest.mark.parametrize("name", ["bind", "reset"])
@pytest.mark.parametrize("error", [SystemExit(0), KeyboardInterrupt()], ids=["exit", "interrupt"])
def test_an_exit_or_interrupt_before_the_first_step_is_an_error(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, error: BaseException
) -> None:
    with failing(ToyTarget, name, 1, raising(error)):
        assert run_toy(tmp_path / "run", 2) == 1
    errors = capsys.readouterr().err
    assert type(error).__name__ in errors.splitlines()[-2]
    assert "there is no checkpoint; once this is fixed, start again" in errors.splitlines()[-1]
