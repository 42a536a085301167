"""A folder is refused unless network, policy.json, motions and golden trace all belong together."""

from __future__ import annotations

import copy
import hashlib
import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest
from support.exported import exported_policy

from mtrack_deploy import DeployError, Policy, check_golden_trace, read_clip
from mtrack_deploy.contract import FREE, METADATA_KEY
from mtrack_deploy.policy import differing


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return exported_policy(tmp_path_factory)


@pytest.fixture
def folder(exported: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(exported, tmp_path / "policy"))


def edit(folder: Path, change: Callable[[dict[str, Any]], None], *, alike: bool = False) -> None:
    """Change policy.json, and, if `alike`, its copy in the network, too."""
    plain = json.loads((folder / "policy.json").read_text("utf-8"))
    change(plain)
    if alike:
        network = onnx.load(folder / "policy.onnx")
        (entry,) = [one for one in network.metadata_props if one.key == METADATA_KEY]
        entry.value = json.dumps(plain)
        onnx.save(network, folder / "policy.onnx")
        plain["policy"]["sha256"] = hashlib.sha256((folder / "policy.onnx").read_bytes()).hexdigest()
    (folder / "policy.json").write_text(json.dumps(plain), "utf-8")


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


def test_the_exported_folder_reproduces_training(exported: Path) -> None:
    policy = Policy.load(exported)
    differences = check_golden_trace(policy)
    differences.require()
    assert 0.0 < differences.observation < 1.0
    assert policy.contract.action.expected_delay_s == [0.0, pytest.approx(0.015)]
    assert read_clip(exported, policy.contract, "sway50").joint_pos.shape[1] == 29


def test_every_changed_field_is_named_with_both_values(exported: Path) -> None:
    plain = json.loads((exported / "policy.json").read_text("utf-8"))
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


def test_a_changed_gain_is_refused_by_name(folder: Path) -> None:
    edit(folder, lambda plain: plain["robot"]["joints"][3].update(stiffness=1.5))
    with pytest.raises(DeployError, match=r"robot\.joints\[3\]\.stiffness: 1\.5, but 99\.09\d* in the network"):
        Policy.load(folder)


def test_provenance_and_proof_may_differ(folder: Path) -> None:
    edit(folder, lambda plain: plain["provenance"].update(run_id="other"))
    Policy.load(folder)


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
def test_a_malformed_contract_names_its_field(folder: Path, field: Callable[[Any], None], message: str) -> None:
    edit(folder, field)
    with pytest.raises(DeployError, match=message):
        Policy.load(folder)


@pytest.mark.parametrize("name", ["policy.onnx", "golden_trace.npz", "motions/000_sway30.npz"])
def test_a_changed_file_is_refused(folder: Path, name: str) -> None:
    (folder / name).write_bytes((folder / name).read_bytes() + b" ")
    with pytest.raises(DeployError, match=f"{name} has changed"):
        policy = Policy.load(folder)
        check_golden_trace(policy)
        read_clip(folder, policy.contract, "sway30")


def term(plain: Any, name: str) -> Any:
    return next(one for one in plain["observation"]["terms"] if one["name"] == name)


def swap_terms(plain: Any) -> None:
    """Exchange two neighbouring terms of equal width."""
    terms = plain["observation"]["terms"]
    at = next(i for i, one in enumerate(terms) if one["name"] == "root_ang_vel")
    first, second = terms[at], terms[at + 1]
    assert first["width"] == second["width"] == 3
    terms[at : at + 2] = [second | {"start": first["start"]}, first | {"start": second["start"]}]


ALIKE: dict[str, Callable[[Any], None]] = {
    "scale": lambda plain: plain["action"]["scale"].__setitem__(3, plain["action"]["scale"][3] * 1.01),
    "action joints": lambda plain: plain["action"]["joints"].reverse(),
    "clip": lambda plain: plain["action"].update(clip=1e-4),
    "filter": lambda plain: plain["action"].update(filter_alpha=0.8),
    "boot hold": lambda plain: plain["action"].update(boot_hold_s=0.0),
    "feedforward": lambda plain: plain["action"]["velocity_feedforward_s"].__setitem__(0, 0.0),
    "mode": lambda plain: plain["action"].update(mode="default_relative"),
    "offset": lambda plain: plain["action"]["offset"].__setitem__(0, 0.1),
    "control rate": lambda plain: plain["timing"].update(control_dt=0.01),
    "frames": lambda plain: plain["reference"].update(frame_offsets=[0, 2, 4, 8, 15]),
    "history": lambda plain: term(plain, "joint_pos")["history_offsets"].reverse(),
    "joint order": lambda plain: term(plain, "joint_pos")["parameters"]["joints"].reverse(),
    "boot time": lambda plain: term(plain, "boot")["parameters"].update(duration_s=0.6),
    "kind": lambda plain: term(plain, "target_joint_pos").update(kind="reference_joint_vel"),
    "order of terms": swap_terms,
    "width": lambda plain: term(plain, "boot").update(width=2),
}


@pytest.mark.parametrize("name", ALIKE)
def test_a_change_made_alike_in_both_copies_is_caught_by_the_golden_trace(folder: Path, name: str) -> None:
    edit(folder, ALIKE[name], alike=True)
    policy = Policy.load(folder)
    with pytest.raises(DeployError):
        check_golden_trace(policy).require()


def test_a_change_that_no_target_depends_on_passes_in_both_copies(folder: Path) -> None:
    edit(folder, lambda plain: plain["safety"].update(tilt_limit_rad=0.9), alike=True)
    check_golden_trace(Policy.load(folder)).require()


def test_an_observation_of_another_width_is_refused(exported: Path) -> None:
    import numpy as np

    policy = Policy.load(exported)
    with pytest.raises(DeployError, match=r"expected float32 \(623,\)"):
        policy(np.zeros(622, np.float32))
