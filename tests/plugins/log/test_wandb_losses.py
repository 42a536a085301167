"""What wandb has not confirmed counts as missing, and `mtrack wandb-upload` makes a run from the local metrics."""

from __future__ import annotations

import json
import logging
import os
import signal
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from feed_of_metrics import RUN, iteration

from mtrack.cli import main
from mtrack_log import wandb_sender
from mtrack_log.jsonl import to_line
from mtrack_log.wandb import WandB
from mtrack_log.wandb_sender import is_service

pytest.importorskip("wandb", reason="needs the extra mtrack[wandb]")
pytestmark = pytest.mark.usefixtures("wandb_environment")


def test_a_full_queue_drops_and_counts_messages(
    directory: Path, silent_server: None, caplog: pytest.LogCaptureFixture
) -> None:
    logger = WandB(mode="online", timeout_s=1.0, capacity=2)
    logger.start(directory, RUN)
    for k in range(2000):
        logger.log(iteration(k + 1))
    assert logger.sender is not None
    assert logger.sender.dropped > 1000
    logger.finish("interrupted")
    assert "it may lack 2000 of 2000 messages" in caplog.text, "wandb has confirmed none of them"


def test_a_process_that_dies_only_causes_a_warning(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    (directory / "wandb").mkdir()
    logger = WandB(project="not/a project" * 50)  # wandb rejects this name when it opens the run
    with caplog.at_level(logging.WARNING):
        logger.start(directory, RUN)
        logger.log(iteration(1))
        logger.finish("finished")
    assert "process.log" in caplog.text


def started(directory: Path, caplog: pytest.LogCaptureFixture) -> WandB:
    """Return a logger that has sent an iteration, whose service runs; the run has metrics.jsonl."""
    (directory / "metrics.jsonl").touch()
    logger = WandB(timeout_s=60.0)
    logger.start(directory, RUN)
    logger.log(iteration(1))
    assert logger.sender is not None
    deadline = time.monotonic() + 60.0
    while logger.sender._service is None:
        assert time.monotonic() < deadline, caplog.text
        time.sleep(0.05)
    return logger


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux lists the children of a process")
@pytest.mark.parametrize("victim", ["process", "service"])
def test_nothing_counts_as_arrived_if_wandb_is_killed(
    directory: Path, caplog: pytest.LogCaptureFixture, victim: str
) -> None:
    logger = started(directory, caplog)
    assert logger.sender is not None and logger.sender._service is not None
    service = logger.sender._service
    os.kill(logger.sender._process.pid if victim == "process" else service, signal.SIGKILL)
    logger.log(iteration(2))
    logger.finish("finished")
    assert "it may lack 2 of 2 messages. metrics.jsonl has every iteration, and `mtrack wandb-upload" in caplog.text
    assert not is_service(service)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux lists the children of a process")
def test_a_service_that_hangs_is_ended_with_the_run(directory: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = started(directory, caplog)
    logger.timeout_s = 2.0
    assert logger.sender is not None and logger.sender._service is not None
    service = logger.sender._service
    os.kill(service, signal.SIGSTOP)
    logger.finish("finished")
    assert "did not finish within 2 s and was killed: it may lack 1 of 1 messages" in caplog.text
    deadline = time.monotonic() + 5.0
    while is_service(service):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_full_disk_is_reported_though_wandb_says_nothing(
    directory: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logger = WandB()
    logger.start(directory, RUN)
    logger.log(iteration(1))
    monkeypatch.setattr(wandb_sender.shutil, "disk_usage", lambda place: SimpleNamespace(free=0))
    logger.finish("finished")
    assert "because the disk is full: it may lack 1 of 1 messages" in caplog.text


def test_a_run_is_made_again_from_its_metrics(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (directory / "manifest.json").write_text(json.dumps({"run_id": "abc", "values": {"robot": "a-robot"}}))
    (directory / "metrics.jsonl").write_bytes(b"".join(to_line(iteration(k + 1)) for k in range(5)) + b'{"torn')
    with pytest.raises(SystemExit) as ended:
        main(["wandb-upload", str(directory), "--offline"])
    assert not ended.value.code
    assert "5 iterations are in the run abc-" in capsys.readouterr().out
    (record,) = directory.glob("wandb/offline-run-*/*.wandb")
    for expected in (b"train/reward/tracking/root_pos", b"a-robot"):
        assert expected in record.read_bytes()


def test_a_run_without_metrics_cannot_be_made_again(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["wandb-upload", str(tmp_path)])
    assert ended.value.code == 2
    assert "was trained with [loggers.jsonl]" in capsys.readouterr().err
