"""`python -m mtrack_deploy`: what it prints, and its exit status."""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

import pytest

from mtrack_deploy.cli import main

needs_dds = pytest.mark.skipif(importlib.util.find_spec("cyclonedds") is None, reason="cyclonedds is not installed")


def test_check_says_what_a_policy_needs(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(folder)]) == 0
    lines = dict(line.split(maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert lines["robot"].startswith("g1, 29 joints, 33.3 kg")
    assert lines["rates"] == "50 actions/s, 200 commands/s"
    assert lines["sensors"] == "imu, joint_encoders"
    assert lines["clip"] == "sway50, 1.0 s"
    assert "steps reproduced" in lines["golden"]


def test_check_refuses_a_policy_that_has_changed(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    copy = shutil.copytree(folder, tmp_path / "copy")
    text = (copy / "policy.json").read_text()
    (copy / "policy.json").write_text(text.replace('"filter_alpha": 0.9', '"filter_alpha": 0.8'))
    assert main(["check", str(copy)]) == 2
    assert "action.filter_alpha: 0.8, but 0.9 in the network" in capsys.readouterr().err


def test_clips_run_in_mujoco_one_after_the_other(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = main(["run", str(folder), "--clip", "sway50", "sway30", "--after", "0.1", "--kp-scale", "0.9"])
    said = capsys.readouterr().out
    assert "stiffness times 0.9, damping times 1" in said
    assert "clip 1 of 2: 1.0 s" in said
    assert "control steps, joints off by" in said
    assert status == int("stopped:" in said)  # an untrained policy may fall


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["--clip", "walk"], "no clip is named 'walk'; there are: sway30, sway50"),
        pytest.param(["--robot", "unitree", "--peer", "10.0.0.9"], "peer 10.0.0.9 is not this", marks=needs_dds),
        pytest.param(["--robot", "unitree", "--interface", "nix0"], "no network interface 'nix0'", marks=needs_dds),
    ],
)
def test_bad_input_is_explained(
    folder: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], problem: str
) -> None:
    assert main(["run", str(folder), *arguments]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert problem in captured.err


@pytest.mark.parametrize(
    "arguments", [["--move", "0.2"], ["--kp-scale", "3"], ["--after", "soon"], ["--after", "nan"], ["--at-end", "jump"]]
)
def test_numbers_out_of_range_are_usage_errors(folder: Path, arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["run", str(folder), *arguments])
    assert caught.value.code == 2


def test_a_missing_policy_is_explained(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", str(tmp_path)]) == 2
    assert "`mtrack export RUN -o DIR` writes it" in capsys.readouterr().err
