"""Whatever a policy's files contain, with matching hashes: it is an error that names the file or field."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.edited_policy import Change, edit, sha256

from mtrack_deploy import DeployError, Policy, arrays, check_golden_trace, read_clip

Arrays = dict[str, Any]


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "policy"))


def read(folder: Path) -> None:
    policy = Policy.load(folder)
    check_golden_trace(policy).require()
    read_clip(folder, policy.contract, "sway30")


def rewrite(folder: Path, file: str, change: Callable[[Arrays], Any]) -> None:
    """Change the arrays of a file, and its hash."""
    with np.load(folder / file) as found:
        members = {name: found[name] for name in found.files}
    change(members)
    np.savez_compressed(folder / file, **members)
    sign(folder, file)


def sign(folder: Path, file: str) -> None:
    """Give policy.json the present hash of a file."""

    def change(plain: dict[str, Any]) -> None:
        entries = [*plain["motions"], plain["golden_trace"]]
        next(one for one in entries if one["file"] == file)["sha256"] = sha256(folder / file)

    edit(folder, change, "network")


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda clip: clip.update(fps=np.zeros(5)), r"'fps' is not numbers \(\), but float64 \(5,\)"),
        (lambda clip: clip.update(fps=np.nan), "'fps' is not finite"),
        (lambda clip: clip.update(joint_vel=clip["joint_vel"][:1]), r"'joint_vel' is not numbers \(30, 29\)"),
        (lambda clip: clip.update(joint_pos=np.zeros((2, 2, 2, 2))), r"but float64 \(2, 2, 2, 2\)"),
        (lambda clip: clip.update(root_pos=np.array("x")), "it has 1 frames, but policy.json has 30"),
        (lambda clip: clip.pop("root_quat_wxyz"), "'root_quat_wxyz' is missing"),
        (lambda clip: clip.pop("joint_names"), r"its joints are \[\]"),
    ],
)
def test_an_array_of_a_motion_is_named(copied: Path, change: Callable[[Arrays], Any], says: str) -> None:
    rewrite(copied, "motions/000_sway30.npz", change)
    with pytest.raises(DeployError, match=says):
        read(copied)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda trace: trace.update(starts=np.float32(1.0)), "'starts' is not numbers"),
        (lambda trace: trace.update(action=trace["action"][:, :3]), r"'action' is not numbers \(\d+, 29\)"),
        (lambda trace: trace.update(contract=np.array("[]")), "it lacks the contract"),
    ],
)
def test_an_array_of_the_trace_is_named(copied: Path, change: Callable[[Arrays], Any], says: str) -> None:
    rewrite(copied, "golden_trace.npz", change)
    with pytest.raises(DeployError, match=f"golden_trace.npz: {says}"):
        read(copied)


def test_damaged_compressed_data_is_explained(copied: Path) -> None:
    file = copied / "motions/000_sway30.npz"
    rewrite(copied, "motions/000_sway30.npz", lambda _: None)
    data = bytearray(file.read_bytes())
    data[200:400] = b"\xff" * 200
    file.write_bytes(data)
    sign(copied, "motions/000_sway30.npz")
    with pytest.raises(DeployError, match=r"sway30.npz is not a motion of this format: .*; export the policy again"):
        read(copied)


def test_arrays_that_take_too_much_memory_are_rejected(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrays, "LARGEST_BYTES", 1e6)
    rewrite(copied, "motions/000_sway30.npz", lambda clip: clip.update(x=np.zeros(10**6)))
    with pytest.raises(DeployError, match="its arrays take 8 MB, more than 1"):
        read(copied)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda plain: plain["policy"].update(file="/dev/zero"), "policy.file is '/dev/zero'; expected a file in the"),
        (lambda plain: plain["robot"].update(model_file="../robot.xml"), r"robot.model_file is '../robot.xml'"),
        (lambda plain: plain["motions"][1].update(file=r"C:\x"), r"motions\[1\].file is"),
        (lambda plain: plain["golden_trace"].update(file="motions"), "motions is not a file"),
        (lambda plain: plain["policy"].update(file="x" * 9000), r"cannot read '.{1900,2000}.*: File name too long"),
        (lambda plain: plain["action"].update(mode="x" * 9000), r"action.mode is 'x{1900,2000}\.\.\. \(9,002 char"),
        (lambda plain: plain["reference"].update(blend_s=1e308), "'reference.blend_s' is 1e.308; .* at most 1e.09"),
        (
            lambda plain: plain["robot"]["joints"][0].update(stiffness=1e-320),
            r"joints\[0\].stiffness .* is 0.0, which does",
        ),
        (lambda plain: plain["robot"].update(name=["x" * 9000]), r"robot.name' is \['x{1900,2000}\.\.\. \(9,004 char"),
        (
            lambda plain: term(plain, "joint_pos")["parameters"].update(joints=["left_knee_joint", []]),
            r"'joint_pos' of kind 'joint_pos' cannot be computed .*: TypeError: unhashable type",
        ),
    ],
)
def test_a_field_of_policy_json_is_named(copied: Path, change: Change, says: str) -> None:
    edit(copied, change, "network trace")
    with pytest.raises(DeployError, match=says):
        read(copied)


def term(plain: dict[str, Any], name: str) -> dict[str, Any]:
    return next(one for one in plain["observation"]["terms"] if one["name"] == name)
