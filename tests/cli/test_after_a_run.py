"""The last lines of `mtrack run` are commands that work, and `--open` watches a run without disturbing it."""

from __future__ import annotations

import functools
import json
import logging
import os
import shlex
import signal
import sys
import threading
import time
from collections.abc import Callable
from importlib import metadata
from pathlib import Path

import pytest

from mtrack import MtrackError
from mtrack.cli import main, play_window
from mtrack.cli.commands import load_command
from mtrack.cli.next_steps import has_command, next_steps, resume_command
from mtrack.cli.play_window import PlayWindow, require_play
from mtrack.registry.registry import Registry

SMALL = ("--set", "num_envs=8", *(f"--set=phases.{name}.frames=256" for name in ("train", "adapt", "finetune")))
STOP_ONCE = """
import os, signal
from pathlib import Path

def stops(scene):
    if Path("runs/one run/metrics.jsonl").exists() and not Path("stopped").exists():
        Path("stopped").touch()
        os.kill(os.getpid(), signal.SIGINT)
    return scene.robot.joint_pos.sum(-1)
"""
WAIT = """
import time
from pathlib import Path

def waits(scene):
    while any(Path("runs/a/checkpoints").glob("[!.]*")) and not Path("play.json").exists():
        time.sleep(0.01)
    return scene.robot.joint_pos.sum(-1)
"""
PLAY = """
import json, os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN if "stubborn" in sys.argv else signal.SIG_DFL)
launched = sorted(name for name in os.environ if name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"))
with open("play.json.new", "w") as file:
    json.dump([os.getpid(), sys.argv[1:], launched], file)
os.replace("play.json.new", "play.json")
print("open http://127.0.0.1:8080")
time.sleep(600)
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Work in an empty folder, in which runs and files have short paths."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def mtrack(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def commands(text: str) -> list[list[str]]:
    """Return the commands after `next:`."""
    lines = text.splitlines()
    return [shlex.split(line.split("   ")[0]) for line in lines[lines.index("next:") + 1 :]]


def installed(*, resumed: bool) -> list[str]:
    """Return the commands that are expected after a run without clips, in order."""
    registry = Registry.scan()
    found = [name for name in ("eval", "report") if has_command(name, registry)]
    return ["run", *found] if resumed else found


def test_each_command_after_a_stopped_run_works_when_it_is_copied(capsys: pytest.CaptureFixture[str]) -> None:
    Path("my terms.py").write_text(STOP_ONCE)
    Path("my.toml").write_text('extends = "toy"\n[rewards.toy.stops]\nweight = 0.0\n')
    options = ("-p", "my terms.py", "-p", "no:notify")
    assert mtrack("run", "my.toml", "--run-dir", "runs/one run", *SMALL, *options) == 130
    stopped = commands(capsys.readouterr().err)
    assert [words[1] for words in stopped] == installed(resumed=True)
    assert stopped[0] == ["mtrack", "run", "--resume", "runs/one run", *options]
    assert mtrack(*stopped[0][1:]) == 0
    finished = commands(capsys.readouterr().err)
    assert finished == stopped[1:]
    assert all(words[2:] == ["runs/one run", "-p", "my terms.py"] for words in finished)
    evaluation = next(words for words in finished if words[1] == "eval")
    assert mtrack(*evaluation[1:], "--episodes", "4", "--no-plots") == 0


def test_a_run_in_several_processes_is_continued_by_torchrun(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "4")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    run = Path("runs/a")
    assert resume_command(run, []) == "torchrun --standalone --nproc-per-node 4 -m mtrack run --resume runs/a"
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    assert resume_command(run, []) == "torchrun --nnodes 2 --nproc-per-node 2 -m mtrack run --resume runs/a"


def test_only_installed_commands_are_printed_and_all_of_them_take_files_of_components() -> None:
    assert next_steps(Path("r"), [], Registry(), was_stopped=False) == []
    assert len(next_steps(Path("r"), [], Registry(), was_stopped=True)) == 2
    assert len(next_steps(Path("r"), [], Registry.scan(), was_stopped=True, is_saved=False)) == 2
    registry = Registry.scan()
    assert "mtrack play r" in next_steps(Path("r"), [], registry, was_stopped=False)[1]
    for name in ("play", *installed(resumed=False)):
        command = load_command(registry, registry.find("cli", f"mtrack:{name}"))
        assert "-p" in {option for parameter in command.params for option in parameter.opts}, name


@pytest.fixture
def fake_play(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `--open` run a script that stays open."""
    window = functools.partial(PlayWindow, play=[sys.executable, "-c", PLAY])
    monkeypatch.setattr(play_window, "PlayWindow", window)
    monkeypatch.setattr(play_window, "require_play", lambda registry: None)


