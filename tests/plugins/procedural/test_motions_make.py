"""`mtrack motions make`, as a user sees it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from mtrack import MotionError
from mtrack_motion.cli import motions
from mtrack_motion.file import read_clip
from mtrack_procedural.catalogue import parameters
from mtrack_procedural.kinds import CLIPS, KINDS


def make(*arguments: object):
    result = CliRunner().invoke(motions, ["make", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.stderr
    return result


def test_a_walk_is_written_with_the_given_parameters(tmp_path):
    done = make("--kind", "walk", "--speed", "-0.3", "--duration=4", "-o", tmp_path / "new")
    file = tmp_path / "new" / "walk_speed-0.3_duration4.npz"
    assert done.stdout.split() == [str(file)]
    clip = read_clip(file)
    assert (clip.name, clip.fps) == (file.stem, 50.0)
    assert len(clip.joint_pos) == round(50 * (4 + 2 * 0.5 + 2 * 0.8)) + 1
    assert -1.2 < clip.root_pos[-1, 0] < -0.5


def test_a_clip_of_the_library_is_the_one_that_runs_train_on(tmp_path, replays):
    make("--kind", "kick_left", "--spread", 0.1, "-o", tmp_path)
    clip, known = read_clip(tmp_path / "kick_left.npz"), replays["kick_left"].clip
    assert np.array_equal(clip.joint_pos, known.joint_pos)


def test_a_given_parameter_overrides_that_of_a_built_in_clip(tmp_path):
    make("--kind", "turn_left", "--turn", -0.9, "--duration", 3, "--name", "other_way", "-o", tmp_path)
    w, _, _, z = read_clip(tmp_path / "other_way.npz").root_quat_wxyz[-1]
    assert 2 * np.arctan2(z, w) < -1.0


def test_the_whole_library_is_written_at_once(tmp_path):
    done = make("--kind", "library", "--spread", 0.1, "--json", "-o", tmp_path)
    assert json.loads(done.stdout) == [str(tmp_path / f"{name}.npz") for name in CLIPS]
    assert all(read_clip(tmp_path / f"{name}.npz").name == name for name in CLIPS)


def test_variants_are_numbered(tmp_path):
    done = make("--kind", "stand", "--duration", 2, "--variants", 2, "--spread", 0.1, "-o", tmp_path)
    first, second = (read_clip(Path(file)) for file in done.stdout.split())
    assert (first.name, second.name) == ("stand_duration2_0", "stand_duration2_1")
    assert len(first.joint_pos) != len(second.joint_pos)


def test_an_existing_file_does_not_prevent_the_others_from_being_made(tmp_path):
    arguments = ("--kind", "stand", "--duration", 2, "--variants", 3, "--spread", 0.1, "-o", tmp_path)
    make(*arguments)
    for name in ("stand_duration2_0", "stand_duration2_2"):
        (tmp_path / f"{name}.npz").unlink()
    make("--kind", "stand", "--duration", 3, "--name", "stand_duration2_0", "-o", tmp_path)
    with pytest.raises(MotionError, match=r"stand_duration2_0\.npz: exists with another motion"):
        make(*arguments)
    assert (tmp_path / "stand_duration2_2.npz").exists()


def test_another_motion_is_replaced_only_on_request(tmp_path):
    make("--kind", "stand", "--duration", 2, "--name", "a", "-o", tmp_path)
    make("--kind", "stand", "--duration", 2, "--name", "a", "-o", tmp_path)
    with pytest.raises(MotionError, match=r"a\.npz: exists with another motion; .*--overwrite"):
        make("--kind", "stand", "--duration", 3, "--name", "a", "-o", tmp_path)
    make("--kind", "stand", "--duration", 3, "--name", "a", "--overwrite", "-o", tmp_path)
    assert len(read_clip(tmp_path / "a.npz").joint_pos) == round(50 * (3 + 1.6)) + 1


def test_the_list_names_every_kind_and_parameter_with_default_bounds_and_unit():
    text = make("--list").stdout
    assert "  --speed       0.6   -0.5 to 0.8   Forward speed; negative values walk backward [m/s].\n" in text
    for kind in KINDS:
        assert f"\n{kind}\n" in text
        for one in parameters(kind).values():
            assert one.help in text
            assert one.low <= one.default <= one.high
    for name in CLIPS:
        assert f"\n  {name} " in text
    listed = json.loads(make("--list", "--json").stdout)
    assert listed["kinds"]["walk"][0] == {
        "name": "speed",
        "default": 0.6,
        "low": -0.5,
        "high": 0.8,
        "help": "Forward speed; negative values walk backward [m/s].",
    }
    assert listed["library"]["turn_left"]["parameters"] == {"speed": 0.0, "turn": 0.9}


def test_the_help_names_the_kinds():
    text = make("--help").stdout
    assert all(kind in text for kind in KINDS)


MISTAKES = {
    ("--kind", "wlak"): r"--kind wlak: no built-in clip is named 'wlak'; did you mean 'walk'\? Choose from: stand, ",
    ("--kind", "walk", "--speed", "3"): r"--speed 3: is out of bounds; choose one from -0\.5 to 0\.8: .*\[m/s\]",
    ("--kind", "walk", "--speed", "fast"): "--speed fast: is not a number; choose one from",
    ("--kind", "walk", "--speed", "nan"): "--speed nan: is out of bounds",
    ("--kind", "kick", "--count", "1.5"): "--count 1.5: is not a whole number; choose one from 1 to 10",
    ("--kind", "walk", "--sped", "1"): r"--sped: walk has no such parameter; did you mean 'speed'\? .*duration",
    ("--kind", "walk", "--speed"): "--speed: the value is missing",
    ("--kind", "walk", "0.6"): "'0.6' is not an option; write parameters as --speed 0.6",
    ("--kind", "kick", "--side", "up"): "--side up: is not a side; choose left or right",
    ("--kind", "library", "--speed", "0.3"): "--speed: the library has many kinds; choose one",
    (
        "--kind",
        "walk",
        "--speed",
        "0.8",
        "--period",
        "1",
    ): r"built-in clip 'walk' of robot 'g1': at .*walk_\* parameters",
    (): "give --kind and --out, e.g. mtrack motions make --kind walk -o DIRECTORY",
}


@pytest.mark.parametrize(("arguments", "message"), MISTAKES.items(), ids=" ".join)
def test_a_mistake_is_explained_with_a_remedy(arguments, message, tmp_path):
    with pytest.raises(MotionError, match=message):
        make(*arguments, "-o", tmp_path / "out")
    assert not (tmp_path / "out").exists(), "and nothing is written"


def test_a_directory_that_cannot_be_created_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(MotionError, match=r"cannot create .*file/out: .*choose another directory"):
        make("--kind", "stand", "--duration", 2, "-o", tmp_path / "file" / "out")
