"""A folder is refused unless network, policy.json, motions and golden trace all belong together."""

from __future__ import annotations

import copy
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.edited_policy import Change, edit, sha256

from mtrack_deploy import DeployError, MotionPlayer, Policy, Sensors, check_golden_trace, read_clip
from mtrack_deploy.agreement import differing
from mtrack_deploy.contract import FREE


@pytest.fixture
def copied(folder: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(folder, tmp_path / "policy"))


def leaves(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    members = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, member in members:
        yield from leaves(member, (*path, key)) if member not in ({}, []) else [(*path, key)]
    if not isinstance(value, dict | list):
        yield path


def other(value: Any) -> Any:
    """Return another value of the same type."""
    if isinstance(value, bool):
        return not value
    return value + 1 if isinstance(value, int | float) else f"{value}x" if isinstance(value, str) else [value]


def test_the_exported_folder_reproduces_training(folder: Path) -> None:
    policy = Policy.load(folder)
    differences = check_golden_trace(policy)
    differences.require()
    assert 0.0 < differences.observation < 1.0
    assert policy.contract.action.expected_delay_s == [0.0, pytest.approx(0.015)]
    assert read_clip(folder, policy.contract, "sway50").joint_pos.shape[1] == 29


def test_every_changed_field_is_named_with_both_values(folder: Path) -> None:
    plain = json.loads((folder / "policy.json").read_text("utf-8"))
    paths = [path for path in leaves(plain) if path[0] not in FREE and path[:2] != ("policy", "sha256")]
    assert len(paths) > 900
    for path in paths:
        changed = copy.deepcopy(plain)
        parent = changed
        for key in path[:-1]:
            parent = parent[key]
        before = parent[path[-1]]
        parent[path[-1]] = other(before)
        found = differing(changed, plain)
        name = "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).lstrip(".")
        assert found == [(name, other(before), before)]


def test_a_changed_gain_is_refused_by_name(copied: Path) -> None:
    edit(copied, lambda plain: plain["robot"]["joints"][3].update(stiffness=1.5))
    with pytest.raises(DeployError, match=r"robot\.joints\[3\]\.stiffness: 1\.5, but 99\.09\d* in the network"):
        Policy.load(copied)


def test_provenance_and_proof_may_differ(copied: Path) -> None:
    edit(copied, lambda plain: plain["provenance"].update(run_id="other"))
    Policy.load(copied)


@pytest.mark.parametrize(
    ("field", "message"),
    [
        (lambda plain: plain.pop("safety"), "field 'safety' is missing"),
        (lambda plain: plain["safety"].update(speed=1.0), "field 'safety.speed' is unknown"),
        (lambda plain: plain["action"].update(clip="10"), "field 'action.clip' is '10'; expected float"),
        (lambda plain: plain["timing"].update(decimation=True), "field 'timing.decimation' is True"),
        (lambda plain: plain.update(schema_version=2), "schema_version is 2"),
    ],
)
def test_a_malformed_contract_names_its_field(copied: Path, field: Change, message: str) -> None:
    edit(copied, field)
    with pytest.raises(DeployError, match=message):
        Policy.load(copied)


@pytest.mark.parametrize("name", ["policy.onnx", "golden_trace.npz", "motions/000_sway30.npz"])
def test_a_changed_file_is_refused(copied: Path, name: str) -> None:
    (copied / name).write_bytes((copied / name).read_bytes() + b" ")
    with pytest.raises(DeployError, match=f"{name} has changed"):
        policy = Policy.load(copied)
        check_golden_trace(policy)
        read_clip(copied, policy.contract, "sway30")


def term(plain: Any, name: str) -> Any:
    return next(one for one in plain["observation"]["terms"] if one["name"] == name)


def swap_terms(plain: Any) -> None:
    """Exchange two neighbouring terms of equal width."""
    terms = plain["observation"]["terms"]
    at = next(i for i, one in enumerate(terms) if one["name"] == "root_ang_vel")
    first, second = terms[at], terms[at + 1]
    assert first["width"] == second["width"] == 3
    terms[at : at + 2] = [second | {"start": first["start"]}, first | {"start": second["start"]}]


ALIKE: dict[str, Change] = {
    "scale": lambda plain: plain["action"]["scale"].__setitem__(3, plain["action"]["scale"][3] * 1.01),
    "action joints": lambda plain: plain["action"]["joints"].reverse(),
    "clip": lambda plain: plain["action"].update(clip=1e-4),
    "filter": lambda plain: plain["action"].update(filter_alpha=0.8),
    "boot hold": lambda plain: plain["action"].update(boot_hold_s=0.0),
    "feedforward": lambda plain: plain["action"]["velocity_feedforward_s"].__setitem__(0, 0.0),
    "mode": lambda plain: plain["action"].update(mode="default_relative"),
    "offset": lambda plain: plain["action"]["offset"].__setitem__(0, 0.1),
    "history": lambda plain: term(plain, "joint_pos")["history_offsets"].reverse(),
    "joint order": lambda plain: term(plain, "joint_pos")["parameters"]["joints"].reverse(),
    "boot time": lambda plain: term(plain, "boot")["parameters"].update(duration_s=0.6),
    "kind": lambda plain: term(plain, "target_joint_pos").update(kind="reference_joint_vel"),
    "order of terms": swap_terms,
    "width": lambda plain: term(plain, "boot").update(width=2),
}
"""What observations and targets depend on."""
OTHERS: dict[str, Change] = {
    "gain": lambda plain: plain["robot"]["joints"][3].update(stiffness=990.0),
    "default pose": lambda plain: plain["robot"]["joints"][3].update(default_pos=2.0),
    "motor": lambda plain: plain["robot"]["joints"][3].update(motor_index=40),
    "frames": lambda plain: plain["reference"].update(frame_offsets=[0, 2, 4, 9, 16]),
    "limit": lambda plain: plain["safety"].update(tilt_limit_rad=3.0),
}


@pytest.mark.parametrize("name", ALIKE)
def test_a_change_made_in_all_copies_is_caught_by_the_recorded_steps(copied: Path, name: str) -> None:
    edit(copied, ALIKE[name], "network trace")
    policy = Policy.load(copied)
    with pytest.raises(DeployError):
        check_golden_trace(policy).require()


@pytest.mark.parametrize("name", [*ALIKE, *OTHERS])
def test_a_change_made_alike_in_both_copies_is_named_by_the_golden_trace(copied: Path, name: str) -> None:
    edit(copied, (ALIKE | OTHERS)[name], "network")
    policy = Policy.load(copied)
    with pytest.raises(DeployError, match=r"but .* when the golden trace was recorded"):
        check_golden_trace(policy)


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (lambda plain: plain.update(schema="other"), "schema"),
        (lambda plain: plain["policy"].update(normaliser_baked=False), "policy.normaliser_baked"),
        (lambda plain: plain["observation"].update(terms_without_sensor=["x"]), "observation.terms_without_sensor"),
        (lambda plain: plain["reference"].update(quaternion_order="xyzw"), "reference.quaternion_order"),
        (lambda plain: plain["safety"].update(on_invalid="hold"), "safety.on_invalid"),
        (lambda plain: plain["timing"].update(decimation=5), "timing.decimation"),
        (lambda plain: plain["reference"].update(rate_hz=60.0), "reference.rate_hz"),
        (lambda plain: plain["reference"].update(frame_offsets=[0, 4, 2]), "reference.frame_offsets"),
        (lambda plain: plain["reference"].update(look_ahead_s=0.1), "reference.look_ahead_s"),
        (lambda plain: plain["robot"]["joints"][2].update(stiffness=0.0), r"robot.joints\[2\].stiffness"),
        (lambda plain: plain["robot"]["joints"][2].update(motor_index=3), r"robot.joints\[2\].motor_index"),
    ],
)
def test_what_this_runtime_cannot_honour_is_refused_by_name(copied: Path, change: Change, field: str) -> None:
    edit(copied, change, "network trace")
    with pytest.raises(DeployError, match=rf"policy.json: {field}"):
        Policy.load(copied)


