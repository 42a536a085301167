"""Every first-party component keeps the contract of its kind."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.clips import swaying_clip
from support.pickles import asap_motion, joblib_dump
from support.skeletons import walking_person, write_bvh
from support.small_biped import biped_xml

from mtrack.api.kinds import KINDS
from mtrack.registry.registry import Entry, Registry
from mtrack_motion.file import write_clip
from mtrack_ppo.actor_critic import ActorCritic
from mtrack_testing import check_component, check_phase, check_task

REGISTRY = Registry.scan(allow=())
ENTRIES = [entry for entry in REGISTRY.entries if entry.kind in KINDS]


def one_clip(folder: Path) -> dict[str, Any]:
    write_clip(folder / "sway.npz", swaying_clip())
    return {"path": folder}


def one_pickle(folder: Path) -> dict[str, Any]:
    (folder / "one.pkl").write_bytes(joblib_dump({"walk": asap_motion()}))
    return {"sample": folder / "one.pkl", "fill_missing": True}


def one_table(folder: Path) -> dict[str, Any]:
    clip = swaying_clip(5)
    rows = zip(clip.root_pos, clip.root_quat_wxyz[:, [1, 2, 3, 0]], clip.joint_pos, strict=True)
    text = "".join(",".join(f"{value:.9g}" for part in row for value in part) + "\n" for row in rows)
    (folder / "walk.csv").write_text(text)
    return {"sample": folder / "walk.csv"}


def small_robot(folder: Path) -> dict[str, Any]:
    (folder / "small.xml").write_text(biped_xml())
    return {"path": folder / "small.xml"}


def one_person(folder: Path) -> dict[str, Any]:
    motion = walking_person()
    np.savez(folder / "walk.npz", positions=motion.pos, joint_names=np.array(motion.joint_names), fps=np.array(30.0))
    return {"sample": folder / "walk.npz"}


def one_bvh(folder: Path) -> dict[str, Any]:
    body = "HIERARCHY\nROOT Hips\n{\nOFFSET 0 0 0\nCHANNELS 3 Xposition Yposition Zrotation\n}"
    return {"sample": write_bvh(folder / "walk.bvh", body, [[0.0, 1.0, 2.0]] * 3)}


PARAMETERS: dict[str, Callable[[Path], dict[str, Any]]] = {
    "mjcf": small_robot,
    "motion_files": one_clip,
    "asap_pickle": one_pickle,
    "unitree_csv": one_table,
    "bvh": one_bvh,
    "joint_positions": one_person,
}
EXTRAS = {"mujoco_warp": "gpu", "tensorboard": "tensorboard", "wandb": "wandb"}
"""Components that need an optional package of the same name, and the extra that installs it."""
DEPENDS_ON = {"compliance": ("g1_tracking_quick", "num_envs=6", "randomizations.compliance={}")}
"""Components that change the output of another one, and the task to check them in."""
AGENTS = {"ppo": partial(ActorCritic, critic_group="critic_priv", actor_hidden=(16,), critic_hidden=(16,))}
"""Phases that train another agent than `teacher_student`, and that agent for the toy task."""


@pytest.mark.parametrize("entry", ENTRIES, ids=lambda entry: f"{entry.kind}-{entry.name}")
def test_keeps_its_contract(entry: Entry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if entry.name in EXTRAS and find_spec(entry.name) is None:
        pytest.skip(f"needs the extra mtrack[{EXTRAS[entry.name]}]")
    monkeypatch.setenv("WANDB_MODE", "offline")
    if entry.name in DEPENDS_ON:
        assert check_task(*DEPENDS_ON[entry.name]).checks
        return
    if entry.kind == "phase" and entry.name in AGENTS:
        assert check_phase(REGISTRY.load(entry), AGENTS[entry.name]()).checks
        return
    parameters = PARAMETERS.get(entry.name, lambda folder: {})(tmp_path)
    report = check_component(REGISTRY.load(entry), entry.kind, **parameters)
    assert report.checks
