"""The wandb logger works offline, never blocks a run, and records nothing private."""

from __future__ import annotations

import getpass
import importlib.util
import json
import logging
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import pytest
from feed_of_metrics import RUN, iteration

from mtrack import MtrackError
from mtrack.cli import main
from mtrack_log import wandb_sender
from mtrack_log.jsonl import to_line
from mtrack_log.wandb import WandB
from mtrack_log.wandb_process import SERVICE
from mtrack_log.wandb_sender import is_service

pytest.importorskip("wandb", reason="needs the extra mtrack[wandb]")

SECRET = "s3cret-in-the-environment"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in [name for name in os.environ if name.startswith("WANDB_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("SOME_TOKEN", SECRET)


@pytest.fixture
def silent_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A server that accepts connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        monkeypatch.setenv("WANDB_BASE_URL", f"http://127.0.0.1:{server.getsockname()[1]}")
        monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
        yield


def run_directory(tmp_path: Path) -> Path:
    directory = tmp_path / "runs" / "quick"
    directory.mkdir(parents=True)
    return directory


def test_an_offline_run_is_written_below_the_run_directory(tmp_path: Path) -> None:
    directory = run_directory(tmp_path)
    logger = WandB()
    logger.start(directory, {**RUN, "values": {"robot": {"use": "a-robot-of-the-recipe"}}})
    logger.log(iteration(1))
    logger.log(iteration(2, phase="adapt"))
    logger.finish("finished")
    (record,) = directory.glob("wandb/offline-run-*/run-20261122-101500-quick.wandb")
    content = record.read_bytes()
    names = (b"train/reward/tracking/root_pos", b"train/time/collect", b"adapt/loss/policy")
    for expected in (*names, b"mtrack", b"a-robot-of-the-recipe"):
        assert expected in content
    assert str(tmp_path).encode() not in content, "no path of this machine is uploaded"
    assert not (tmp_path / "home").exists(), "no file is left in the user's home directory"


def test_a_film_of_the_run_is_copied_into_the_record_of_wandb(tmp_path: Path) -> None:
    directory = run_directory(tmp_path)
    logger = WandB()
    logger.start(directory, RUN)
    logger.log(iteration(1))
    (directory / "films").mkdir()
    (directory / "films" / "train-0000001.mp4").write_bytes(b"not really a film")
    logger.finish("finished")
    (copied,) = directory.glob("wandb/offline-run-*/files/media/videos/train/film_*.mp4")
    assert copied.read_bytes() == b"not really a film"
    (record,) = directory.glob("wandb/offline-run-*/*.wandb")
    assert b"train/film" in record.read_bytes()


def test_no_secret_machine_user_or_command_line_is_recorded(tmp_path: Path) -> None:
    directory = run_directory(tmp_path)
    logger = WandB()
    logger.start(directory, {**RUN, "machine": "a machine", "command": ["--token", SECRET]})
    logger.log(iteration(1))
    logger.finish("finished")
    content = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
    private = [SECRET, "a machine", f"{getpass.getuser()}@"]
    if len(socket.gethostname()) > 4:  # a shorter one may occur by chance
        private.append(socket.gethostname())
    assert [text for text in private if text.encode() in content] == []
    (record,) = directory.glob("wandb/offline-run-*/*.wandb")  # the file that `wandb sync` sends
    assert b"pytest" not in record.read_bytes()


def test_an_unreachable_server_neither_delays_the_run_nor_loses_metrics(
    tmp_path: Path, silent_server: None, caplog: pytest.LogCaptureFixture
) -> None:
    directory = run_directory(tmp_path)
    logger = WandB(mode="online", timeout_s=12.0, upload_checkpoints=True)
    start = time.monotonic()
    logger.start(directory, RUN)
    for k in range(50):
        logger.log(iteration(k + 1))
    logger.checkpoint_saved(directory)
    assert time.monotonic() - start < 1.0
    logger.finish("finished")
    assert time.monotonic() - start < 14.0
    assert "no connection" in caplog.text
    (record,) = directory.glob("wandb/offline-run-*/*.wandb")
    assert b"reward/tracking/root_pos" in record.read_bytes()


def test_a_run_without_connection_continues_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # a closed port
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    directory = run_directory(tmp_path)
    messages = [settings(directory, mode="online"), {"log": {"loss/policy": 1.0}, "step": 1}, {"finish": "finished"}]
    reports = serve(messages)
    (record,) = directory.glob("wandb/offline-run-*/*.wandb")
    assert b"loss/policy" in record.read_bytes()
    assert "no connection" in reports
    assert "wandb sync" in reports


def test_a_missing_account_is_reported_without_a_prompt(tmp_path: Path) -> None:
    directory = run_directory(tmp_path)
    reports = serve([settings(directory, mode="online"), {"finish": "finished"}])
    assert "API key" in reports
    assert list(directory.glob("wandb/offline-run-*/*.wandb"))


def test_a_full_queue_drops_and_counts_messages(
    tmp_path: Path, silent_server: None, caplog: pytest.LogCaptureFixture
) -> None:
    directory = run_directory(tmp_path)
    logger = WandB(mode="online", timeout_s=1.0, capacity=2)
    logger.start(directory, RUN)
    for k in range(2000):
        logger.log(iteration(k + 1))
    assert logger.sender is not None
    assert logger.sender.dropped > 1000
    logger.finish("interrupted")
    assert "it may lack 2000 of 2000 messages" in caplog.text, "wandb has confirmed none of them"


def test_a_process_that_dies_only_causes_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    directory = run_directory(tmp_path)
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
    tmp_path: Path, caplog: pytest.LogCaptureFixture, victim: str
) -> None:
    logger = started(run_directory(tmp_path), caplog)
    assert logger.sender is not None and logger.sender._service is not None
    service = logger.sender._service
    os.kill(logger.sender._process.pid if victim == "process" else service, signal.SIGKILL)
    logger.log(iteration(2))
    logger.finish("finished")
    assert "it may lack 2 of 2 messages. metrics.jsonl has every iteration, and `mtrack wandb-upload" in caplog.text
    assert not is_service(service)


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="only Linux lists the children of a process")
def test_a_service_that_hangs_is_ended_with_the_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    logger = started(run_directory(tmp_path), caplog)
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
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    directory = run_directory(tmp_path)
    logger = WandB()
    logger.start(directory, RUN)
    logger.log(iteration(1))
    monkeypatch.setattr(wandb_sender.shutil, "disk_usage", lambda place: SimpleNamespace(free=0))
    logger.finish("finished")
    assert "because the disk is full: it may lack 1 of 1 messages" in caplog.text


