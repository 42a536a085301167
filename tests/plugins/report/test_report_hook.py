"""The hook writes the report of a run when it ends, without heavy imports, and never harms the run."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from support.invented_run import invented_run

from mtrack.cli import main
from mtrack.errors import StoppedAtOnce
from mtrack.registry.hook_contract import hook_problems
from mtrack.registry.registry import Registry
from mtrack.run.hooks import Hooks
from mtrack_report import page
from mtrack_report.hook import ReportFile

SETTINGS = ("num_envs=4", "run.checkpoint_every=2", "phases.train.train_every=4", "phases.train.frames=64")


def run_toy(directory: Path, *more: str) -> None:
    options = [part for setting in SETTINGS for part in ("--set", setting)]
    with pytest.raises(SystemExit):
        main(["run", "toy", "--run-dir", str(directory), *options, *more])


def ended(directory: Path, status: str = "interrupted") -> Hooks:
    """Return the hook after the start and the end of a run in a directory."""
    hooks = Hooks()
    hooks.add(ReportFile, "report")
    hooks.call("run_started", directory=directory, manifest={})
    hooks.call("run_ended", status=status)
    return hooks


def test_it_is_installed_and_fits() -> None:
    registry = Registry.scan()
    entries = {entry.name: entry for entry in registry.of("hook")}
    assert registry.load(entries["report"]) is ReportFile
    assert hook_problems(ReportFile) == []


def test_a_run_leaves_its_report(tmp_path: Path) -> None:
    run_toy(tmp_path / "run")
    html = (tmp_path / "run" / "report.html").read_text("utf-8")
    assert 'class="status finished"' in html
    assert 'data-chart="reward_raw/toy/closeness"' in html
    assert "The task of this run plays no motions" in html


def test_a_run_without_the_hook_has_no_report(tmp_path: Path) -> None:
    run_toy(tmp_path / "run", "-p", "no:report")
    assert not (tmp_path / "run" / "report.html").exists()


def test_a_run_without_the_logger_says_how_to_get_curves(tmp_path: Path) -> None:
    run_toy(tmp_path / "run", "--set", "loggers.jsonl.enabled=false")
    assert "train with [loggers.jsonl] in the recipe" in (tmp_path / "run" / "report.html").read_text("utf-8")


def test_a_stopped_run_shows_how_far_it_came(run: Path) -> None:
    ended(run)
    html = (run / "report.html").read_text("utf-8")
    assert 'class="status interrupted"' in html
    assert "in phase finetune (3 of 3)" in html


def test_a_report_that_fails_is_a_warning(run: Path, caplog: pytest.LogCaptureFixture) -> None:
    (run / "recipe.toml").write_text("= nothing", "utf-8")
    ended(run)
    assert "hook 'report' failed in run_ended and is disabled" in caplog.text
    assert not (run / "report.html").exists()


def test_a_run_that_failed_before_its_recipe_was_written_has_no_report(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    ended(tmp_path, "failed")
    assert list(tmp_path.iterdir()) == []
    assert caplog.text == ""


def test_a_second_signal_ends_the_process_at_once(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (run / "report.html").write_text("the report of before", "utf-8")

    def interrupted(*_: object) -> str:
        raise StoppedAtOnce(130)

    monkeypatch.setattr(page, "curves", interrupted)
    with pytest.raises(StoppedAtOnce):
        ended(run)
    assert (run / "report.html").read_text("utf-8") == "the report of before"


def test_it_imports_neither_matplotlib_nor_viser(tmp_path: Path) -> None:
    run = invented_run(tmp_path / "run")
    code = (
        "import sys; from pathlib import Path; from mtrack_report.hook import ReportFile; hook = ReportFile(); "
        "hook.run_started(Path(sys.argv[1])); hook.run_ended('finished'); "
        "sys.exit(', '.join({'matplotlib', 'viser', 'rich.console'} & set(sys.modules)) or 0)"
    )
    subprocess.run([sys.executable, "-c", code, str(run)], check=True, capture_output=True, text=True)
    assert (run / "report.html").is_file()
