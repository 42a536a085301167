"""The policy that comes with mtrack belongs to the present code, and every command that has --demo can use it."""

from __future__ import annotations

import logging
from importlib import metadata
from pathlib import Path

import pytest
from support.command_line import exit_status

from mtrack import MtrackError, load_policy
from mtrack_demo import demo_run

LARGEST = 3_000_000  # bytes


def test_the_demo_is_a_student_of_the_present_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.chdir(tmp_path)
    run = demo_run()
    with caplog.at_level(logging.WARNING):
        policy = load_policy(run)
    assert policy.actor == "student"
    changed = [line.partition(" was made: ")[2] for line in caplog.messages if "changed since" in line]
    packages = {"python", *(str(one.name).lower() for one in metadata.distributions())} - {"mtrack"}
    assert {line.split()[0] for line in changed} <= packages, (
        "train a run of the quick recipe and call benchmarks/make_demo.py"
    )
    assert sum(path.stat().st_size for path in run.rglob("*") if path.is_file()) < LARGEST
    assert demo_run() == run, "a second call uses the copy"
    (run / "manifest.json").write_text("{}", "utf-8")
    with pytest.raises(MtrackError, match="another run"):
        demo_run()


def test_a_run_and_the_demo_exclude_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert exit_status("export") == 2
    assert "or --demo" in capsys.readouterr().err
    assert exit_status("export", "runs/other", "--demo") == 2
    assert not (tmp_path / "runs").exists()