def test_a_run_is_made_again_from_its_metrics(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    directory = run_directory(tmp_path)
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


def test_a_checkpoint_becomes_an_artifact(tmp_path: Path) -> None:
    directory = run_directory(tmp_path)
    checkpoint = directory / "checkpoints" / "000100"
    checkpoint.mkdir(parents=True)
    (checkpoint / "agent.safetensors").write_bytes(b"weights")
    for name in ("recipe.toml", "manifest.json"):
        (directory / name).write_text(name)
    message = {"checkpoint": str(checkpoint), "run_directory": str(directory)}
    reports = serve([settings(directory), message, {"finish": "finished"}])
    assert reports == ""
    (record,) = directory.glob("wandb/offline-run-*/*.wandb")
    for name in (b"checkpoints/000100/agent.safetensors", b"recipe.toml", b"manifest.json"):
        assert name in record.read_bytes()


def test_a_checkpoint_that_is_missing_is_reported_and_skipped(tmp_path: Path) -> None:
    directory = run_directory(tmp_path)
    missing = {"checkpoint": str(directory / "checkpoints" / "000100"), "run_directory": str(directory)}
    reports = serve([settings(directory), missing, {"log": {"a": 1.0}, "step": 1}, {"finish": "finished"}])
    assert "checkpoint not uploaded" in reports


def test_a_killed_run_closes_its_record(tmp_path: Path) -> None:
    directory = run_directory(tmp_path)
    serve([settings(directory), {"log": {"loss/policy": 1.0}, "step": 1}], torn='{"log": {"lo')
    (record,) = directory.glob("wandb/offline-run-*/*.wandb")
    assert b"loss/policy" in record.read_bytes()


def test_disabled_does_nothing(tmp_path: Path) -> None:
    logger = WandB(mode="disabled")
    logger.start(tmp_path, RUN)
    logger.log(iteration(1))
    logger.checkpoint_saved(tmp_path)
    logger.finish("finished")
    assert list(tmp_path.iterdir()) == []


def test_the_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MtrackError, match=r'pip install "mtrack\[wandb\]"'):
        WandB().start(tmp_path, RUN)


def settings(directory: Path, mode: str = "offline") -> dict[str, object]:
    return {
        "mode": mode,
        "directory": str(directory),
        "project": "mtrack",
        "entity": "",
        "id": "quick",
        "name": "quick",
        "timeout_s": 2.0,
        "config": {},
    }


def serve(messages: list[dict[str, object]], torn: str = "") -> str:
    """Run the process on these messages and return what it reports."""
    lines = "".join(json.dumps(message) + "\n" for message in messages) + torn
    command = [sys.executable, "-P", "-m", "mtrack_log.wandb_process"]
    done = subprocess.run(command, check=False, input=lines, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return "".join(line for line in done.stdout.splitlines(keepends=True) if not line.startswith(SERVICE))
