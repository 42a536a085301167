"""The golden trace: steps recorded in training's simulation that this or any other runtime must reproduce."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mtrack_deploy.action import ActionDecoder
from mtrack_deploy.errors import DeployError
from mtrack_deploy.observation import ObservationBuilder
from mtrack_deploy.policy import Policy, require_hash
from mtrack_deploy.rotations import Array
from mtrack_deploy.sensors import Sensors, Window

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
    """Return the arrays of a policy's trace. Raises DeployError if its file is missing or changed."""
    contract = policy.contract
    file = policy.folder / contract.golden_trace.file
    require_hash(file, contract.golden_trace.sha256, "golden_trace.sha256")
    with np.load(file, allow_pickle=False) as arrays:
        return {name: arrays[name] for name in arrays.files}


def sensors_at(trace: Mapping[str, Array], step: int) -> Sensors:
    """Return the readings of a step of a trace."""
    return Sensors(**{name: trace[f"sensors.{name}"][step] for name in _SENSORS})


def check_golden_trace(policy: Policy) -> TraceDifferences:
    """Replay the trace of a policy through this runtime. Raises DeployError if its file is missing or changed."""
    contract, trace = policy.contract, read_trace(policy)
    _require_same_window(trace, policy)
    tolerance = contract.golden_trace.tolerance
    builder, decoder = ObservationBuilder(contract), ActionDecoder(contract)
    terms = {term.name: slice(term.start, term.start + term.width) for term in contract.observation.terms}
    observed, acted, targeted, by_term = 0.0, 0.0, 0.0, dict.fromkeys(terms, 0.0)
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


def _require_same_window(trace: dict[str, Array], policy: Policy) -> None:
    """Raise DeployError if policy.json asks for other frames of the reference than the trace shows."""
    reference, timing = policy.contract.reference, policy.contract.timing
    for name, ours, theirs in (
        ("reference.frame_offsets", reference.frame_offsets, trace["frame_offsets"].tolist()),
        ("reference.rate_hz", round(reference.rate_hz, 6), round(1.0 / float(trace["control_dt"]), 6)),
        ("timing.control_dt", round(timing.control_dt, 9), round(float(trace["control_dt"]), 9)),
    ):
        if ours != theirs:
            raise DeployError(f"{name} is {ours}, but the golden trace was recorded with {theirs}")


def _excess(found: Array, wanted: Array, tolerance: float) -> float:
    """Return the largest difference in units of tolerance * (1 + |wanted|); infinite if a value is not finite."""
    if not np.isfinite(found).all():
        return float("inf")
    return float((np.abs(found - wanted) / (tolerance * (1.0 + np.abs(wanted)))).max())
