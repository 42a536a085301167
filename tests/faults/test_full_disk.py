"""A disk that becomes full while a run trains: every write fails, really, by a limit of the operating system."""

from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from toy_runs import checkpoints, failing, mtrack, run_toy, same, tensors

from mtrack.loop.learner import Learner
from mtrack_log.jsonl import read_jsonl

HARD = resource.getrlimit(resource.RLIMIT_FSIZE)[1]


def limit(size: int) -> None:
    """Let no file of this process grow beyond a size [bytes]."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, HARD))


@contextmanager
def full_from(iteration: int, until: int = 0) -> Iterator[None]:
    """Let every write fail from the start of one iteration to that of another, or to the end of the context."""
    with ExitStack() as stack:
        stack.callback(limit, HARD)  # in time for pytest, which writes too
        stack.enter_context(failing(Learner, "collect", iteration, lambda: limit(0)))
        if until:
            stack.enter_context(failing(Learner, "collect", until, lambda: limit(HARD)))
        yield


def test_a_run_continues_and_writes_everything_once_there_is_space(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    with full_from(4, until=7):
        assert run_toy(run, 10) == 0
    assert "finished" in capsys.readouterr().err  # kept in memory, so that only the run's files are limited
    assert "cannot write the checkpoint of iteration 6 of phase 'train': [Errno 27]" in caplog.text
    assert "is disabled" not in caplog.text
    assert checkpoints(run)[-1] == "train-0000010"
    assert [metrics.iteration for metrics in read_jsonl(run / "metrics.jsonl")] == list(range(1, 11))
    assert json.loads((run / "status.json").read_text())["status"] == "finished"


def test_a_run_whose_disk_stays_full_fails_and_keeps_its_checkpoints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    with full_from(4):
        assert run_toy(run, 6) == 1
    assert "the last checkpoint is" in (shown := capsys.readouterr().err)
    assert "once this is fixed: mtrack run --resume" in shown
    assert checkpoints(run) == ["train-0000002"]
    assert run_toy(run, 6) == 2, "a second start is refused"
    assert mtrack("run", "--resume", run) == 0
    whole = tmp_path / "whole"
    assert run_toy(whole, 6) == 0
    assert same(tensors(run), tensors(whole))
