"""The golden trace: steps recorded in training's simulation that this or any other runtime must reproduce."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mtrack_deploy.action import ActionDecoder
from mtrack_deploy.agreement import describe_differences, differing, require_hash
from mtrack_deploy.arrays import read_arrays, require_numbers
from mtrack_deploy.contract import Contract
from mtrack_deploy.errors import DeployError
from mtrack_deploy.observation import ObservationBuilder
from mtrack_deploy.policy import Policy
from mtrack_deploy.rotations import Array
from mtrack_deploy.sensors import Sensors, Window

LARGEST_TOLERANCE = 1e-5
"""Bound of the tolerance that policy.json may give."""
_SENSORS = ("root_quat_wxyz", "root_ang_vel", "joint_pos", "joint_vel", "root_pos", "root_lin_vel")
_WINDOW = ("root_pos", "root_quat_wxyz", "joint_pos", "joint_vel")


@dataclass(frozen=True)
class TraceDifferences:
    """Largest differences from the trace, each as a multiple of its tolerance (1 is the limit), and where it is."""

    observation: float
    worst_term: str
    action: float
    target: float

    def require(self) -> None:
        """Raise DeployError unless all are within the tolerance."""
        for name, value in (("observation", self.observation), ("action", self.action), ("target", self.target)):
            if not value <= 1.0:
                where = f", most in term '{self.worst_term}'" if name == "observation" else ""
                raise DeployError(
                    f"the golden trace is not reproduced: {name} differs by {value:.3g} times the tolerance{where}; "
                    "policy.json does not describe this policy: export it again"
                )


def read_trace(policy: Policy) -> dict[str, Array]:
    """Return the arrays of a policy's trace.

    Raises DeployError if its file is missing or changed, if it was recorded with another contract, or if a value is
    missing or not finite.
    """
    golden = policy.contract.golden_trace
    file = policy.folder / golden.file
    require_hash(file, golden.sha256, "golden_trace.sha256")
    trace = read_arrays(file, "a golden trace of this version")
    try:
        recorded = json.loads(str(trace.pop("contract")))
    except (ValueError, KeyError, RecursionError):
        recorded = None
    if not isinstance(recorded, dict):
        raise DeployError(f"{file}: it lacks the contract that it was recorded with; export the policy again")
    require_numbers(file, trace, _shapes(policy.contract))
    _require_recorded_with(file, recorded, policy)
    return trace


def _shapes(contract: Contract) -> dict[str, tuple[int, ...]]:
    """Return the shape of every array of a trace. Raises DeployError if it has no steps."""
    steps, joints = contract.golden_trace.steps, len(contract.robot.joints)
    if steps < 1:
        raise DeployError(f"golden_trace.steps is {steps}, but a trace has at least one; export the policy again")
    widths = {"root_pos": 3, "root_quat_wxyz": 4, "joint_pos": joints, "joint_vel": joints}
    sensed = {**widths, "root_ang_vel": 3, "root_lin_vel": 3}
    shapes: dict[str, tuple[int, ...]] = {f"sensors.{name}": (steps, sensed[name]) for name in _SENSORS}
    shapes |= {f"window.{name}": (steps, len(contract.reference.frame_offsets), widths[name]) for name in _WINDOW}
    shapes |= {"starts": (steps,), "observation": (steps, contract.observation.width)}
    shapes |= {"action": (steps, len(contract.action.joints)), "target": (steps, contract.timing.decimation, joints)}
    return shapes


def _require_recorded_with(file: Path, recorded: Mapping[str, Any], policy: Policy) -> None:
    """Raise DeployError if policy.json differs from what a trace was recorded with."""
    differences = differing({name: policy.plain.get(name) for name in recorded}, recorded)
    if differences:
        listed = describe_differences(differences, "when the golden trace was recorded")
        raise DeployError(f"{file}: policy.json has changed since:\n{listed}")


def sensors_at(trace: Mapping[str, Array], step: int) -> Sensors:
    """Return the readings of a step of a trace."""
    return Sensors(**{name: trace[f"sensors.{name}"][step] for name in _SENSORS})


def check_golden_trace(policy: Policy) -> TraceDifferences:
    """Replay the trace of a policy through this runtime. Raises DeployError if its file is missing or changed."""
    contract, trace = policy.contract, read_trace(policy)
    tolerance = min(contract.golden_trace.tolerance, LARGEST_TOLERANCE)
    builder, decoder = ObservationBuilder(contract), ActionDecoder(contract)
    terms = {term.name: slice(term.start, term.start + term.width) for term in contract.observation.terms}
    acted, targeted, by_term = 0.0, 0.0, dict.fromkeys(terms, 0.0)
    for step in range(len(trace["action"])):
        sensors = sensors_at(trace, step)
        window = Window(**{name: trace[f"window.{name}"][step] for name in _WINDOW})
        if trace["starts"][step]:
            builder.reset()
            decoder.reset(sensors.joint_pos, window)
        observation = builder.observe(sensors, window)
        wanted = trace["observation"][step]
        for name, columns in terms.items():
            by_term[name] = max(by_term[name], _excess(observation[columns], wanted[columns], tolerance))
        action = policy(observation)
        acted = max(acted, _excess(action, trace["action"][step], tolerance))
        # the recorded action: an error must not add up over the steps
        builder.add_action(decoder.apply(trace["action"][step], window))
        for substep in range(contract.timing.decimation):
            targeted = max(targeted, _excess(decoder.target(), trace["target"][step][substep], tolerance))
    observed, worst = max((value, name) for name, value in by_term.items())
    return TraceDifferences(observed, worst, acted, targeted)


def _excess(found: Array, wanted: Array, tolerance: float) -> float:
    """Return the largest difference in units of tolerance * (1 + |wanted|); infinite if a value is not finite."""
    if not np.isfinite(found).all():
        return float("inf")
    return float((np.abs(found - wanted) / (tolerance * (1.0 + np.abs(wanted)))).max())
