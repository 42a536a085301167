"""Writes the folder of an exported policy: network, policy.json, robot, golden trace, motions. All of it or nothing."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import re
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import attrs
import numpy as np
import torch

from mtrack import MtrackError
from mtrack.loop.assemble import Assembly, assemble
from mtrack.registry.registry import Registry
from mtrack_deploy import DeployError, Policy, check_golden_trace
from mtrack_deploy.contract import METADATA_KEY, SCHEMA, Contract
from mtrack_deploy.policy import CONTRACT_FILE
from mtrack_eval.evaluated_run import EvalOptions, open_run
from mtrack_eval.motions import motions_at
from mtrack_export.contract import Facts, collect_contract
from mtrack_export.exported_run import ExportedRun, without_randomizations
from mtrack_export.network import (
    TOLERANCE,
    largest_difference,
    opset_of,
    policy_module,
    set_metadata,
    to_onnx,
)
from mtrack_export.replacing import replacing
from mtrack_export.robot_file import write_robot
from mtrack_export.trace import Arrays, record_trace

if TYPE_CHECKING:
    import onnx

NETWORK, TRACE, MOTIONS = "policy.onnx", "golden_trace.npz", "motions"
_SPREAD = 3.0
"""Factor of random observations around the recorded ones, with which ONNX and torch are compared."""


@attrs.frozen(kw_only=True)
class ExportOptions:
    """What to export."""

    actor: str = ""
    """Empty: the actor of the checkpoint's phase."""
    motions: Path | None = None
    """Motions in mtrack's format to export with the policy, instead of the run's."""
    with_motions: bool = False
    """Whether to export the run's motions with the policy."""
    files: Sequence[str] = ()
    """Local files of components."""
    allow_change: bool = False
    """Whether to export a policy even if recipe, versions or motions have changed since its training."""

    @property
    def evaluation(self) -> EvalOptions:
        """How to open the run."""
        return EvalOptions(
            actor=self.actor,
            motions=self.motions,
            files=tuple(self.files),
            allow_change=self.allow_change,
            overrides=('device="cpu"',),  # a robot's runtime runs on a CPU, too
        )


@contextmanager
def readable_motions(run: Path, options: ExportOptions) -> Iterator[ExportOptions]:
    """Give the options with motions in mtrack's format; others are imported for as long as the block runs."""
    if options.motions is None:
        yield options
        return
    registry = Registry.scan(files=options.files)
    robot = open_run(run, attrs.evolve(options.evaluation, motions=None), registry).recipe.robot.use
    with tempfile.TemporaryDirectory() as folder:
        yield attrs.evolve(options, motions=motions_at(options.motions, registry, robot, Path(folder)))


def export_policy(run: Path, out: Path, options: ExportOptions) -> Facts:
    """Export the newest policy of a run into a folder, and return policy.json.

    Raises MtrackError if the policy cannot run on a robot, or if the runtime does not reproduce it; nothing is written
    then, and an earlier export stays.
    """
    with replacing(out, is_export) as folder:
        opened = ExportedRun.open(run, options.evaluation)
        contract = collect_contract(opened, opened.trained.robot.build())
        contract["robot"] |= write_robot(folder, opened.trained)
        width = contract["observation"]["width"]
        module = policy_module(opened.agent, opened.actor, opened.group, width)
        network = to_onnx(module, width)
        trace = record_trace(opened, without_randomness(opened), contract)
        recorded = torch.from_numpy(trace["observation"])
        noise = torch.randn(recorded.shape, generator=torch.Generator().manual_seed(0))
        difference = largest_difference(network, module, torch.cat((recorded, recorded + _SPREAD * noise)))
        contract["motions"] = _write_motions(folder, opened) if options.with_motions or options.motions else []
        _write_trace(folder, trace, contract)
        contract["proof"] = {"torch_vs_onnx": difference, "date": datetime.now(UTC).date().isoformat()}
        _write_network(folder, network, contract)
        contract["proof"]["golden_trace"] = _proven(folder, contract)
        ordered = {field.name: contract[field.name] for field in dataclasses.fields(Contract)}
        (folder / CONTRACT_FILE).write_text(json.dumps(ordered, indent=1, allow_nan=False) + "\n", "utf-8")
    return contract


