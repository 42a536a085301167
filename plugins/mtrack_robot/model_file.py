"""Loads a robot's MJCF or URDF as a description without actuators, sensors, floor and missing meshes."""

from __future__ import annotations

from pathlib import Path

import attrs
import mujoco

from mtrack import MtrackError
from mtrack_robot.urdf import prepare_urdf

FREE_JOINT = "floating_base_joint"
_HINGE, _FREE = mujoco.mjtJoint.mjJNT_HINGE, mujoco.mjtJoint.mjJNT_FREE
_TRUE, _FALSE = mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_TRUE, mujoco.mjtInertiaFromGeom.mjINERTIAFROMGEOM_FALSE


@attrs.frozen(kw_only=True)
class Actuation:
    """What a model file says about the motor of one joint; None: nothing."""

    effort: float | None = None
    """[N m]."""
    velocity: float | None = None
    """[rad/s]."""
    stiffness: float | None = None
    """[N m/rad]."""
    damping: float | None = None
    """[N m s/rad]."""


@attrs.frozen(kw_only=True)
class ModelFile:
    """A robot's model file, as loaded."""

    spec: mujoco.MjSpec
    """With one free root and named joints; without actuators, sensors, keyframes, and floor."""
    root: str
    actuation: dict[str, Actuation]
    """By joint."""
    keyframes: dict[str, dict[str, float]]
    """Angle by joint [rad], by name of the keyframe."""
    missing_files: tuple[str, ...]
    """Mesh files that do not exist; their shapes are left out."""
    had_free_joint: bool


def load_model(path: Path) -> ModelFile:
    """Load a robot from MJCF or URDF. Raises MtrackError.

    The file may include any other file: it is trusted like code.
    """
    spec, velocity, missing = _read(path)
    had_free_joint = any(joint.type == _FREE for joint in spec.joints) and path.suffix.lower() != ".urdf"
    root = _free_root(spec, path)
    _name_all(spec)
    _require_hinges(spec, path)
    missing = (*missing, *_drop_missing_meshes(spec, path))
    try:
        compiled = spec.compile()
    except ValueError as error:
        raise MtrackError(f"the robot {path} does not compile: {error}") from error
    actuation, keyframes = _actuation(compiled, velocity), _keyframes(compiled)
    _keep_masses(spec, compiled)
    for element in (*spec.actuators, *spec.sensors, *spec.keys):
        spec.delete(element)
    for geom in list(spec.worldbody.geoms):
        if geom.type == mujoco.mjtGeom.mjGEOM_PLANE:  # replaced by a floor with known contacts
            spec.delete(geom)
    return ModelFile(
        spec=spec,
        root=root,
        actuation=actuation,
        keyframes=keyframes,
        missing_files=missing,
        had_free_joint=had_free_joint,
    )


def _read(path: Path) -> tuple[mujoco.MjSpec, dict[str, float], tuple[str, ...]]:
    if not path.is_file():
        raise MtrackError(f"cannot read the robot {path}: no such file")
    try:
        if path.suffix.lower() == ".urdf":
            prepared = prepare_urdf(path)
            return mujoco.MjSpec.from_string(prepared.text), prepared.velocity, prepared.missing_meshes
        return mujoco.MjSpec.from_file(str(path)), {}, ()
    except ValueError as error:
        raise MtrackError(f"cannot read the robot {path}: {error}") from error


def _free_root(spec: mujoco.MjSpec, path: Path) -> str:
    """Return the name of the root; a root without a free joint gets one."""
    tops = [body for body in spec.worldbody.bodies if any(_moving_joints(body))]
    if len(tops) != 1:
        names = ", ".join(f"'{body.name}'" for body in tops) or "none"
        raise MtrackError(f"the robot {path} must have one body in the world with joints below it; it has {names}")
    root = tops[0]
    root.name = root.name or "root"
    free = [joint for joint in root.joints if joint.type == _FREE]
    if free:
        free[0].name = free[0].name or FREE_JOINT
    elif root.joints:
        raise MtrackError(
            f"the root '{root.name}' of the robot {path} has the joint '{root.joints[0].name}', which is not a free "
            "joint: mtrack needs a robot that moves freely; replace it by <freejoint/>"
        )
    else:
        root.add_freejoint(name=FREE_JOINT)
    return str(root.name)


