"""A policy in a folder: policy.json, the network, motions. Nothing is used before it has been checked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import onnxruntime

from mtrack_deploy.agreement import describe_differences, differing, require_hash
from mtrack_deploy.contract import METADATA_KEY, Contract
from mtrack_deploy.errors import DeployError
from mtrack_deploy.reading import read_contract
from mtrack_deploy.rotations import Array
from mtrack_deploy.supported import require_supported

CONTRACT_FILE = "policy.json"


class Policy:
    """A network with its contract; call it with an observation [width] to get the raw action [A]."""

    def __init__(
        self, folder: Path, contract: Contract, plain: Mapping[str, Any], session: onnxruntime.InferenceSession
    ) -> None:
        """Use `Policy.load`."""
        self.folder, self.contract, self.plain = folder, contract, plain
        self._session = session
        self._input, self._output = contract.policy.inputs[0].name, contract.policy.outputs[0].name

    @classmethod
    def load(cls, folder: Path | str) -> Policy:
        """Read and check a folder that `mtrack export` has written.

        Raises DeployError if a file is missing or changed, if policy.json differs from its copy in the network (each
        field is named, with both values), if the network has other inputs or outputs, or if this runtime does not do
        what policy.json asks for.
        """
        folder = Path(folder)
        contract, plain = read_contract(folder / CONTRACT_FILE)
        network = folder / contract.policy.file
        require_hash(network, contract.policy.sha256, "policy.sha256")
        session = open_network(network)
        _require_same(folder, plain, session.get_modelmeta().custom_metadata_map.get(METADATA_KEY))
        _require_shapes(network, contract, session)
        require_supported(folder / CONTRACT_FILE, contract)
        return cls(folder, contract, plain, session)

    def __call__(self, observation: Array) -> Array:
        """Return the raw action [A]. Raises DeployError if the observation has another width, or is not float32."""
        width = self.contract.observation.width
        if observation.shape != (width,) or observation.dtype != np.float32:
            raise DeployError(
                f"the observation is {observation.dtype} {observation.shape}; expected float32 ({width},)"
            )
        (actions,) = self._session.run([self._output], {self._input: observation[None]})
        action: Array = actions[0]
        return action

    def with_gains(self, stiffness: float, damping: float) -> Self:
        """Return this policy for motors whose gains are multiplied by two factors."""
        robot = self.contract.robot
        joints = [
            replace(joint, stiffness=stiffness * joint.stiffness, damping=damping * joint.damping)
            for joint in robot.joints
        ]
        changed = copy(self)
        changed.contract = replace(self.contract, robot=replace(robot, joints=joints))
        return changed


def open_network(file: Path) -> onnxruntime.InferenceSession:
    """Return a session of a network on one thread. Raises DeployError."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1  # a small network: threads only add latency
    try:
        return onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    except Exception as error:  # onnxruntime has no exception that all of its errors share
        raise DeployError(f"{file}: onnxruntime cannot load it: {error}") from None


def _require_same(folder: Path, plain: Mapping[str, Any], copy: str | None) -> None:
    """Raise DeployError unless policy.json agrees with its copy in the network."""
    try:
        theirs = json.loads(copy or "")
    except ValueError:
        raise DeployError(f"{folder}: the network has no copy of policy.json in its metadata: export again") from None
    differences = differing(plain, theirs)
    if differences:
        listed = describe_differences(differences, "in the network")
        raise DeployError(f"{folder / CONTRACT_FILE} differs from its copy in the network:\n{listed}")


def _require_shapes(network: Path, contract: Contract, session: onnxruntime.InferenceSession) -> None:
    """Raise DeployError unless the network has the inputs and outputs of policy.json, and those its width."""
    for what, declared, found in (
        ("input", contract.policy.inputs, session.get_inputs()),
        ("output", contract.policy.outputs, session.get_outputs()),
    ):
        ours = [(one.name, one.shape, f"tensor({one.dtype.removesuffix('32')})") for one in declared]
        theirs = [(one.name, one.shape, one.type) for one in found]
        if ours != theirs or len(ours) != 1:
            raise DeployError(f"{network}: {what}s are {theirs}, but policy.json has {ours}")
    for what, shape, width in (
        ("observation.width", contract.policy.inputs[0].shape, contract.observation.width),
        ("the number of action.joints", contract.policy.outputs[0].shape, len(contract.action.joints)),
    ):
        if shape != [1, width]:
            raise DeployError(f"{network}: {what} is {width}, but the network has {shape}")
