"""The doctor finds problems, says how to fix them, and never fails itself."""

from __future__ import annotations

import json
import shutil
import sys
from importlib import metadata, util
from pathlib import Path
from types import SimpleNamespace

import pytest
import typer
from typer.testing import CliRunner

from mtrack import ComponentError, load_recipe
from mtrack.cli import main
from mtrack_dev import cli, installation, machine, recipe_checks
from mtrack_dev.check_result import CheckResult
from mtrack_dev.doctor import check_all, report
from mtrack_dev.recipes import TriedRecipe

ROOT = Path(__file__).resolve().parents[3]


def found(results: object, status: str) -> str:
    return "\n".join(f"{f.subject}: {f.message} -> {f.remedy}" for f in results if f.status == status)  # type: ignore[attr-defined]


def test_a_correct_installation_has_no_problems(tmp_path: Path) -> None:
    assert found(check_all(tmp_path), "problem") == ""


def test_the_version_of_mujoco_that_diverges_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "4.0.0" if name == "mujoco" else real(name))
    assert "mujoco: 4.0.0: its sparse Cholesky factor is wrong" in found(installation.packages(ROOT), "problem")


@pytest.mark.parametrize(("version", "status"), [("2.9.1", "problem"), ("2.14.0", "note"), ("2.13.0+cpu", "ok")])
def test_versions_are_compared_with_what_is_needed_and_what_was_tested(
    monkeypatch: pytest.MonkeyPatch, version: str, status: str
) -> None:
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: version if name == "torch" else real(name))
    assert "torch: " in found(installation.packages(ROOT), status)


def test_a_missing_package_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", version)
    assert 'python -m pip install "torch>=2.11"' in found(installation.packages(None), "problem")