def test_a_trace_without_steps_or_with_nan_proves_nothing(copied: Path) -> None:
    with np.load(copied / "golden_trace.npz") as arrays:
        trace = {name: arrays[name] for name in arrays.files}
    for broken in ({"target": np.full_like(trace["target"], np.nan)}, {"action": trace["action"][:0]}):
        np.savez(copied / "golden_trace.npz", **(trace | broken))
        digest = sha256(copied / "golden_trace.npz")
        edit(copied, lambda plain, digest=digest: plain["golden_trace"].update(sha256=digest), "network")
        with pytest.raises(DeployError, match=f"'{next(iter(broken))}' is not"):
            check_golden_trace(Policy.load(copied))


def test_a_large_tolerance_does_not_help(copied: Path) -> None:
    def change(plain: dict[str, Any]) -> None:
        plain["golden_trace"].update(tolerance=1e9)
        ALIKE["scale"](plain)

    edit(copied, change, "network trace")
    with pytest.raises(DeployError, match="target differs by"):
        check_golden_trace(Policy.load(copied)).require()


def test_the_player_shows_what_training_showed(folder: Path) -> None:
    policy = Policy.load(folder)
    with np.load(folder / "golden_trace.npz") as trace:
        first, second = np.flatnonzero(trace["starts"]).tolist()
        shown = {name: trace[f"window.{name}"] for name in ("root_pos", "root_quat_wxyz", "joint_pos", "joint_vel")}
        bounds = {"sway30": (first, second), "sway50": (second, len(trace["starts"]))}
    still = np.zeros(3, np.float32)
    for name, (start, end) in bounds.items():
        clip = read_clip(folder, policy.contract, name)
        player = MotionPlayer(policy.contract, "hold")
        sensors = Sensors(clip.root_quat_wxyz[0], still, clip.joint_pos[0], clip.joint_vel[0], clip.root_pos[0], still)
        player.start(clip, sensors)
        for step in range(start, end):
            for quantity, values in shown.items():
                assert np.abs(getattr(player.window(), quantity) - values[step]).max() < 1e-5, (name, step, quantity)
            player.advance()
        assert end - start > 20


def test_an_observation_of_another_width_is_refused(folder: Path) -> None:
    policy = Policy.load(folder)
    with pytest.raises(DeployError, match=r"expected float32 \(623,\)"):
        policy(np.zeros(622, np.float32))
