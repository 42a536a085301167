"""Checks that this runtime does what policy.json asks for, and that its numbers make sense."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from mtrack_deploy.contract import SCHEMA, Contract
from mtrack_deploy.errors import DeployError, brief

_SMALL = 1e-9


def require_supported(file: Path, contract: Contract) -> None:
    """Raise DeployError with the name of the first field that has a value this runtime cannot honour."""
    reference, observation = contract.reference, contract.observation
    allowed: dict[str, tuple[Any, tuple[Any, ...]]] = {
        "schema": (contract.schema, (SCHEMA,)),
        "policy.normaliser_baked": (contract.policy.normaliser_baked, (True,)),
        "observation.terms_without_sensor": (observation.terms_without_sensor, ([],)),
        "observation.needs_force_sensor": (observation.needs_force_sensor, (False,)),
        "reference.alignment": (reference.alignment, (["yaw", "x", "y"],)),
        "reference.quaternion_order": (reference.quaternion_order, ("wxyz",)),
        "reference.at_end": (reference.at_end, ("hold", "stand")),
        "safety.on_invalid": (contract.safety.on_invalid, ("damping",)),
    }
    for field, (value, values) in allowed.items():
        if value not in values:
            raise DeployError(
                f"{file}: {field} is {brief(value)}; this runtime knows {' and '.join(map(repr, values))}"
            )
    for field, value in _inconsistent(contract):
        raise DeployError(
            f"{file}: {field} is {brief(value)}, which does not fit the other fields; export the policy again"
        )


def _inconsistent(contract: Contract) -> list[tuple[str, Any]]:
    """Return fields that contradict others, or that no robot can have."""
    timing, reference, joints = contract.timing, contract.reference, contract.robot.joints
    offsets = reference.frame_offsets
    found: list[tuple[str, Any]] = []
    if not timing.physics_dt > 0.0 or abs(timing.decimation * timing.physics_dt - timing.control_dt) > _SMALL:
        found.append(("timing.decimation", timing.decimation))
    if abs(reference.rate_hz * timing.control_dt - 1.0) > _SMALL:
        found.append(("reference.rate_hz", reference.rate_hz))
    if not offsets or offsets[0] != 0 or sorted(set(offsets)) != offsets:
        found.append(("reference.frame_offsets", offsets))
    elif abs(offsets[-1] * timing.control_dt - reference.look_ahead_s) > _SMALL:
        found.append(("reference.look_ahead_s", reference.look_ahead_s))
    motors = [joint.motor_index for joint in joints]
    for index, joint in enumerate(joints):
        for name in ("stiffness", "effort_limit", "velocity_limit"):
            value = getattr(joint, name)
            if not (0.0 < value < math.inf):
                found.append((f"robot.joints[{index}].{name} ('{joint.name}')", value))
        if not (0.0 <= joint.damping < math.inf):
            found.append((f"robot.joints[{index}].damping ('{joint.name}')", joint.damping))
        if not joint.lower < joint.upper:
            found.append((f"robot.joints[{index}].lower ('{joint.name}')", joint.lower))
        if motors.count(joint.motor_index) > 1:
            found.append((f"robot.joints[{index}].motor_index ('{joint.name}')", joint.motor_index))
    return found