def started() -> tuple[int, list[str], list[str]]:
    """Wait until the script runs; return its process id, its arguments, and which variables of torchrun it has."""
    deadline = time.monotonic() + 60.0
    while not Path("play.json").exists():
        assert time.monotonic() < deadline
        time.sleep(0.02)
    return tuple(json.loads(Path("play.json").read_text()))


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def test_open_runs_play_beside_the_run_and_closes_it_at_the_end(
    fake_play: None, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    # the run waits for the script, so that it cannot end before the script has written its file
    Path("waits.py").write_text(WAIT)
    Path("my.toml").write_text('extends = "toy"\n[rewards.toy.waits]\nweight = 0.0\n')
    monkeypatch.setenv("MASTER_ADDR", "localhost")
    every = ("--set", "run.checkpoint_every=1")
    assert mtrack("run", "my.toml", "--run-dir", "runs/a", *SMALL, *every, "--open", "-p", "waits.py") == 0
    process, arguments, launched = started()
    assert arguments == [str(folder / "runs" / "a"), "--follow", "--open", "-p", "waits.py"]
    assert launched == []
    assert not is_alive(process)
    assert "next:" in capsys.readouterr().err


def test_a_play_that_fails_does_not_disturb_the_run(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    for command in ([sys.executable, "-c", "raise SystemExit(3)"], ["/no/such/program"]):
        window = PlayWindow(play=command)
        window.run_started(folder)
        with caplog.at_level(logging.INFO):
            if command[0] == "/no/such/program":
                with pytest.raises(FileNotFoundError):  # a hook that raises is reported, and the run continues
                    window.checkpoint_saved()
            else:
                window.checkpoint_saved()
                _until(lambda: "play has ended with exit status 3" in caplog.text)
        window.wait()
        window.close()


def test_interrupts_and_further_checkpoints_do_not_reach_play_and_its_output_is_logged(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    window = PlayWindow(play=[sys.executable, "-c", PLAY])
    window.run_started(folder)
    with caplog.at_level(logging.INFO):
        window.checkpoint_saved()
        process = started()[0]
        window.checkpoint_saved()
        os.kill(process, signal.SIGINT)
        _until(lambda: "play: open http://127.0.0.1:8080" in caplog.text)
        threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT)).start()
        window.wait()
    assert "press Ctrl-C to close it" in caplog.text
    assert is_alive(process)
    window.close()
    assert not is_alive(process)
    assert "play has ended" not in caplog.text


def test_a_play_that_does_not_end_is_killed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(play_window, "_PATIENCE_S", 0.2)
    window = PlayWindow(["stubborn"], [sys.executable, "-c", PLAY])
    window.run_started(folder)
    window.checkpoint_saved()
    process = started()[0]
    window.close()
    assert not is_alive(process)


def test_a_missing_command_or_package_is_an_error_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(MtrackError, match="--open needs the command 'mtrack play', which is not installed"):
        require_play(Registry())
    version = metadata.version

    def without_viser(name: str) -> str:
        if name == "viser":
            raise metadata.PackageNotFoundError(name)
        return version(name)

    monkeypatch.setattr(metadata, "version", without_viser)
    monkeypatch.setattr(play_window, "has_command", lambda name, registry: True)
    assert mtrack("run", "toy", "--run-dir", "runs/a", *SMALL, "--open") == 2
    expected = 'mtrack: --open needs viser: python -m pip install "mtrack[view]", or leave out --open\n'
    assert capsys.readouterr().err.endswith(expected)
    assert not Path("runs").exists()


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60.0
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.02)
