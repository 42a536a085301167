"""`mtrack motions pack`: what it writes, what it leaves out, and how it explains a wrong option."""

from __future__ import annotations

import json

import pytest
from packs import packed_folder
from support.clips import swaying_clip
from typer.testing import CliRunner

from mtrack import MotionError, MtrackError
from mtrack.cli import app
from mtrack_g1.robot import G1
from mtrack_motion.derive import ContactRule
from mtrack_motion.file import write_clip
from mtrack_motion.pack import Pack
from mtrack_motion.source import MotionFiles


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return packed_folder(tmp_path_factory.mktemp("pack"))


def run(*arguments: object):
    result = CliRunner().invoke(app, ["motions", *map(str, arguments)])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


def test_pack_says_what_it_wrote_and_info_and_check_read_it(folder, tmp_path):
    file = tmp_path / "all.pack"
    result = run("pack", folder / "clips", "-o", file)
    assert result.exit_code == 2
    assert "1 not packed" in result.stderr
    assert "3 clips, 311 frames, 0.1 min" in result.stdout
    assert "left out 'bad.npz'" in result.stderr
    assert file.read_bytes() == (folder / "all.pack").read_bytes()
    assert run("info", file).stdout.splitlines()[-1].startswith("3 clips, 311 frames")
    entries = json.loads(run("check", file, "--json").stdout)
    assert [entry["name"] for entry in entries] == ["even", "slow", "wide"]
    assert not list(tmp_path.glob(".*"))


def test_pack_fails_for_each_motion_that_it_leaves_out_but_not_for_duplicates(tmp_path):
    (tmp_path / "in" / "sub").mkdir(parents=True)
    write_clip(tmp_path / "in" / "a.npz", swaying_clip(60, name="a"))
    write_clip(tmp_path / "in" / "b.npz", swaying_clip(60, name="twin"))
    result = run("pack", tmp_path / "in", "-o", tmp_path / "x.pack")
    assert result.exit_code == 0
    assert "left out 'twin': is the same motion as 'a'" in result.stderr
    for folder in ("in", "in/sub"):
        (tmp_path / folder / "bad.npz").write_bytes(b"nothing")  # two of one name are two
    write_clip(tmp_path / "in" / "short.npz", swaying_clip(3, name="short"))
    result = run("pack", tmp_path / "in", "-o", tmp_path / "x.pack")
    assert result.exit_code == 2
    assert result.stderr.count("left out '") == 4
    assert "left out 'short': is " in result.stderr
    assert "3 not packed" in result.stderr
    assert Pack.open(tmp_path / "x.pack").names == ("a",)


def test_a_packed_file_is_packed_again_at_another_rate(folder, tmp_path):
    run(
        "pack",
        folder / "all.pack",
        "-o",
        tmp_path / "slow.pack",
        "--control-dt",
        "0.04",
        "--contact",
        "enter_height=0.2",
    )
    rule = ContactRule(enter_height=0.2)
    library = MotionFiles(path=tmp_path / "slow.pack").packed(G1(), 0.04, rule)
    assert library.length.tolist() == [30, 26, 100]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--contact", "enter_heigth=1"), "did you mean 'enter_height'"),
        (("--contact", "enter_height"), "expected KEY=NUMBER"),
        (("--contact", "enter_height=0.3"), "--contact: 'leave_height' is 0.25, below enter_height = 0.3"),
        (("--contact", "enter_vertical=nan"), "'enter_vertical' must be > 0"),
        (("--control-dt", "0"), "must be greater than 0"),
        (("--robot", "g2"), "no robot named 'g2'"),
    ],
)
def test_a_wrong_choice_is_explained(folder, tmp_path, arguments, says):
    with pytest.raises(MtrackError, match=says):
        run("pack", folder / "clips", "-o", tmp_path / "x.pack", *arguments)
    assert not list(tmp_path.iterdir())


def test_a_place_that_cannot_be_written_to_is_named(folder, tmp_path):
    with pytest.raises(MotionError, match="cannot be written"):
        run("pack", folder / "clips", "-o", tmp_path / "absent" / "x.pack")
