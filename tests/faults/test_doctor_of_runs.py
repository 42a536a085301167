"""`mtrack doctor RUN` finds what is wrong with a run directory, says what `--resume` would do, and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from toy_runs import checkpoints, failing, mtrack, run_toy

from mtrack.run.run_directory import locked
from mtrack_log.jsonl import Jsonl

Doctor = Callable[..., dict[str, list[dict[str, str]]]]


@pytest.fixture(scope="module")
def stopped(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that was interrupted after iteration 5 of 8."""
    directory = tmp_path_factory.mktemp("runs") / "run"
    with failing(Jsonl, "log", 5, lambda: os.kill(os.getpid(), signal.SIGINT)):
        assert run_toy(directory, 8) == 130
    assert checkpoints(directory) == ["train-0000002", "train-0000004", "train-0000005"]
    return directory


@pytest.fixture
def run(stopped: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(stopped, tmp_path / "run"))


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Doctor:
    """Return a function that examines a run, and returns the results by status; the exit status must fit them."""

    def examine(target: object, *arguments: str) -> dict[str, list[dict[str, str]]]:
        capsys.readouterr()
        exit_status = mtrack("doctor", target, "--json", *arguments)
        results = json.loads(capsys.readouterr().out)
        assert exit_status == any(result["status"] == "problem" for result in results)
        assert all(result["remedy"] for result in results if result["status"] != "ok")
        return {
            status: [result for result in results if result["status"] == status] for status in ("ok", "note", "problem")
        }

    return examine


def texts(results: list[dict[str, str]]) -> str:
    return "\n".join(f"{result['subject']}: {result['message']} -> {result['remedy']}" for result in results)


def contents(run: Path) -> dict[str, Any]:
    return {str(file): file.read_bytes() for file in run.rglob("*") if file.is_file()}


def test_a_stopped_run_has_no_problem_and_is_not_changed(run: Path, doctor: Doctor) -> None:
    before = contents(run)
    found = doctor(run)
    assert texts(found["problem"]) == ""
    assert f"stopped in iteration 5 of phase 'train' -> continue: mtrack run --resume {run}" in texts(found["note"])
    assert "--resume uses checkpoints/train-0000005: iteration 5 of phase 'train', 80 frames" in texts(found["ok"])
    assert "recipe, packages, code and data are those that made it" in texts(found["ok"])
    assert "no process uses this run" in texts(found["ok"])
    assert contents(run) == before


def test_a_damaged_checkpoint_is_named_by_file_and_the_one_before_it_is_used(run: Path, doctor: Doctor) -> None:
    file = run / "checkpoints" / "train-0000005" / "agent.safetensors"
    data = bytearray(file.read_bytes())
    data[-3] ^= 1
    file.write_bytes(data)
    (run / "checkpoints" / "train-0000004" / "env.json").unlink()
    found = doctor(run)
    assert f"{file} is damaged: its size or sha256 differs" in texts(found["problem"])
    assert "train-0000004/env.json: No such file" in texts(found["problem"])
    assert "--resume uses checkpoints/train-0000002" in texts(found["ok"])


def test_json_that_cannot_be_loaded_is_found_behind_a_matching_hash(run: Path, doctor: Doctor) -> None:
    from test_damaged_json import write

    write(run / "checkpoints" / "train-0000005", "phase.json", b"{")
    assert "train-0000005/phase.json is damaged" in texts(doctor(run)["problem"])


def test_another_format_and_a_run_without_checkpoint_are_explained(run: Path, doctor: Doctor) -> None:
    manifest = run / "checkpoints" / "train-0000005" / "manifest.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"format": 99}))
    assert "format 99, this mtrack reads format" in texts(doctor(run)["problem"])
    shutil.rmtree(run / "checkpoints")
    found = doctor(run)
    assert "there is no checkpoint yet: --resume starts over" in texts(found["note"])
    assert found["problem"] == []


def test_a_running_process_is_named(run: Path, doctor: Doctor) -> None:
    with locked(run):
        found = doctor(run)
    assert f"process {os.getpid()} has trained this run since 20" in texts(found["ok"])
    assert "running in iteration 5" in texts(found["ok"])
    with locked(run):
        (run / ".lock.json").write_text(json.dumps({"pid": 2**22 + 1, "started": "today"}))
        assert "not on this machine" in texts(doctor(run)["note"])


@pytest.mark.parametrize(("status", "level", "words"), [("running", "note", "killed"), ("failed", "problem", "failed")])
def test_a_killed_and_a_failed_run_are_named(run: Path, doctor: Doctor, status: str, level: str, words: str) -> None:
    facts = json.loads((run / "status.json").read_text())
    (run / "status.json").write_text(json.dumps(facts | {"status": status}))
    assert f"status: {words} in iteration 5" in texts(doctor(run)[level])


