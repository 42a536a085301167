"""Hooks and loggers change no numbers: a run with all of them writes the same checkpoints as a run without any."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from mtrack.cli import main
from mtrack.loop.process_state import process_state_kept
from mtrack_testing import install

MEDDLER = '''
"""Changes every process state that could change numbers, in every event and call."""

import os
import random
from pathlib import Path

import numpy as np
import torch

from mtrack import component, scratch
from mtrack import hookimpl

seen = Path({seen!r})


def meddle(event):
    torch.manual_seed(1)
    torch.rand(3)
    random.seed(1)
    np.random.seed(1)
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.set_grad_enabled(False)
    torch.set_num_threads(5)
    torch.set_float32_matmul_precision("medium")
    with seen.open("a") as file:
        file.write(event + "\\n")


@hookimpl
def run_started(directory, manifest):
    meddle("run_started")


@hookimpl
def phase_started(phase):
    meddle("phase_started")


@hookimpl
def iteration_ended(metrics):
    meddle("iteration_ended")


@hookimpl
def checkpoint_saved(path):
    meddle("checkpoint_saved")


@hookimpl
def phase_ended(phase):
    meddle("phase_ended")


@hookimpl
def run_ended(status):
    meddle("run_ended")


@component
class Meddler:
    """A logger that changes process state in every call."""

    def start(self, directory, run):
        meddle("logger.start")

    def log(self, metrics):
        meddle("logger.log")

    def checkpoint_saved(self, path):
        meddle("logger.checkpoint_saved")

    def finish(self, status):
        meddle("logger.finish")
'''
EVENTS = {"run_started", "phase_started", "iteration_ended", "checkpoint_saved", "phase_ended", "run_ended"}
CALLS = {"logger.start", "logger.log", "logger.checkpoint_saved", "logger.finish"}
LOGGERS = ("console", "jsonl", "tensorboard", "wandb", "meddler")
# two phases, so that the events between them are covered; each saves checkpoints during the phase and at its end
SETTINGS = (
    "num_envs=16",
    "run.checkpoint_every=2",
    "run.keep=9",
    "phases.train.frames=1024",
    "phases.again={use='train', frames=768, train_every=16, epochs=1, minibatches=2, autocast='none'}",
)


@pytest.fixture(autouse=True)
def _restore_torch() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_default_device(None)
    torch.set_default_dtype(torch.float32)
    torch.set_grad_enabled(True)
    torch.set_float32_matmul_precision("highest")
    torch.set_num_threads(threads)


def run(directory: Path, *settings: str) -> dict[str, bytes]:
    """Run the toy recipe; return the files of its checkpoints, except the manifests."""
    options = [part for setting in (*SETTINGS, *settings) for part in ("--set", setting)]
    with pytest.raises(SystemExit) as ended:
        main(["run", "toy", "--run-dir", str(directory), *options])
    assert not ended.value.code
    files = (directory / "checkpoints").rglob("*")
    return {
        str(file.relative_to(directory)): file.read_bytes()
        for file in files
        if file.is_file() and file.name != "manifest.json"
    }


def test_hooks_and_loggers_do_not_change_the_bytes_of_checkpoints(
    site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "1000000")  # one thread, because a small run is slower with several
    for package in ("tensorboard", "wandb"):
        pytest.importorskip(package)
    seen = tmp_path / "seen"
    silent = run(tmp_path / "silent", "loggers.console.enabled=false", "loggers.jsonl.enabled=false")
    assert not (tmp_path / "silent" / "metrics.jsonl").exists()
    install(
        site,
        "acme",
        {"mtrack.hooks": {"meddler": "acme_meddler"}, "mtrack.loggers": {"meddler": "acme_meddler:Meddler"}},
        {"acme_meddler.py": MEDDLER.format(seen=str(seen))},
    )
    loud = run(tmp_path / "loud", *(f"loggers.{name}.use='{name}'" for name in LOGGERS))
    assert set(seen.read_text().split()) == EVENTS | CALLS, "every event and call happened"
    assert (tmp_path / "loud" / "metrics.jsonl").exists()
    assert list((tmp_path / "loud").rglob("events.out.tfevents*"))
    assert list((tmp_path / "loud").rglob("*.wandb"))
    assert silent.keys() == loud.keys()
    assert len({Path(name).parent for name in silent}) == 4, "two checkpoints per phase"
    assert [name for name in silent if silent[name] != loud[name]] == []


def test_process_state_that_a_hook_changes_is_restored_and_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inside").mkdir()
    state, threads = torch.get_rng_state(), torch.get_num_threads()
    with pytest.raises(ValueError, match="own"), process_state_kept("hook 'acme:meddler'"):
        torch.manual_seed(3)
        torch.set_default_dtype(torch.float64)
        torch.set_default_device("meta")
        torch.set_num_threads(threads + 1)
        os.chdir("inside")
        raise ValueError("its own error")
    assert torch.equal(torch.get_rng_state(), state)
    assert (torch.get_default_dtype(), torch.zeros(1).device.type) == (torch.float32, "cpu")
    assert (torch.get_num_threads(), Path.cwd()) == (threads, tmp_path)
    (record,) = caplog.records
    named = "the working directory, torch's default device, torch's default dtype, torch's number of threads"
    assert record.message == f"hook 'acme:meddler' changed {named}; they were restored"


def test_a_hook_that_only_draws_random_numbers_causes_no_warning(caplog: pytest.LogCaptureFixture) -> None:
    state = torch.get_rng_state()
    with process_state_kept("hook"):
        torch.rand(3)
    assert torch.equal(torch.get_rng_state(), state)
    assert caplog.records == []