def is_export(folder: Path) -> bool:
    """Return whether a folder is a policy that `mtrack export` has written."""
    try:
        contract = json.loads((folder / CONTRACT_FILE).read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(contract, dict) and contract.get("schema") == SCHEMA


def without_randomness(run: ExportedRun) -> Assembly:
    """Return the assembled environment of a run without noise, randomizations and delays."""
    changes = without_randomizations(run.trained)
    if "max_delay" in run.trained.action.params:
        changes.append("action.max_delay=0")
    recipe = run.opened.changed(changes).recipe
    return assemble(recipe, run.checkpoint.phase, device=recipe.resolved_device, num_envs=1)


def _write_trace(folder: Path, trace: Arrays, contract: Facts) -> None:
    """Write the golden trace, and add to the contract what it says about it."""
    sha256 = _write(folder / TRACE, _npz(trace))
    contract["golden_trace"] = {"file": TRACE, "sha256": sha256, "steps": len(trace["action"]), "tolerance": TOLERANCE}


def _write_motions(folder: Path, run: ExportedRun) -> list[Facts]:
    """Write every clip as .npz; return what policy.json says about them."""
    (folder / MOTIONS).mkdir()
    motions: list[Facts] = []
    joints, rate = run.assembly.env.scene.model.joint_names, 1.0 / run.trained.control_dt
    for number in range(len(run.clip_frames())):
        clip = run.command.reference_clip(number)
        file = f"{MOTIONS}/{number:03d}_{re.sub(r'[^A-Za-z0-9_.-]+', '_', clip.name)[:60]}.npz"
        arrays: Arrays = {
            "root_pos": clip.root_pos.numpy(),
            "root_quat_wxyz": clip.root_quat_wxyz.numpy(),
            "joint_pos": clip.joint_pos.numpy(),
            "joint_vel": clip.joint_vel.numpy(),
            "joint_names": np.array(joints),
            "fps": np.array(rate),
        }
        motions.append(
            {
                "name": clip.name,
                "file": file,
                "sha256": _write(folder / file, _npz(arrays)),
                "source_sha256": clip.sha256,
                "frames": len(clip.root_pos),
            }
        )
    return motions


def _write_network(folder: Path, network: onnx.ModelProto, contract: Facts) -> None:
    """Write the network with a copy of the contract in its metadata, and add to the contract what it says about it."""
    contract["policy"] = {
        "file": NETWORK,
        "sha256": "",
        "opset": opset_of(network),
        "inputs": [_tensor(network.graph.input[0])],
        "outputs": [_tensor(network.graph.output[0])],
        "normaliser_baked": True,
    }
    set_metadata(network, {METADATA_KEY: json.dumps(contract, allow_nan=False)})
    contract["policy"]["sha256"] = _write(folder / NETWORK, network.SerializeToString())


def _proven(folder: Path, contract: Facts) -> Facts:
    """Replay the golden trace through the robot's runtime; return the largest differences. Raises MtrackError."""
    (folder / CONTRACT_FILE).write_text(json.dumps(contract), "utf-8")
    try:
        differences = check_golden_trace(Policy.load(folder))
        differences.require()
    except DeployError as error:
        raise MtrackError(f"the robot's runtime does not reproduce this policy: {error}") from error
    return {name: getattr(differences, name) for name in ("observation", "action", "target")}


def _tensor(value: onnx.ValueInfoProto) -> Facts:
    shape = [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
    return {"name": value.name, "shape": shape, "dtype": "float32"}


def _npz(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _write(file: Path, data: bytes) -> str:
    """Write a file and return its hash."""
    file.write_bytes(data)
    return hashlib.sha256(data).hexdigest()
