"""`mtrack runs` lists every run of a folder from its files, and never fails because one is damaged."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mtrack import MtrackError
from mtrack.cli import main
from mtrack.run.run_directory import is_locked, locked
from mtrack_report.runs_table import find_runs

MANIFEST = {
    "recipe": "walk.toml",
    "started": "2026-01-02T10:00:00+0000",
    "values": {"phases": {"train": {"frames": 300}, "adapt": {"frames": 100}}},
}
RUNNING = {"status": "running", "phase": "train", "iteration": 1, "iterations": 3, "frames": 100, "frames_per_s": 50.0}
VALUES = {"reward/x": 1.0, "episode/return": 12.5, "tracking/root_pos_m": 0.25}
EVALUATION = {
    "date": "2026-01-02T12:00:00+00:00",
    "checkpoint": "a/checkpoints/train-0000001",
    "frames": 100,
    "units": {"mpkpe_local": "mm"},
    "distance": "mpkpe_local",
    "average": {"mpkpe_local": 38.125},
    "clips": [{"clip": "walk", "failed": 0.25, "mpkpe_local": 38.125}],
}


def make(runs: Path, name: str, **files: object) -> Path:
    """Make a run directory with JSON files; `.` in a name is written `_`."""
    directory = runs / name
    (directory / "checkpoints").mkdir(parents=True)
    for file, content in {"manifest_json": MANIFEST, **files}.items():
        if content is not None:
            text = content if isinstance(content, str) else json.dumps(content) + "\n"
            (directory / ".".join(file.rsplit("_", 1))).write_text(text)
    return directory


def line(**more: object) -> dict[str, object]:
    record = {"phase": "train", "iteration": 2, "iterations": 3, "frames": 200, "values": VALUES}
    return {**record, "timings": {"frames_per_s": 40.0, "rollout": 1.0}, **more}


def shown(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[str, str]:
    """Return what the command writes to stdout and stderr."""
    with pytest.raises(SystemExit) as ended:
        main(["runs", *map(str, arguments)])
    assert not ended.value.code
    written = capsys.readouterr()
    return written.out, written.err


def listed(capsys: pytest.CaptureFixture[str], runs: Path) -> dict[str, dict[str, object]]:
    return {run["name"]: run for run in json.loads(shown(capsys, runs, "--json")[0])}


def test_the_status_tells_a_run_that_is_running_from_one_that_was_killed(tmp_path, capsys):
    for status in ("running", "interrupted", "finished", "failed"):
        make(tmp_path, status, status_json={**RUNNING, "status": status})
    live = make(tmp_path, "live", status_json=RUNNING)
    with locked(live):
        states = {name: run["status"] for name, run in listed(capsys, tmp_path).items()}
    expected = {"running": "killed", "interrupted": "stopped", "finished": "finished", "failed": "failed"}
    assert states == {**expected, "live": "running"}
    assert listed(capsys, tmp_path)["live"]["status"] == "killed"


def test_a_look_at_a_lock_keeps_no_run_from_its_directory(tmp_path):
    assert not is_locked(tmp_path)
    assert not list(tmp_path.iterdir()), "looking creates nothing"
    with locked(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(MtrackError, match="in use by another run"), locked(tmp_path):
            pass
    looking = f"import fcntl, time; f = open({str(tmp_path / '.lock')!r}); fcntl.flock(f, fcntl.LOCK_SH)"
    code = f"{looking}; print(flush=True); time.sleep(0.05)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        other.stdout.readline()
        assert not is_locked(tmp_path), "another look is not a run"
        with locked(tmp_path):
            assert is_locked(tmp_path)


def test_a_table_shows_newest_runs_first_with_phase_progress_speed_and_metric(tmp_path, capsys):
    make(tmp_path, "older", status_json={**RUNNING, "values": VALUES}, metrics_jsonl=line(frames=100, iteration=1))
    newer = {**MANIFEST, "started": "2026-01-03T10:00:00+0000"}
    done = {**RUNNING, "status": "finished", "phase": "adapt", "frames": 400}
    make(tmp_path, "newer", manifest_json=newer, status_json=done, eval_student_json=EVALUATION)
    out, err = shown(capsys, tmp_path)
    first, second = (" ".join(row.split()) for row in out.splitlines() if "er " in row and "walk" in row)
    assert first.startswith("newer walk adapt 2/2 100 % 50 mpkpe_local 38.1 mm, success 75 % (student) finished ")
    assert second.startswith("older walk train 1/2 25 % 40 tracking/root_pos_m 0.25 killed ")
    assert err == ""


def test_an_evaluation_of_an_older_checkpoint_is_marked_and_a_current_one_is_preferred(tmp_path, capsys):
    run = make(tmp_path, "a", status_json=RUNNING, eval_teacher_json=EVALUATION)
    (run / "checkpoints" / "adapt-1").mkdir()
    (run / "checkpoints" / "adapt-1" / "manifest.json").write_text(json.dumps({"frames": 400}))
    assert "(teacher, older checkpoint)" in shown(capsys, tmp_path)[0]
    (run / "eval_student.json").write_text(json.dumps({**EVALUATION, "frames": 400, "date": "2025-01-01T00:00:00Z"}))
    best = listed(capsys, tmp_path)["a"]["best"]
    assert (best["actor"], best["is_outdated"]) == ("student", False)


def test_a_run_without_status_json_is_described_by_its_metrics_or_checkpoints(tmp_path, capsys):
    torn = json.dumps(line()) + "\n" + json.dumps(line(frames=300))[:40]
    make(tmp_path, "metrics", metrics_jsonl=torn)
    checkpoint = make(tmp_path, "checkpoint") / "checkpoints" / "adapt-0000003"
    checkpoint.mkdir()
    (checkpoint / "manifest.json").write_text(json.dumps({"phase": "adapt", "frames": 400, "ended": True}))
    make(tmp_path, "none")
    found = listed(capsys, tmp_path)
    facts = {name: [run[key] for key in ("status", "phase", "progress", "frames_per_s")] for name, run in found.items()}
    assert facts["metrics"] == ["stopped", "train", 0.5, 40.0]
    assert facts["checkpoint"] == ["finished", "adapt", 1.0, None]
    assert facts["none"] == ["stopped", "", None, None]


def test_a_phase_that_ended_early_counts_as_a_whole_and_its_run_as_finished(tmp_path, capsys):
    second = line(phase="adapt", iteration=1, iterations=4, frames=150)
    make(tmp_path, "second", metrics_jsonl=second)
    third = line(phase="adapt", iteration=2, iterations=4, frames=200)
    checkpoint = make(tmp_path, "ended", metrics_jsonl=third) / "checkpoints" / "adapt-0000002"
    checkpoint.mkdir()
    facts = {"phase": "adapt", "frames": 200, "frames_before": 150, "ended": True}
    (checkpoint / "manifest.json").write_text(json.dumps(facts))
    half = make(tmp_path, "half") / "checkpoints" / "adapt-0000002"
    half.mkdir()
    (half / "manifest.json").write_text(json.dumps({**facts, "ended": False}))
    found = {name: (run["status"], run["progress"]) for name, run in listed(capsys, tmp_path).items()}
    assert found == {"second": ("stopped", 0.8125), "ended": ("finished", 1.0), "half": ("stopped", 0.875)}


def test_a_status_of_an_earlier_part_of_the_run_does_not_count(tmp_path, capsys):
    """A run that was stopped, and then continued with `-p no:status_file`, until its end."""
    end = line(phase="adapt", iteration=3, frames=400)
    make(tmp_path, "a", status_json={**RUNNING, "status": "interrupted"}, metrics_jsonl=end)
    assert listed(capsys, tmp_path)["a"]["status"] == "finished"


def plan(directory: Path, *seeds: int) -> Path:
    """Write the plan of several seeds."""
    directory.mkdir()
    source = {"name": "walk.toml", "directory": "/", "layers": []}
    content = {"seeds": seeds, "init_from": None, "source": source, "manifest": {}}
    (directory / "seeds.json").write_text(json.dumps(content))
    return directory


def test_runs_of_several_seeds_are_listed_in_order_with_frames_and_return(tmp_path, capsys):
    seeds = plan(tmp_path / "group", 2, 10, 11)
    for number, seed in enumerate((10, 2)):
        later = {**MANIFEST, "started": f"2026-01-0{number + 4}T10:00:00+0000"}
        make(seeds, f"seed_{seed}", manifest_json=later, metrics_jsonl=line(), status_json=RUNNING)
    make(tmp_path, "newest", manifest_json={**MANIFEST, "started": "2026-01-09T10:00:00+0000"})
    make(tmp_path, "older")
    assert list(listed(capsys, tmp_path)) == ["newest", "group/seed_2", "group/seed_10", "older"]
    out, err = shown(capsys, seeds)
    rows = [" ".join(row.split()) for row in out.splitlines() if "seed_" in row]
    assert rows[0].startswith("seed_2 200 12.5 train 1/2 50 % 40 tracking/root_pos_m 0.25 killed")
    assert rows[1].startswith("seed_10 ")
    assert err == f"{seeds}: seed 11 not started; start with: mtrack run --resume {seeds}\n"
    with locked(seeds):
        assert shown(capsys, tmp_path)[1] == f"{seeds}: seed 11 not started\n"
    (seeds / "seeds.json").write_text("{")
    out, err = shown(capsys, tmp_path)
    assert "group/seed_2" in out
    assert "seeds.json is damaged" in err


def test_damaged_and_foreign_folders_do_not_hide_the_others(tmp_path, capsys):
    make(tmp_path, "good", status_json=RUNNING)
    for name, content in {"half": '{"a"', "list": "[1]", "null": "null", "deep": "[" * 100_000}.items():
        make(tmp_path, name, manifest_json=content, status_json=content, metrics_jsonl=content, eval_x_json=content)
    odd = {"recipe": 3, "started": 7, "values": {"phases": {"train": [1]}}}
    wrong = {"status": 1, "frames": "9", "phase": 2, "values": [], "frames_per_s": True, "iteration": None}
    make(tmp_path, "odd", manifest_json=odd, status_json=wrong, metrics_jsonl=wrong)
    make(tmp_path, "no_manifest", manifest_json=None)
    (tmp_path / "notes").mkdir()
    (tmp_path / "empty").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "a_file").write_text("x")
    out, err = shown(capsys, tmp_path)
    assert all(name in out for name in ("good", "half", "list", "null", "deep", "odd", "no_manifest"))
    assert f"skipped in {tmp_path}, not run directories: empty, notes" in err
    assert f"{tmp_path / 'half'}: manifest.json is damaged; status.json is damaged" in err
    assert f"{tmp_path / 'no_manifest'}: manifest.json is missing" in err
    assert "hidden" not in out + err
    assert listed(capsys, tmp_path)["good"]["problem"] == ""


def test_the_folder_may_be_a_run_and_an_empty_one_says_how_to_start(tmp_path, capsys, monkeypatch):
    run = make(tmp_path, "one", status_json=RUNNING)
    monkeypatch.chdir(run)
    assert [found.directory.resolve().name for found in find_runs(Path())[0]] == ["one"]
    assert "one  " in shown(capsys, ".")[0]
    shutil.rmtree(run)
    assert shown(capsys, tmp_path) == ("", f"no runs in {tmp_path}; start one: mtrack run g1_tracking_quick\n")
    assert shown(capsys, tmp_path, "--json")[0] == "[]\n"


@pytest.mark.parametrize("kind", ["missing", "a file"])
def test_a_folder_that_does_not_exist_is_an_error(tmp_path, capsys, kind):
    place = tmp_path / "runs"
    if kind == "a file":
        place.write_text("x")
    with pytest.raises(SystemExit) as ended:
        main(["runs", str(place)])
    assert ended.value.code == 2
    message = capsys.readouterr().err
    assert "no such directory; give the folder of your runs, or start one: mtrack run" in message or kind == "a file"
    assert "not a directory" in message or kind == "missing"


def test_the_command_imports_no_torch(tmp_path):
    make(tmp_path, "a", status_json=RUNNING, eval_teacher_json=EVALUATION)
    code = f"""
import sys
from mtrack.cli import main
try:
    main(["runs", {str(tmp_path)!r}])
finally:
    assert not {{"torch", "numpy", "mujoco", "matplotlib"}} & sys.modules.keys()
"""
    environment = {**os.environ, "COLUMNS": "150"}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=True)
    assert "mpkpe_local 38.1 mm, success 75 % (teacher)" in done.stdout
