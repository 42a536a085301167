"""Films of a running training: they change nothing of it, and never stop it."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from support.films import film_images

from mtrack.cli import main
from mtrack.registry.hook_contract import hook_problems
from mtrack.registry.registry import Registry
from mtrack.run.hooks import Hooks
from mtrack_play import video_hook
from mtrack_play.video_hook import EVERY, SECONDS, Video

SETTINGS = (
    "num_envs=2",
    "motions.builtin.motions=['stand']",
    "run.checkpoint_every=1",
    "phases.train.frames=32",
    "phases.train.train_every=8",
    "phases.train.minibatches=2",
    "phases.train.epochs=1",
    "phases.adapt.enabled=false",
    "phases.finetune.enabled=false",
)
FILMING = """
import pathlib, sys
folder = pathlib.Path(sys.argv[2])
with (folder / "calls.txt").open("a") as calls:
    calls.write(" ".join(sys.argv[3:]) + "\\n")
{then}
"""
SLOW = """
import os, time
(folder / "env").write_text(repr(os.environ["CUDA_VISIBLE_DEVICES"]))
time.sleep(1)
"""
INTERRUPTED = """
import time
try:
    (folder / "is_ready").touch()
    time.sleep(60)
except KeyboardInterrupt:
    (folder / "kept").touch()
