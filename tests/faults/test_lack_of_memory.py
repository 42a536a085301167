"""Too little memory for the environments of a run is reported with num_envs and a smaller number to try."""

from __future__ import annotations

from pathlib import Path

import pytest
from toy_runs import checkpoints, failing, raising, run_toy

from mtrack_toy.task import ToyCloseness


def test_an_impossible_number_of_environments_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_toy(tmp_path / "run", 1, "num_envs=1_000_000_000_000_000") == 1  # more bytes than there are addresses
    errors = capsys.readouterr().err
    assert "Traceback" not in errors
    assert "not enough memory for 1,000,000,000,000,000 environments (num_envs) with 4 steps per rollout" in errors
    assert "--set num_envs=500000000000000" in errors


@pytest.mark.parametrize("error", [MemoryError(), RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")])
def test_a_lack_of_memory_during_a_run_is_named_and_its_checkpoints_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    with failing(ToyCloseness, "__call__", 4 * 3 + 2, raising(error)):
        assert run_toy(tmp_path / "run") == 1
    errors = capsys.readouterr().err
    assert "not enough memory for 4 environments (num_envs)" in errors
    assert "the last checkpoint is" in errors
    assert checkpoints(tmp_path / "run") == ["train-0000002"]
