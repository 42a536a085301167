"""The wandb logger works offline, never blocks a run, and records nothing private."""

from __future__ import annotations

import getpass
import importlib.util
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
from feed_of_metrics import RUN, iteration

from mtrack import MtrackError
from mtrack_log.wandb import WandB
from mtrack_log.wandb_process import SERVICE

pytest.importorskip("wandb", reason="needs the extra mtrack[wandb]")
pytestmark = pytest.mark.usefixtures("wandb_environment")


def test_an_offline_run_is_written_below_the_run_directory(tmp_path: Path, directory: Path) -> None:
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


def test_a_film_of_the_run_is_copied_into_the_record_of_wandb(directory: Path) -> None:
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


def test_no_secret_machine_user_or_command_line_is_recorded(directory: Path) -> None:
    logger = WandB()
    logger.start(directory, {**RUN, "machine": "a machine", "command": ["--token", os.environ["SOME_TOKEN"]]})
    logger.log(iteration(1))
    logger.finish("finished")
    content = b"".join(path.read_bytes() for path in directory.rglob("*") if path.is_file())
    private = [os.environ["SOME_TOKEN"], "a machine", f"{getpass.getuser()}@"]
    if len(socket.gethostname()) > 4:  # a shorter one may occur by chance
        private.append(socket.gethostname())
    assert [text for text in private if text.encode() in content] == []
    (record,) = directory.glob("wandb/offline-run-*/*.wandb")  # the file that `wandb sync` sends
    assert b"pytest" not in record.read_bytes()


def test_an_unreachable_server_neither_delays_the_run_nor_loses_metrics(
    directory: Path, silent_server: None, caplog: pytest.LogCaptureFixture
) -> None:
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


def test_a_run_without_connection_continues_offline(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WANDB_BASE_URL", "http://127.0.0.1:9")  # a closed port
    monkeypatch.setenv("WANDB_API_KEY", "a" * 40)
    messages = [settings(directory, mode="online"), {"log": {"loss/policy": 1.0}, "step": 1}, {"finish": "finished"}]
    reports = serve(messages)
    (record,) = directory.glob("wandb/offline-run-*/*.wandb")
    assert b"loss/policy" in record.read_bytes()
    assert "no connection" in reports
    assert "wandb sync" in reports


def test_a_missing_account_is_reported_without_a_prompt(directory: Path) -> None:
    reports = serve([settings(directory, mode="online"), {"finish": "finished"}])
    assert "API key" in reports
    assert list(directory.glob("wandb/offline-run-*/*.wandb"))


def test_a_checkpoint_becomes_an_artifact(directory: Path) -> None:
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


def test_a_checkpoint_that_is_missing_is_reported_and_skipped(directory: Path) -> None:
    missing = {"checkpoint": str(directory / "checkpoints" / "000100"), "run_directory": str(directory)}
    reports = serve([settings(directory), missing, {"log": {"a": 1.0}, "step": 1}, {"finish": "finished"}])
    assert "checkpoint not uploaded" in reports


def test_a_killed_run_closes_its_record(directory: Path) -> None:
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
