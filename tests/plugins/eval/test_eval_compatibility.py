"""`mtrack eval` rejects missing or changed clips and another policy, unless the user chose them."""

from __future__ import annotations

import shutil

import pytest
from support.clips import swaying_clip

from mtrack.cli import main
from mtrack_motion.file import write_clip


@pytest.fixture
def own(run, tmp_path):
    """Return a copy of the run with its own clips."""
    directory = tmp_path / "own"
    shutil.copytree(run, directory)
    file = directory / "recipe.toml"
    file.write_text(file.read_text("utf-8").replace(str(run / "clips"), str(directory / "clips")), "utf-8")
    return directory


def evaluate(*arguments, capsys) -> tuple[int, str]:
    with pytest.raises(SystemExit) as ended:
        main(["eval", *map(str, arguments), "--rollouts", "1", "--json", "--no-plots"])
    captured = capsys.readouterr()
    return ended.value.code or 0, captured.err + captured.out


def test_missing_and_changed_clips_are_named_and_the_run_is_not_scored(own, capsys):
    (own / "clips" / "sway12.npz").unlink()
    write_clip(own / "clips" / "sway20.npz", swaying_clip(frames=19, name="sway20"))
    code, message = evaluate(own, capsys=capsys)
    assert code == 2
    assert "clips of command missing: sway12; changed: sway20" in message
    assert "--allow-change" in message and "--motions" in message


@pytest.mark.parametrize("option", ["--allow-change", "--motions", "--set"])
def test_other_clips_are_scored_on_request(own, capsys, option):
    (own / "clips" / "sway12.npz").unlink()
    values = {
        "--allow-change": [],
        "--motions": [own / "clips"],
        "--set": [f"motions.builtin.path={own / 'clips'}"],
    }
    code, output = evaluate(own, option, *values[option], capsys=capsys)
    assert code == 0
    assert '"sway20"' in output and '"sway12"' not in output


def test_a_new_clip_is_scored_and_logged(own, capsys, caplog):
    write_clip(own / "clips" / "sway9.npz", swaying_clip(frames=15, name="sway9"))
    code, output = evaluate(own, capsys=capsys)
    assert code == 0
    assert '"sway9"' in output
    assert "clips of command new: sway9" in caplog.text


def test_a_policy_is_not_scored_with_another_action_or_other_observations(own, capsys):
    code, message = evaluate(own, "--set", "action.scale=0.3", capsys=capsys)
    assert code == 2
    assert "action.scale: " in message
    file = own / "recipe.toml"
    text = file.read_text("utf-8")
    file.write_text(text.replace("future_frames = [0, 2, 4, 8, 16]", "future_frames = [0, 2, 4, 8, 15]"), "utf-8")
    code, message = evaluate(own, capsys=capsys)
    assert code == 2
    assert "command.future_frames: [0, 2, 4, 8, 16] -> [0, 2, 4, 8, 15]" in message