def _moving_joints(body: mujoco.MjsBody) -> list[mujoco.MjsJoint]:
    return [*body.joints, *(joint for child in body.bodies for joint in _moving_joints(child))]


def _name_all(spec: mujoco.MjSpec) -> None:
    for number, body in enumerate(spec.bodies):
        body.name = body.name or f"body_{number}"
        for index, joint in enumerate(body.joints):
            joint.name = joint.name or f"{body.name}_joint{index or ''}"


def _require_hinges(spec: mujoco.MjSpec, path: Path) -> None:
    others = [joint.name for joint in spec.joints if joint.type not in (_HINGE, _FREE)]
    if others:
        raise MtrackError(
            f"the robot {path} has joints that are not hinges: {', '.join(map(repr, others))}. mtrack drives hinges; "
            "remove them (the bodies are then fixed) or replace them by hinges"
        )


def _drop_missing_meshes(spec: mujoco.MjSpec, path: Path) -> tuple[str, ...]:
    """Remove meshes whose file does not exist, and their shapes."""
    folder = path.resolve().parent
    missing = {}
    for mesh in spec.meshes:
        if mesh.file and not any((base / mesh.file).is_file() for base in (folder / spec.meshdir, folder)):
            missing[mesh.name] = str(mesh.file)
    for geom in list(spec.geoms):
        if geom.meshname in missing:
            spec.delete(geom)
    for mesh in list(spec.meshes):
        if mesh.name in missing:
            spec.delete(mesh)
    return tuple(missing.values())


def _actuation(model: mujoco.MjModel, velocity: dict[str, float]) -> dict[str, Actuation]:
    found = {}
    for joint in map(model.joint, range(model.njnt)):
        if joint.type[0] != _HINGE:
            continue
        efforts, stiffness, damping = [], None, None
        if model.jnt_actfrclimited[joint.id]:
            efforts.append(float(abs(model.jnt_actfrcrange[joint.id]).max()))
        for actuator in range(model.nu):
            if model.actuator_trntype[actuator] > 1 or model.actuator_trnid[actuator, 0] != joint.id:
                continue
            gear, gain = abs(float(model.actuator_gear[actuator, 0])), float(model.actuator_gainprm[actuator, 0])
            bias = model.actuator_biasprm[actuator]
            if model.actuator_forcelimited[actuator]:
                efforts.append(float(abs(model.actuator_forcerange[actuator]).max()) * gear)
            elif model.actuator_ctrllimited[actuator] and not bias.any():  # a motor: torque = gear * gain * control
                efforts.append(float(abs(model.actuator_ctrlrange[actuator]).max()) * gear * gain)
            if bias[1] < 0 and gear == 1.0:
                stiffness, damping = -float(bias[1]), max(0.0, -float(bias[2]))
        effort = min((one for one in efforts if one > 0), default=None)
        found[joint.name] = Actuation(
            effort=effort, velocity=velocity.get(joint.name), stiffness=stiffness, damping=damping or None
        )
    return found


def _keyframes(model: mujoco.MjModel) -> dict[str, dict[str, float]]:
    found = {}
    for key in map(model.key, range(model.nkey)):
        joints = (model.joint(index) for index in range(model.njnt) if model.jnt_type[index] == _HINGE)
        found[key.name or f"keyframe {key.id}"] = {joint.name: float(key.qpos[joint.qposadr[0]]) for joint in joints}
    return found


def _keep_masses(spec: mujoco.MjSpec, compiled: mujoco.MjModel) -> None:
    """Give every body its compiled inertia, so that changes of shapes do not change it."""
    infers = spec.compiler.inertiafromgeom == _TRUE
    for body in spec.bodies[1:]:
        if body.explicitinertial and not infers:
            continue
        known = compiled.body(body.name)
        body.explicitinertial = True
        body.mass, body.ipos, body.iquat = float(known.mass[0]), known.ipos, known.iquat
        body.inertia = known.inertia
        body.fullinertia = [float("nan")] * 6
    spec.compiler.inertiafromgeom = _FALSE
    spec.compiler.settotalmass = -1