def test_what_differs_from_what_made_a_run_is_listed_with_its_remedy(run: Path, doctor: Doctor) -> None:
    recipe = run / "recipe.toml"
    recipe.write_text(
        recipe.read_text().replace("init_std = 0.3", "init_std = 0.4").replace("weight = 1.0", "weight = 2.0")
    )
    for manifest in run.rglob("manifest.json"):
        facts = json.loads(manifest.read_text())
        facts["distributions"]["torch"] = "2.0.0"
        facts["code"]["mtrack_ppo"]["sha256"] = "other"
        facts["processes"]["threads"] = 4096
        manifest.write_text(json.dumps(facts))
    found = doctor(run)
    assert "agent.init_std: 0.3 -> 0.4" in texts(found["problem"])
    assert "rewards.toy.closeness.weight: 1.0 -> 2.0" in texts(found["problem"])
    assert "torch 2.0.0 -> " in texts(found["problem"])
    assert "python -m pip install torch==2.0.0, or resume with --allow-change" in texts(found["problem"])
    assert "the code of mtrack_ppo was edited" in texts(found["problem"])
    assert "made with 4096 torch threads" in texts(found["note"])
    recipe.write_text(recipe.read_text().replace("init_std", "init_stdd"))
    assert "agent.init_stdd" in texts(doctor(run)["problem"])


def test_torn_lines_leftovers_and_a_full_disk_are_found(
    run: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = (run / "metrics.jsonl").read_bytes().splitlines(keepends=True)
    (run / "metrics.jsonl").write_bytes(b"".join([lines[0], lines[1][:30] + b"\n", *lines[2:], lines[0][:20]]))
    shutil.copytree(run / "checkpoints" / "train-0000005", run / "checkpoints" / ".train-0000006.abcd")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=10))
    found = doctor(run)
    assert "the last line of metrics.jsonl is torn" in texts(found["note"])
    assert "1 torn lines in metrics.jsonl" in texts(found["note"])
    assert "checkpoints/.train-0000006.abcd" in texts(found["note"])
    assert "0.0 GB free; a checkpoint has" in texts(found["problem"])
    (run / "metrics.jsonl").write_bytes(b"[]\n")
    assert "not a record of metrics" in texts(doctor(run)["problem"])


def test_a_folder_that_cannot_be_written_is_a_problem_unless_the_run_is_finished(
    run: Path, doctor: Doctor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mtrack_dev.run_checks.cannot_write", lambda folder: "Read-only file system")
    assert f"{run} cannot be written: Read-only file system" in texts(doctor(run)["problem"])
    assert mtrack("run", "--resume", run) == 0
    found = doctor(run)
    assert found["problem"] == []
    assert f"{run} cannot be written" in texts(found["note"])
    assert "nothing is left to resume" in texts(found["ok"])


def test_a_lost_manifest_can_be_restored_as_the_remedy_says(run: Path, doctor: Doctor) -> None:
    (run / "manifest.json").write_bytes(b"{")
    found = doctor(run)
    assert "manifest.json is damaged" in texts(found["problem"])
    assert f"cp {run}/checkpoints/NAME/manifest.json {run}/manifest.json" in texts(found["problem"])
    shutil.copy(run / "checkpoints" / "train-0000005" / "manifest.json", run / "manifest.json")
    assert doctor(run)["problem"] == []
    assert mtrack("run", "--resume", run) == 0


def test_every_other_damage_is_a_problem_and_no_traceback(run: Path, doctor: Doctor) -> None:
    (run / "recipe.toml").unlink()
    assert "recipe.toml is missing" in texts(doctor(run)["problem"])
    for file in run.rglob("*.json"):
        file.write_bytes(b"[" * 2000)
    (run / "metrics.jsonl").write_bytes(b"\xff\n")
    assert len(doctor(run)["problem"]) > 4


def test_of_several_processes_the_checkpoint_that_all_have_is_used(run: Path, doctor: Doctor) -> None:
    (run / "ranks").mkdir()
    shutil.copytree(run / "checkpoints", run / "ranks" / "1" / "checkpoints")
    shutil.rmtree(run / "ranks" / "1" / "checkpoints" / "train-0000005")
    for manifest in run.rglob("manifest.json"):
        facts = json.loads(manifest.read_text())
        facts["processes"]["ranks"] = 2
        manifest.write_text(json.dumps(facts))
    found = doctor(run)
    assert "--resume uses checkpoints/train-0000004" in texts(found["ok"])
    assert f"torchrun --nproc-per-node 2 -m mtrack run --resume {run}" in texts(found["note"])


@pytest.fixture
def local_file(tmp_path: Path) -> Iterator[Path]:
    file = tmp_path / "mine.py"
    file.write_text("from mtrack import Scene\n\ndef calm(scene: Scene):\n    return scene.episode_step.float()\n")
    yield file


def test_a_run_that_needs_a_local_file_says_so(tmp_path: Path, local_file: Path, doctor: Doctor) -> None:
    run = tmp_path / "local"
    arguments = ("--set", "rewards.toy.calm.use=calm", "--set", "rewards.toy.calm.weight=0.1", "--set", "num_envs=4")
    assert mtrack("run", "toy", *arguments, "--run-dir", run, "-p", local_file, "--set", "phases.train.frames=64") == 0
    assert "uses components of the file mine.py: add -p mine.py" in texts(doctor(run)["note"])
    assert "recipe, packages, code and data" in texts(doctor(run, "-p", str(local_file))["ok"])
