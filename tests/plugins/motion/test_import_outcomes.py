"""`motions import` reports each requested file and motion that it did not import, and then fails."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
from support.clips import swaying_clip
from support.pickles import asap_motion
from typer.testing import CliRunner

from mtrack import MtrackError
from mtrack_motion.cli import motions
from mtrack_motion.file import read_clip, write_clip
from mtrack_motion.input_files import input_files, why_skipped


def imported(*arguments: object, code: int):
    """Return the results by source and clip, and the output on stderr."""
    result = CliRunner().invoke(motions, ["import", *map(str, arguments), "--fill-missing", "--json"])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == code, result.stderr
    return json.loads(result.stdout), result.stderr


def pickled(path, content):
    path.write_bytes(pickle.dumps(content))
    return path


def broken(**changes):
    motion = asap_motion()
    motion["dof"] = motion["dof"].copy()
    motion["dof"][3, 4] = np.nan
    return {**motion, **changes}


def test_every_file_of_a_directory_is_imported_skipped_or_a_problem(tmp_path):
    folder = tmp_path / "in"
    (folder / ".git").mkdir(parents=True)
    (folder / "sub").mkdir()
    pickled(folder / "good.pkl", {"walk": asap_motion()})
    (folder / "sub" / "small.bvh").write_text("HIERARCHY\nROOT Hips\n")
    (folder / "table.csv").write_text("1;2;3\n4;5;6\n")
    (folder / "numbers.txt").write_text("[[0.1, 0.2], [-3e-5, 4.0]]\n")
    np.savez(folder / "amass.npz", poses=np.zeros((5, 156)), trans=np.zeros((5, 3)))
    write_clip(folder / "ours.npz", swaying_clip(10))
    (folder / "lost.pkl").symlink_to(folder / "nowhere.pkl")
    (folder / "elsewhere").symlink_to(tmp_path, target_is_directory=True)
    skipped = {
        "README.txt": "one motion per file",
        "LICENSE": "MIT",
        "shot.png": "",
        "load.py": "",
        "meta.json": '{"a": "b"}',
    }
    for name, text in skipped.items():
        (folder / name).write_text(text)
    for hidden in (".DS_Store", ".git/config"):
        (folder / hidden).write_text("?")

    results, said = imported(folder, "-o", tmp_path / "out", code=2)
    by_name = {result["source"].removeprefix(f"{folder}/"): result for result in results}
    assert len(by_name) == len(results)
    failed = {"sub/small.bvh", "table.csv", "numbers.txt", "amass.npz", "lost.pkl", "elsewhere"}
    assert {name for name, result in by_name.items() if result["problem"]} == failed
    assert {name for name, result in by_name.items() if result["skipped"]} == {*skipped}
    assert by_name.keys() == {"good.pkl", "ours.npz", *failed, *skipped}
    for name in failed:
        assert f"error: {folder / name}: " in said
    assert f"{folder / 'ours.npz'}: motion_file: motion file of mtrack, copied" in said
    assert f"{folder / 'lost.pkl'}: is a broken link" in said
    assert f"{folder / 'shot.png'}: skipped: is a picture or a video" in said
    assert "2 clips written to" in said
    assert said.rstrip().endswith("6 not imported, 5 skipped")


def test_importing_a_directory_succeeds_again_with_its_output_inside(tmp_path):
    pickled(tmp_path / "good.pkl", {"walk": asap_motion()})
    (tmp_path / "README").write_text("walks")
    for _ in range(2):
        results, said = imported(tmp_path, "-o", tmp_path / "out", code=0)
        assert said.rstrip().splitlines()[-1].startswith("1 clip written")
    assert [result["skipped"] for result in results if result["skipped"]] == [
        "is a document",
        "is already in the output directory",
    ]


@pytest.mark.parametrize("bad", [(0,), (1,), (2,), (0, 1), (0, 1, 2)])
def test_a_bad_motion_at_any_place_in_a_pickle_hides_no_other(tmp_path, bad):
    content = {f"m{index}": broken() if index in bad else asap_motion() for index in range(3)}
    results, said = imported(pickled(tmp_path / "three.pkl", content), "-o", tmp_path / "out", code=2)
    assert sorted(result["clip"] for result in results if result["file"]) == [f"m{i}" for i in range(3) if i not in bad]
    problems = [result["problem"] for result in results if result["problem"]]
    assert len(problems) == len(bad)
    for index, problem in zip(bad, problems, strict=True):
        assert f"three.pkl: motion 'm{index}': " in problem
        assert "nan" in problem  # the cause, not what follows from it
    assert f"{3 - len(bad)} clip" in said
    assert f"{len(bad)} not imported" in said


def test_a_motion_that_lacks_a_field_is_a_problem_and_other_entries_are_named(tmp_path):
    content = {"a": asap_motion(), "b": asap_motion(), "note": "x", "meta": {"author": "y"}}
    del content["b"]["dof"]
    results, said = imported(pickled(tmp_path / "two.pkl", content), "-o", tmp_path / "out", code=2)
    (problem,) = (result["problem"] for result in results if result["problem"])
    assert "motion 'b': 'dof' is NoneType" in problem
    assert "ignored entries that are not motions: note, meta" in said
    assert [result["clip"] for result in results if result["file"]] == ["a"]


def test_the_second_of_two_gmr_motions_that_is_bad_hides_no_third(tmp_path):
    def motion():
        clip = swaying_clip(30)
        return {"fps": 50.0, "root_pos": clip.root_pos, "root_rot": clip.root_quat_wxyz[:, [1, 2, 3, 0]],
                "dof_pos": clip.joint_pos}  # fmt: skip

    content = {name: motion() for name in ("a", "b", "c")}
    content["b"]["root_pos"] = content["b"]["root_pos"][:-1]
    results, _ = imported(pickled(tmp_path / "gmr.pkl", content), "-o", tmp_path / "out", code=2)
    assert [result["clip"] for result in results if result["file"]] == ["a", "c"]


def test_a_clip_that_cannot_be_written_hides_none_of_the_others(tmp_path):
    (tmp_path / "out").mkdir()
    write_clip(tmp_path / "out" / "a.npz", swaying_clip(10))
    content = {name: asap_motion() for name in ("a", "b", "c d", "c/d")}
    results, _ = imported(pickled(tmp_path / "four.pkl", content), "-o", tmp_path / "out", code=2)
    assert [result["clip"] for result in results if result["file"]] == ["b", "c d"]
    problems = [result["problem"] for result in results if result["problem"]]
    assert "--overwrite" in problems[0]
    assert "rename one" in problems[1]
    assert len(read_clip(tmp_path / "out" / "a.npz").root_pos) == 10


def test_a_directory_without_files_to_import_is_an_error(tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(MtrackError, match="empty: contains no file"):
        imported(tmp_path / "empty", "-o", tmp_path / "out", code=2)
    (tmp_path / "empty" / "notes.md").write_text("nothing")
    with pytest.raises(MtrackError, match=r"has no file to import, only skipped files \(1\)"):
        imported(tmp_path / "empty", "-o", tmp_path / "out", code=2)


@pytest.mark.parametrize(
    ("name", "text", "skips"),
    [
        ("walk.json", '{"frames": [[0.1, 0.2, 0.3], [0.1, 0.2, 0.3]]}', False),
        ("labels.json", '{"walk": "a person walks", "frames": 3}', True),
        ("data.txt", "0.1 0.2\n0.3 -0.4\n", False),
        ("walk.txt", "HIERARCHY\nROOT Hips\n", False),
        ("walk.npy", "", False),
        ("walk", "", False),
        ("walk.pt", "", False),
        ("film.MP4", "", True),
    ],
)
def test_files_that_cannot_be_motions_are_skipped(tmp_path, name, text, skips):
    (tmp_path / name).write_text(text)
    assert bool(why_skipped(tmp_path / name)) == skips


def test_a_directory_that_cannot_be_read_is_a_problem(tmp_path, monkeypatch):
    def walk(path, onerror):
        onerror(PermissionError(13, "Permission denied", str(tmp_path / "locked")))
        return iter(())

    monkeypatch.setattr("os.walk", walk)
    (one,) = input_files(tmp_path)
    assert (one.file, one.problem) == (tmp_path / "locked", "cannot be read: Permission denied; check its permissions")