def checkout(tmp_path: Path, less: str = "") -> Path:
    """Return a copy of this checkout's metadata with an entry point taken away."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert less in text
    (tmp_path / "pyproject.toml").write_text(text.replace(less, ""), encoding="utf-8")
    return tmp_path


def test_an_entry_point_that_is_not_installed_asks_for_a_reinstall(tmp_path: Path) -> None:
    root = checkout(tmp_path)
    file, table = root / "pyproject.toml", '[project.entry-points."mtrack.hooks"]\n'
    file.write_text(file.read_text("utf-8").replace(table, f'{table}news = "mtrack_log.news:News"\n'), "utf-8")
    problems = found(installation.entry_points(root), "problem")
    assert "not installed: hooks news" in problems
    assert "pip install -c constraints.txt -e" in problems


def test_an_entry_point_that_was_removed_asks_for_a_reinstall(tmp_path: Path) -> None:
    root = checkout(tmp_path, less='jsonl = "mtrack_log.jsonl:Jsonl"\n')
    assert "no longer in pyproject.toml: loggers jsonl" in found(installation.entry_points(root), "problem")


def test_a_stale_egg_info_is_found_and_a_fresh_one_is_not(tmp_path: Path) -> None:
    root = checkout(tmp_path)
    assert found(installation.entry_points(root), "problem") == ""
    stale = root / "mtrack.egg-info"
    stale.mkdir()
    (stale / "entry_points.txt").write_text("[mtrack.loggers]\njsonl = mtrack_log.jsonl:Jsonl\n")
    assert "mtrack.egg-info is stale" in found(installation.entry_points(root), "problem")


def test_a_plugin_in_a_folder_with_new_entry_points_asks_for_a_reinstall(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, info = tmp_path / "my plugin", tmp_path / "acme_rewards-1.2.dist-info"
    folder.mkdir()
    info.mkdir()
    (folder / "pyproject.toml").write_text(
        '[project.entry-points."mtrack.rewards"]\nold = "acme:Old"\nnew = "acme:New"'
    )
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rewards\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[mtrack.rewards]\nold = acme:Old\n")
    (info / "direct_url.json").write_text(json.dumps({"url": folder.as_uri(), "dir_info": {"editable": True}}))
    monkeypatch.syspath_prepend(str(tmp_path))
    problems = found(installation.editable_plugins(), "problem")
    assert "acme-rewards: in its pyproject.toml, not installed: rewards new" in problems
    assert f'pip install -e "{folder}"' in problems
    (info / "direct_url.json").write_text(json.dumps({"url": folder.as_uri(), "dir_info": {}}))
    assert found(installation.editable_plugins(), "problem") == ""


def test_in_an_installation_from_a_wheel_a_build_of_the_tested_version_is_ok(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "2.13.0+cpu" if name == "torch" else real(name))
    assert "torch: " in found(installation.packages(None), "ok")


def test_a_plugin_that_cannot_be_imported_is_named_with_its_distribution(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = tmp_path / "acme_rewards-1.2.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: acme-rewards\nVersion: 1.2\n")
    (info / "entry_points.txt").write_text("[mtrack.rewards]\nacme = acme_rewards:Acme\n")
    (tmp_path / "acme_rewards.py").write_text("import a_package_nobody_has\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    problems = found(installation.plugins(), "problem")
    assert "reward 'acme' (acme-rewards 1.2)" in problems
    assert "a_package_nobody_has" in problems


def test_a_missing_extra_is_only_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(util, "find_spec", lambda name: None)
    notes = found(installation.extras(), "note")
    for extra in ("view", "export", "tensorboard", "wandb", "gym"):
        assert f'pip install "mtrack[{extra}]"' in notes
    assert "mtrack-deploy: not installed" in notes
    assert found(installation.extras(), "problem") == ""


def test_an_extra_that_is_too_old_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    real = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0.1" if name == "viser" else real(name))
    assert "view: viser 0.1, needed >=1.1" in found(installation.extras(), "problem")


def test_a_container_with_a_smaller_quota_than_cpus_is_noted(tmp_path: Path) -> None:
    file = tmp_path / "cpu.max"
    assert machine.cpu_quota(file) is None
    file.write_text("max 100000\n")
    assert machine.cpu_quota(file) is None
    file.write_text("150000 100000\n")
    assert machine.cpu_quota(file) == 1.5


@pytest.mark.parametrize(("count", "has_gpu", "is_noted"), [(2, False, False), (16, False, True), (16, True, False)])
def test_more_cpus_than_one_process_can_use_are_noted(
    monkeypatch: pytest.MonkeyPatch, count: int, has_gpu: bool, is_noted: bool
) -> None:
    monkeypatch.setattr(machine, "available_cpus", lambda: count)
    monkeypatch.setattr(machine, "has_gpu", lambda: has_gpu)
    notes = found(machine.processors(), "note")
    assert ("torchrun --nproc-per-node 8" in notes) == is_noted


def test_more_threads_than_cpus_and_spinning_threads_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", "4096")
    monkeypatch.setenv("OMP_WAIT_POLICY", "ACTIVE")
    monkeypatch.setenv("OMP_THREAD_LIMIT", "0")
    monkeypatch.setenv("OMP_DYNAMIC", "true")
    notes = found(machine.threads(), "note")
    assert "OMP_NUM_THREADS=4096 has no effect" in notes
    assert "spin" in notes
    assert "OMP_THREAD_LIMIT=0" in notes
    assert "OMP_DYNAMIC" in notes


@pytest.mark.parametrize(("value", "is_problem"), [("true", True), ("close", True), ("false", False), ("", False)])
def test_a_variable_that_binds_the_process_to_one_cpu_is_a_problem(
    monkeypatch: pytest.MonkeyPatch, value: str, is_problem: bool
) -> None:
    monkeypatch.setenv("OMP_PROC_BIND", value)
    assert ("unset OMP_PROC_BIND" in found(machine.threads(), "problem")) == is_problem


def test_a_busy_machine_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(machine.os, "getloadavg", lambda: (99.0, 0.0, 0.0))
    assert "99.0 programs want these" in found(machine.processors(), "note")


def test_a_full_disk_and_a_folder_that_is_a_file_are_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    assert "cannot write" in found(machine.run_directory(tmp_path / "file"), "problem")
    monkeypatch.setattr(shutil, "disk_usage", lambda place: SimpleNamespace(free=1))
    assert "free some space" in found(machine.run_directory(tmp_path), "problem")


def test_a_check_that_raises_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    assert "gpu: the check failed" in found(check_all(tmp_path), "problem")


@pytest.mark.parametrize(("status", "exit_status"), [("ok", 0), ("note", 0), ("problem", 1)])
def test_the_exit_status_says_whether_there_are_problems(
    monkeypatch: pytest.MonkeyPatch, status: str, exit_status: int
) -> None:
    results = [CheckResult(status, "a", "b", "c")]  # type: ignore[arg-type]
    monkeypatch.setattr("mtrack_dev.doctor.check_all", lambda run_dir: results)
    app = typer.Typer()
    app.command()(cli.doctor)
    result = CliRunner().invoke(app, ["--json"])
    assert result.exit_code == exit_status
    assert json.loads(result.stdout) == [{"status": status, "subject": "a", "message": "b", "remedy": "c"}]


def call(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(list(arguments))
    return int(ended.value.code or 0)


def test_a_recipe_is_tried(capsys: pytest.CaptureFixture[str]) -> None:
    assert call("doctor", "toy") == 0
    assert "13 components of mtrack" in capsys.readouterr().out
    assert call("doctor", "toy", "--set", "num_envs=0", "--set", "agent.init_stdd=1", "--json") == 1
    results = json.loads(capsys.readouterr().out)
    assert ["num_envs" in results[0]["message"], "init_stdd" in results[1]["message"]] == [True, True]
    assert "did you mean 'init_std'?" in results[1]["remedy"]
    assert call("doctor", "toyy") == 2
    assert "did you mean 'toy'?" in capsys.readouterr().err


def test_clips_of_a_recipe_that_cannot_be_used_are_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    clips = {
        "clips": [{"name": "walk", "frames": 3000, "sha256": ""}],
        "left_out": [{"name": "fall", "reason": "jumps"}],
    }
    tried = TriedRecipe(load_recipe("toy"), "physics", (), ("a note",), {"command": clips})
    monkeypatch.setattr(recipe_checks, "try_recipe", lambda *arguments: tried)
    results = list(recipe_checks.recipe("toy", (), ()))
    assert "command: 1 clips, 3,000 frames, 1.0 min" in found(results, "ok")
    assert "left out 'fall': jumps -> mtrack motions check PATH" in found(results, "note")
    assert "a note" in found(results, "note")


def test_a_component_that_raises_in_the_trial_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*arguments: object) -> None:
        raise ComponentError("reward 'mine' raised KeyError")

    monkeypatch.setattr(recipe_checks, "try_recipe", fail)
    assert "reward 'mine' raised KeyError" in found(recipe_checks.recipe("toy", (), ()), "problem")


def test_every_fix_is_printed_below_its_problem() -> None:
    assert report([CheckResult("problem", "a", "b", "do this")])[1].strip() == "-> do this"
