"""`mtrack motions check`: table, JSON, plots and the repair, as a user sees them."""

from __future__ import annotations

import json

import numpy as np
import pytest
import typer
from support.clips import SAMPLES, needs_samples, swaying_clip
from typer.testing import CliRunner

from mtrack import MotionError, MtrackError
from mtrack_formats.asap import AsapPickle
from mtrack_g1.robot import G1
from mtrack_motion.file import read_clip, write_clip
from mtrack_quality.cli import check
from mtrack_quality.clip_quality import judge
from mtrack_quality.ground import on_ground
from mtrack_quality.measure import Meter

app = typer.Typer()
app.command()(check)


def run(*arguments: object, code: int = 0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.stderr
    return result


def lifted(height: float, **changes):
    clip = swaying_clip(**changes)
    return swaying_clip(root_pos=clip.root_pos + np.array([0, 0, height], np.float32), **changes)


def test_a_directory_is_reported_clip_by_clip_with_totals(tmp_path):
    write_clip(tmp_path / "a.npz", lifted(0.05, frames=100, name="high"))
    write_clip(tmp_path / "b.npz", swaying_clip(100, name="sway"))
    (tmp_path / "c.npz").write_bytes(b"PK")
    text = run(tmp_path, code=2).stdout
    high, sway, damaged = (
        next(line for line in text.splitlines() if f" {name} " in line) for name in ("high", "sway", "c")
    )
    assert "floats" in high
    assert "sway" in sway
    assert "unusable" in damaged
    assert "3 clips: " in text
    assert "1 unusable; 200 frames" in text


def test_json_has_every_metric_and_problem(tmp_path):
    write_clip(tmp_path / "a.npz", lifted(0.05, frames=100, name="high"))
    (entry,) = json.loads(run(tmp_path / "a.npz", "--json").stdout)
    assert (entry["name"], entry["verdict"], entry["frames"]) == ("high", "flawed", 100)
    assert entry["problems"][0]["kind"] == "ground"
    assert 0.03 < entry["metrics"]["ground_m"] < 0.06


def test_a_duplicate_of_a_motion_is_unusable(tmp_path):
    write_clip(tmp_path / "a.npz", swaying_clip(100, name="first"))
    write_clip(tmp_path / "b.npz", swaying_clip(100, name="second"))
    assert "is the same motion as 'first'" in " ".join(run(tmp_path, code=2).stdout.split())


def test_each_clip_gets_a_plot(tmp_path):
    write_clip(tmp_path / "a.npz", lifted(-0.05, frames=100, name="a walk/1"))
    result = run(tmp_path / "a.npz", "--pictures", tmp_path / "pictures")
    picture = tmp_path / "pictures" / "a_walk_1.png"
    assert str(picture) in result.stderr
    assert picture.read_bytes()[:4] == b"\x89PNG"
    assert picture.stat().st_size > 20_000


def test_the_repair_writes_clips_on_the_floor_and_says_by_how_much(tmp_path):
    write_clip(tmp_path / "a.npz", lifted(0.05, frames=100, name="high", source="somewhere"))
    result = run(tmp_path / "a.npz", "--fix", "ground", "-o", tmp_path / "out", "--json")
    (entry,) = json.loads(result.stdout)
    assert abs(entry["metrics"]["ground_m"]) < 1e-4
    assert "shifted by -" in result.stderr
    before, after = read_clip(tmp_path / "a.npz"), read_clip(tmp_path / "out" / "a.npz")
    moved = before.root_pos - after.root_pos
    assert np.ptp(moved[:, 2]) < 1e-6
    assert not moved[:, :2].any()
    assert np.array_equal(before.joint_pos, after.joint_pos)
    assert after.source.startswith("somewhere; height shifted by -0.0")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--fix", "grund", "-o", "x"), "did you mean 'ground'"),
        (("--fix", "ground"), "--fix and -o go together"),
        (("-o", "x"), "--fix and -o go together"),
        (("--robot", "g2"), "no robot named 'g2'"),
    ],
)
def test_a_wrong_choice_is_explained(tmp_path, monkeypatch, arguments, says):
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / "a.npz", swaying_clip())
    with pytest.raises(MtrackError, match=says):
        run(tmp_path / "a.npz", *arguments)


def test_another_motion_is_overwritten_only_on_request(tmp_path):
    write_clip(tmp_path / "a.npz", lifted(0.05, frames=100))
    (tmp_path / "out").mkdir()
    write_clip(tmp_path / "out" / "a.npz", swaying_clip(20))
    with pytest.raises(MotionError, match="--overwrite"):
        run(tmp_path / "a.npz", "--fix", "ground", "-o", tmp_path / "out")
    run(tmp_path / "a.npz", "--fix", "ground", "-o", tmp_path / "out", "--overwrite")
    assert len(read_clip(tmp_path / "out" / "a.npz").root_pos) == 100


def test_a_repair_that_cannot_be_written_does_not_stop_the_others(tmp_path):
    for folder in ("in/a", "in/b", "out"):
        (tmp_path / folder).mkdir(parents=True)
    write_clip(tmp_path / "in" / "a" / "walk.npz", lifted(0.05, frames=100, name="one"))
    write_clip(tmp_path / "in" / "b" / "walk.npz", lifted(0.06, frames=100, name="two"))
    write_clip(tmp_path / "in" / "c.npz", lifted(0.05, frames=90, name="three"))
    write_clip(tmp_path / "in" / "d.npz", lifted(0.05, frames=80, name="four"))
    write_clip(tmp_path / "out" / "c.npz", swaying_clip(20))
    result = CliRunner().invoke(app, [str(tmp_path / "in"), "--fix", "ground", "-o", str(tmp_path / "out")])
    assert isinstance(result.exception, MotionError)
    first, second = str(result.exception).splitlines()
    assert "clip 'two': would be written to" in first
    assert "rename one" in first
    assert "c.npz exists with another motion" in second
    assert "4 clips" in result.stdout
    assert len(read_clip(tmp_path / "out" / "d.npz").root_pos) == 80
    assert read_clip(tmp_path / "out" / "walk.npz").name == "one"


@needs_samples
def test_every_sample_is_measured_and_its_soles_put_on_the_floor():
    meter, importer = Meter(G1()), AsapPickle(fill_missing=True)
    files = sorted((SAMPLES / "asap").glob("*.pkl"))
    judged = {}
    for file in files:
        for clip in importer.clips(file, G1()):
            quality = judge(clip, str(file), meter, {})
            assert quality.unusable == ""
            judged[clip.name] = quality
            repaired = judge(on_ground(clip, quality.metrics["ground_m"]), "", meter, {})
            assert repaired.measures is not None
            assert abs(np.quantile(repaired.measures.soles.min(axis=1), 0.05)) < 0.01, clip.name
    assert len(judged) == 37
    kinds = {name: {problem.kind for problem in quality.problems} for name, quality in judged.items()}
    deep = {name: -quality.metrics["lowest_m"] for name, quality in judged.items()}
    assert {"penetration", "ground"} <= kinds["TigerWoods_level1"] & kinds["step_forward_back_level3"]
    assert 0.05 < max(deep.values()) < 0.06
    assert {"float", "ground"} <= kinds["jump_forward_level4"]
