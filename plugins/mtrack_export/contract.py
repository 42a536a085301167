"""Collects policy.json: everything that a robot has to know about a policy (the field table is in docs/export.md)."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import mujoco
import numpy as np

from mtrack import MtrackError, Robot, RobotAction, RobotModel, RobotTerm
from mtrack.api.abilities import NeedsSensors
from mtrack.recipe.slots import ObservationSlot
from mtrack.run.manifest import recipe_sha256
from mtrack_deploy.contract import SCHEMA, SCHEMA_VERSION
from mtrack_export.exported_run import ExportedRun

Facts = dict[str, Any]

_BLEND_S = 2.0
_TARGET_MARGIN = 0.5  # rad; policies lean on joint limits, e.g. the waist in a deep squat
_SLEW_FACTOR = 1.5  # noise alone asks for faster targets than joints can move
_START_DISTANCE = 0.3  # rad; training starts within a tenth of that
_TILT_LIMIT = 1.0  # rad
_TORQUE_SHARE = 0.98
_DAMPING = 8.0  # N m s/rad
_ESTIMATED = ("root_position", "root_velocity")
_FORCE = ("contact_force", "joint_torque")


def collect_contract(run: ExportedRun, robot: Robot) -> Facts:
    """Return policy.json without the files: they are added when they are written. Raises MtrackError."""
    model, compiled = robot.model(), robot.spec().compile()
    action: RobotAction = run.assembly.components["action"].robot_action()
    terms = _terms(run)
    anchors = {term["parameters"]["anchor"] for term in terms if "anchor" in term["parameters"]}
    timing = {
        "control_dt": run.trained.control_dt,
        "physics_dt": run.trained.physics_dt,
        "decimation": run.assembly.env.scene.decimation,
    }
    needed = {sensor for term in terms for sensor in term["sensors"]}
    return {
        "schema": SCHEMA,
        "schema_version": SCHEMA_VERSION,
        "robot": {
            "name": model.name,
            "total_mass_kg": model.mass,
            "root_height": float(model.default_root_pos[2]),
            "joints": _joints(model, compiled),
            "chains": {anchor: _chain(compiled, model.body_names[0], anchor) for anchor in sorted(anchors)},
        },
        "timing": timing,
        "observation": {
            "width": run.assembly.layout.observations[run.group],
            "terms": terms,
            "needs_state_estimation": bool(needed & set(_ESTIMATED)),
            "needs_force_sensor": bool(needed & set(_FORCE)),
            "terms_without_sensor": [],
        },
        "action": _action(action, run.trained.physics_dt),
        "reference": {
            "frame_offsets": list(run.command.future_frames),
            "look_ahead_s": max(run.command.future_frames) * run.trained.control_dt,
            "rate_hz": 1.0 / run.trained.control_dt,
            "anchor_body": model.body_names[0],
            "alignment": ["yaw", "x", "y"],
            "quaternion_order": "wxyz",
            "at_end": "hold",
            "blend_s": _BLEND_S,
        },
        "safety": {
            "target_margin_rad": _TARGET_MARGIN,
            "slew_factor": _SLEW_FACTOR,
            "start_distance_rad": _START_DISTANCE,
            "tilt_limit_rad": _TILT_LIMIT,
            "torque_share": _TORQUE_SHARE,
            "damping_kd": _DAMPING,
            "on_invalid": "damping",
        },
        "provenance": _provenance(run),
    }


def _terms(run: ExportedRun) -> list[Facts]:
    terms: list[Facts] = []
    start = 0
    widths = {term.path: term.width for term in run.assembly.env.observer.terms()}
    for slot in run.trained.observations[run.group].values():
        component = run.assembly.components[slot.path]
        term = _term(slot, component.robot_term(), component, start)
        if term["width"] != widths[slot.path]:
            raise MtrackError(
                f"{slot}: robot_term() names {len(term['columns'])} columns, but the term is {widths[slot.path]} wide"
            )
        terms.append(term)
        start += term["width"]
    return terms


def _term(slot: ObservationSlot, term: RobotTerm, component: Any, start: int) -> Facts:
    return {
        "name": slot.path.rpartition(".")[2],
        "kind": term.kind,
        "start": start,
        "width": len(term.columns) * max(1, len(slot.history)),
        "columns": list(term.columns),
        "unit": term.unit,
        "frame": term.frame,
        "sensors": list(component.sensors) if isinstance(component, NeedsSensors) else [],
        "parameters": dict(term.parameters),
        "history_offsets": list(slot.history),
        "fill_at_reset": "first",
        "noise_in_training": float(slot.noise),
    }


def _action(action: RobotAction, physics_dt: float) -> Facts:
    return {
        "mode": action.mode,
        "joints": list(action.joints),
        "scale": list(action.scale),
        "offset": list(action.offset),
        "velocity_feedforward_s": list(action.velocity_feedforward),
        "clip": action.clip,
        "filter_alpha": action.filter_alpha,
        "filter_period_s": physics_dt,
        "boot_hold_s": action.boot_hold * physics_dt,
        "expected_delay_s": [0.0, action.max_delay * physics_dt],
    }


def _joints(model: RobotModel, compiled: mujoco.MjModel) -> list[Facts]:
    motors = model.motor_indices or range(len(model.joint_names))
    joints = []
    for index, name in enumerate(model.joint_names):
        lower, upper = model.joint_range[index].tolist()
        facts: Facts = {
            "name": name,
            "motor_index": motors[index],
            "default_pos": float(model.default_joint_pos[index]),
            "armature": float(compiled.dof_armature[compiled.joint(name).dofadr[0]]),
            "lower": lower,
            "upper": upper,
        }
        limits = ("stiffness", "damping", "effort_limit", "velocity_limit")
        joints.append(facts | {key: float(getattr(model, key)[index]) for key in limits})
    return joints


def _chain(compiled: mujoco.MjModel, root: str, anchor: str) -> list[Facts]:
    """Return the bodies from below the root to an anchor. Raises MtrackError if a robot cannot follow them."""
    links: list[Facts] = []
    body = compiled.body(anchor)
    while body.name != root:
        if body.id == 0:
            raise MtrackError(f"anchor '{anchor}' is not a part of the robot '{root}'")
        joint = compiled.joint(int(body.jntadr[0])) if body.jntnum[0] else None
        if joint is not None and (
            body.jntnum[0] > 1 or joint.type[0] != mujoco.mjtJoint.mjJNT_HINGE or joint.pos.any()
        ):
            raise MtrackError(f"anchor '{anchor}': body '{body.name}' is not moved by one hinge at its origin")
        links.append(
            {
                "body": body.name,
                "pos": body.pos.tolist(),
                "quat_wxyz": body.quat.tolist(),
                "joint": joint.name if joint is not None else "",
                "axis": np.asarray(joint.axis).tolist() if joint is not None else [0.0, 0.0, 1.0],
            }
        )
        body = compiled.body(int(body.parentid[0]))
    return links[::-1]


def _provenance(run: ExportedRun) -> Facts:
    manifest = run.checkpoint.manifest
    return {
        "mtrack": metadata.version("mtrack"),
        "distributions": manifest["distributions"],
        "recipe": manifest["recipe"],
        "recipe_sha256": recipe_sha256(run.opened.trained_with),
        "run_id": manifest["run_id"],
        "actor": run.actor,
        "phase": run.checkpoint.phase,
        "frames": run.checkpoint.frames,
    }