"""
STUBBORN = """
import signal, time
signal.signal(signal.SIGINT, signal.SIG_IGN)
(folder / ".train-0000002.mp4.part").touch()
(folder / "is_ready").touch()
time.sleep(60)
"""


@pytest.fixture
def hook(tmp_path, monkeypatch):
    """Start a run whose films are made by some code; return the hook."""

    def start(then="", every="2", phases=("train", "adapt")):
        monkeypatch.setenv(EVERY, every)
        monkeypatch.setattr(video_hook, "_PROGRAM", (sys.executable, "-c", FILMING.format(then=then)))
        video = Video()
        video.run_started(tmp_path, {"values": {"phases": dict.fromkeys(phases)}})
        return video

    return start


def wait(hook):
    if hook._process is not None:
        hook._process.wait()


def calls(tmp_path):
    return (tmp_path / "films" / "calls.txt").read_text().splitlines()


def save(hook, *names):
    for name in names:
        hook.checkpoint_saved(Path("checkpoints", name))


def train(directory):
    options = [part for setting in SETTINGS for part in ("--set", setting)]
    with pytest.raises(SystemExit) as ended:
        main(["run", "g1_tracking_quick", "--run-dir", str(directory), *options])
    assert ended.value.code == 0


def weights(directory):
    return {path.relative_to(directory): path.read_bytes() for path in directory.glob("checkpoints/*/*.safetensors")}


def test_the_hook_is_installed_and_fits():
    registry = Registry.scan()
    assert {entry.name: registry.load(entry) for entry in registry.of("hook")}["video"] is Video
    assert hook_problems(Video) == []


def test_a_filmed_run_equals_an_unfilmed_one_byte_for_byte(tmp_path, monkeypatch):
    monkeypatch.delenv(EVERY, raising=False)
    train(tmp_path / "unfilmed")
    monkeypatch.setenv(EVERY, "1")
    monkeypatch.setenv(SECONDS, "0.1")
    train(tmp_path / "filmed")
    assert not (tmp_path / "unfilmed" / "films").exists()
    film, *_ = (tmp_path / "filmed" / "films").glob("*.mp4")
    assert film.stem in {path.name for path in (tmp_path / "filmed" / "checkpoints").iterdir()}
    assert len(film_images(film)[1]) == 2
    assert film.with_suffix(".gif").read_bytes().startswith(b"GIF8")
    assert len(weights(tmp_path / "filmed")) == 6
    assert weights(tmp_path / "filmed") == weights(tmp_path / "unfilmed")


def test_without_the_variable_nothing_is_started(tmp_path, monkeypatch):
    monkeypatch.delenv(EVERY, raising=False)
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: pytest.fail("a process was started"))
    hooks = Hooks()
    hooks.add(Video, "video")
    hooks.call("run_started", directory=tmp_path, manifest={})
    hooks.call("checkpoint_saved", path=Path("train-0000100"))
    hooks.call("run_ended", status="finished")
    assert not list(tmp_path.iterdir())


def test_every_so_many_iterations_of_each_phase_the_next_checkpoint_is_filmed(tmp_path, hook):
    video = hook(every="200")
    for name in ("train-0000100", "train-0000210", "train-0000300", "train-0000420", "adapt-0000050", "adapt-0000200"):
        save(video, name)
        wait(video)
    assert len(calls(tmp_path)) == 3


def test_one_film_is_made_at_a_time(tmp_path, hook):
    video = hook("sys.stdin.read(); import time; time.sleep(0.5)")
    save(video, "train-0000002", "train-0000004")
    wait(video)
    save(video, "train-0000006")
    wait(video)
    assert len(calls(tmp_path)) == 2


def test_a_resumed_run_counts_from_its_last_film(tmp_path, hook):
    (tmp_path / "films").mkdir()
    (tmp_path / "films" / "train-0000100.mp4").touch()
    video = hook(every="50")
    save(video, "train-0000140")
    assert video._process is None
    save(video, "train-0000150")
    wait(video)


def test_the_process_has_the_lowest_priority_and_no_gpu(hook, tmp_path):
    video = hook(SLOW)
    save(video, "train-0000002")
    assert os.getpriority(os.PRIO_PROCESS, video._process.pid) == 19
    wait(video)
    assert (tmp_path / "films" / "env").read_text() == "''"


def test_failures_are_reported_once_and_later_films_are_still_tried(tmp_path, hook, caplog):
    video = hook("sys.exit('no such clip')")
    for name in ("train-0000002", "train-0000004", "train-0000006"):
        save(video, name)
        wait(video)
    video.run_ended("finished")
    assert len(calls(tmp_path)) == 3
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "no film was made, training continues: no such clip" in record.message


def test_the_last_film_is_waited_for_when_the_last_phase_ends(tmp_path, hook):
    video = hook("import time; time.sleep(0.3); (folder / 'ready').touch()")
    save(video, "adapt-0000002")
    video.phase_ended("train")
    assert not (tmp_path / "films" / "ready").exists()
    video.phase_ended("adapt")
    assert (tmp_path / "films" / "ready").exists()


def stubborn(hook, tmp_path):
    video = hook(STUBBORN)
    save(video, "train-0000002")
    while not (tmp_path / "films" / "is_ready").exists():
        time.sleep(0.02)
    return video, video._process


def test_a_film_that_does_not_end_with_the_run_is_given_up_without_a_trace(tmp_path, hook, monkeypatch, caplog):
    monkeypatch.setattr(video_hook, "_STOP_S", 0.2)
    video, process = stubborn(hook, tmp_path)
    video.run_ended("interrupted")
    assert process.returncode is not None
    assert not list((tmp_path / "films").glob(".*"))
    assert "given up" in caplog.text


def test_a_second_signal_ends_the_wait_and_the_film(tmp_path, hook, monkeypatch):
    video, process = stubborn(hook, tmp_path)

    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setattr(time, "sleep", interrupted)
    with pytest.raises(KeyboardInterrupt):
        video.phase_ended("adapt")
    assert process.returncode is not None
    assert not list((tmp_path / "films").glob(".*"))


@pytest.mark.parametrize("value", ["often", "0", "-3"])
def test_a_wrong_number_is_reported_and_the_run_continues(tmp_path, monkeypatch, caplog, value):
    monkeypatch.setenv(EVERY, value)
    hooks = Hooks()
    hooks.add(Video, "video")
    hooks.call("run_started", directory=tmp_path, manifest={"values": {"phases": {"train": {}}}})
    hooks.call("checkpoint_saved", path=Path("train-0000100"))
    (record,) = caplog.records
    assert f"{EVERY}={value}: expected a number greater than 0" in record.message
    assert not list(tmp_path.iterdir())


def test_a_stopped_film_process_keeps_what_it_has_filmed(tmp_path, hook):
    video = hook(INTERRUPTED)
    save(video, "train-0000002")
    while not (tmp_path / "films" / "is_ready").exists():
        time.sleep(0.02)
    video.run_ended("interrupted")
    assert (tmp_path / "films" / "kept").exists()
