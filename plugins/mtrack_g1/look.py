"""The robot's visual shapes: capsules, cylinders, ellipsoids and boxes without mass and contacts."""

from __future__ import annotations

import attrs
import mujoco

from mtrack_g1.constants import Vector, mirrored_name, reflect

_GROUP = 2  # drawn by default

_COLOURS = {
    "shell": (0.78, 0.79, 0.81, 1.0),
    "metal": (0.52, 0.54, 0.57, 1.0),
    "dark": (0.17, 0.18, 0.20, 1.0),
    "rubber": (0.08, 0.08, 0.09, 1.0),
    "visor": (0.03, 0.035, 0.05, 1.0),
}
_SHINE = {"visor": 0.9, "shell": 0.5, "metal": 0.6}


@attrs.frozen
class VisualShape:
    """One visual shape, in the frame of its link."""

    colour: str
    size: Vector
    """Radius of a capsule or cylinder, half axes of an ellipsoid, half sides of a box [m]."""
    points: Vector
    """Two end points of a capsule or cylinder, centre of the others [m]."""
    kind: str = "capsule"
    turn: Vector = (0.0, 0.0, 0.0)
    """Rotation about x, y, z [degrees]."""


def _rod(colour: str, radius: float, *points: float) -> VisualShape:
    return VisualShape(colour, (radius,), points)


def _disc(colour: str, radius: float, *points: float) -> VisualShape:
    return VisualShape(colour, (radius,), points, "cylinder")


def _egg(colour: str, size: Vector, centre: Vector, turn: Vector = (0.0, 0.0, 0.0)) -> VisualShape:
    return VisualShape(colour, size, centre, "ellipsoid", turn)


def _block(colour: str, size: Vector, centre: Vector, turn: Vector = (0.0, 0.0, 0.0)) -> VisualShape:
    return VisualShape(colour, size, centre, "box", turn)


# the links of the left side are mirrored
SHAPES: dict[str, tuple[VisualShape, ...]] = {
    "pelvis": (
        _egg("dark", (0.062, 0.085, 0.062), (0.0, 0.0, -0.055)),
        _disc("metal", 0.056, 0.0, -0.062, -0.1027, 0.0, 0.062, -0.1027),
        _disc("dark", 0.05, 0.0, 0.0, -0.03, 0.0, 0.0, 0.02),
    ),
    "left_hip_pitch_link": (
        _disc("shell", 0.054, 0.0, 0.004, 0.0, 0.0, 0.066, 0.0),
        _disc("dark", 0.046, -0.03, 0.052, -0.0305, 0.045, 0.052, -0.0305),
    ),
    "left_hip_roll_link": (
        _rod("shell", 0.056, 0.02, 0.0, -0.01, 0.022, 0.0, -0.085),
        _disc("dark", 0.052, 0.025, 0.0, -0.10, 0.025, 0.0, -0.125),
    ),
    "left_hip_yaw_link": (
        _egg("shell", (0.058, 0.056, 0.115), (-0.036, 0.0, -0.075), (0.0, 24.0, 0.0)),
        _rod("metal", 0.044, -0.06, 0.0, -0.12, -0.078, 0.002, -0.165),
        _disc("dark", 0.05, -0.078, -0.045, -0.177, -0.078, 0.05, -0.177),
    ),
    "left_knee_link": (
        _disc("metal", 0.038, 0.0, -0.052, 0.0, 0.0, 0.056, 0.0),
        _egg("shell", (0.045, 0.042, 0.125), (0.012, 0.0, -0.105)),
        _rod("dark", 0.026, 0.008, 0.0, -0.17, 0.002, 0.0, -0.28),
        _rod("metal", 0.011, -0.03, 0.022, -0.05, -0.03, 0.022, -0.27),
        _rod("metal", 0.011, -0.03, -0.022, -0.05, -0.03, -0.022, -0.27),
    ),
    "left_ankle_pitch_link": (_disc("metal", 0.022, 0.0, -0.032, 0.0, 0.0, 0.032, 0.0),),
    "left_ankle_roll_link": (
        _egg("dark", (0.05, 0.03, 0.03), (0.0, 0.0, -0.005)),
        _block("rubber", (0.09, 0.03, 0.008), (0.035, 0.0, -0.026)),
        _egg("dark", (0.075, 0.029, 0.016), (0.058, 0.0, -0.016)),
    ),
    "waist_yaw_link": (_disc("metal", 0.052, -0.002, 0.0, 0.014, -0.002, 0.0, 0.036),),
    "torso_link": (
        _rod("dark", 0.058, 0.002, -0.018, 0.03, 0.002, -0.03, 0.09),
        _rod("dark", 0.058, 0.002, 0.018, 0.03, 0.002, 0.03, 0.09),
        _egg("shell", (0.083, 0.112, 0.115), (0.012, 0.0, 0.165)),
        _rod("shell", 0.062, 0.006, -0.062, 0.22, 0.006, 0.062, 0.22),
        _rod("shell", 0.05, -0.006, -0.06, 0.262, -0.006, 0.06, 0.262),
        _egg("metal", (0.026, 0.05, 0.034), (0.073, 0.0, 0.178)),
        _block("metal", (0.03, 0.062, 0.075), (-0.062, 0.0, 0.17)),
        _disc("dark", 0.036, 0.002, 0.0, 0.29, 0.004, 0.0, 0.345),
        _egg("shell", (0.074, 0.062, 0.09), (0.002, 0.0, 0.402)),
        _egg("visor", (0.068, 0.056, 0.08), (0.0165, 0.0, 0.4)),
    ),
    "left_shoulder_pitch_link": (
        _disc("dark", 0.047, 0.0, -0.01, -0.004, 0.0, 0.03, -0.006),
        _egg("shell", (0.05, 0.036, 0.05), (0.0, 0.036, -0.012)),
    ),
    "left_shoulder_roll_link": (
        _disc("metal", 0.036, -0.04, 0.0, 0.0, 0.042, 0.0, 0.0),
        _rod("shell", 0.04, 0.0, 0.006, -0.02, 0.0, 0.006, -0.06),
        _disc("dark", 0.037, 0.0, 0.006, -0.085, 0.0, 0.006, -0.098),
    ),
    "left_shoulder_yaw_link": (
        _rod("shell", 0.036, 0.0, 0.0, -0.018, 0.006, 0.0, -0.06),
        _disc("dark", 0.037, 0.0158, -0.036, -0.0805, 0.0158, 0.036, -0.0805),
    ),
    "left_elbow_link": (
        _disc("metal", 0.028, 0.0, -0.04, 0.0, 0.0, 0.04, 0.0),
        _rod("shell", 0.033, 0.026, 0.001, -0.008, 0.078, 0.002, -0.01),
    ),
    "left_wrist_roll_link": (
        _disc("dark", 0.031, -0.006, 0.0, 0.0, 0.006, 0.0, 0.0),
        _rod("shell", 0.028, 0.018, 0.0, 0.0, 0.026, 0.0, 0.0),
    ),
    "left_wrist_pitch_link": (
        _disc("dark", 0.026, 0.0, -0.03, 0.0, 0.0, 0.03, 0.0),
        _rod("metal", 0.022, 0.01, 0.0, 0.0, 0.036, 0.0, 0.0),
    ),
    "left_wrist_yaw_link": (
        _disc("dark", 0.024, 0.0, 0.0, -0.028, 0.0, 0.0, 0.028),
        _rod("metal", 0.02, 0.012, 0.0, 0.0, 0.04, 0.0, 0.0),
        _egg("rubber", (0.042, 0.017, 0.036), (0.082, 0.0, 0.0)),
        *(_rod("rubber", 0.0095, 0.11, -0.001, z, 0.158, -0.016, 1.1 * z) for z in (-0.025, -0.0085, 0.0085, 0.025)),
        _rod("rubber", 0.0105, 0.066, -0.006, 0.028, 0.104, -0.024, 0.046),
    ),
}


def draw(spec: mujoco.MjSpec) -> None:
    """Add the visual shapes to the links of a description."""
    for colour, rgba in _COLOURS.items():
        shine = _SHINE.get(colour, 0.2)
        spec.add_material(name=f"g1_{colour}", rgba=rgba, specular=shine, shininess=shine, reflectance=0.0)
    for name, shapes in SHAPES.items():
        for shape in shapes:
            _add(spec.body(name), shape, 1.0)
            if mirrored_name(name) != name:
                _add(spec.body(mirrored_name(name)), shape, -1.0)


def _add(body: mujoco.MjsBody, shape: VisualShape, side: float) -> None:
    geom = body.add_geom(group=_GROUP, contype=0, conaffinity=0, density=0.0, material=f"g1_{shape.colour}")
    geom.type = getattr(mujoco.mjtGeom, f"mjGEOM_{shape.kind.upper()}")
    points = shape.points if side > 0 else reflect(shape.points)
    if shape.kind in ("capsule", "cylinder"):
        geom.size[0], geom.fromto = shape.size[0], points
        return
    x, y, z = shape.turn
    geom.size, geom.pos = shape.size, points
    geom.alt.type = mujoco.mjtOrientation.mjORIENTATION_EULER
    geom.alt.euler = (x * side, y, z * side)
