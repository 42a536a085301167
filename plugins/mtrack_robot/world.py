"""Adds the robot's surroundings: floor or terrain, sky, lights, camera."""

from __future__ import annotations

from pathlib import Path

import mujoco

from mtrack import MtrackError

_FLOOR = "floor"
_FLOOR_MATERIAL = "mtrack_floor"
_FLOORS = (mujoco.mjtGeom.mjGEOM_PLANE, mujoco.mjtGeom.mjGEOM_HFIELD)


def add_world(spec: mujoco.MjSpec, terrain: Path | None, root: str) -> None:
    """Add a terrain or, if it is missing, a floor, and lights and a camera. Raises MtrackError."""
    if terrain is not None:
        _add_terrain(spec, terrain)
    elif not any(geom.type in _FLOORS for geom in spec.worldbody.geoms):
        _add_floor(spec)
    if not spec.worldbody.lights:
        _add_lights(spec)
    if spec.camera("follow") is None:
        _add_camera(spec, root)


def _add_floor(spec: mujoco.MjSpec) -> None:
    if spec.material(_FLOOR_MATERIAL) is None:  # a description that this package wrote has it already
        _add_floor_material(spec)
    floor = spec.worldbody.add_geom(name=_FLOOR, type=mujoco.mjtGeom.mjGEOM_PLANE, size=(0, 0, 0.05))
    floor.material = _FLOOR_MATERIAL
    floor.contype, floor.conaffinity = 1, 0


def _add_floor_material(spec: mujoco.MjSpec) -> None:
    texture = spec.add_texture(name=_FLOOR_MATERIAL, type=mujoco.mjtTexture.mjTEXTURE_2D, width=512, height=512)
    texture.builtin, texture.mark = mujoco.mjtBuiltin.mjBUILTIN_CHECKER, mujoco.mjtMark.mjMARK_EDGE
    texture.rgb1, texture.rgb2, texture.markrgb = (0.24, 0.29, 0.34), (0.19, 0.235, 0.28), (0.42, 0.47, 0.52)
    material = spec.add_material(name=_FLOOR_MATERIAL, texrepeat=(2, 2), texuniform=True, reflectance=0.12)
    textures = list(material.textures)
    textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = _FLOOR_MATERIAL
    material.textures = textures


def _add_terrain(spec: mujoco.MjSpec, path: Path) -> None:
    try:
        terrain = mujoco.MjSpec.from_file(str(path))
    except ValueError as error:
        raise MtrackError(f"cannot read the terrain {path}: {error}") from error
    if len(terrain.bodies) > 1:
        # contacts with the floor are contacts with the world body
        raise MtrackError(f"the terrain {path} has bodies: put its geoms directly into <worldbody>")
    for geom in terrain.worldbody.geoms:
        geom.contype, geom.conaffinity = 1, 0
    spec.attach(terrain, prefix="terrain/", frame=spec.worldbody.add_frame())


def _add_lights(spec: mujoco.MjSpec) -> None:
    sky = spec.add_texture(name="mtrack_sky", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, width=256, height=256 * 6)
    sky.builtin = mujoco.mjtBuiltin.mjBUILTIN_GRADIENT
    sky.rgb1, sky.rgb2 = (0.62, 0.72, 0.82), (0.16, 0.20, 0.26)
    head = spec.visual.headlight
    head.ambient, head.diffuse, head.specular = (0.32, 0.32, 0.34), (0.28, 0.28, 0.28), (0.1, 0.1, 0.1)
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 1920, 1080
    spec.visual.rgba.haze = (0.42, 0.49, 0.57, 1.0)
    spec.visual.quality.shadowsize = 4096
    spec.visual.map.shadowclip, spec.visual.map.shadowscale = 2.5, 0.9
    key = spec.worldbody.add_light(name="key", pos=(1.5, -1.5, 4.0), dir=(-0.35, 0.35, -0.87), castshadow=True)
    key.mode = mujoco.mjtCamLight.mjCAMLIGHT_TRACK
    key.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    key.diffuse, key.specular = (0.65, 0.63, 0.58), (0.35, 0.35, 0.35)
    rim = spec.worldbody.add_light(name="rim", pos=(-2.0, 2.0, 2.5), dir=(0.6, -0.6, -0.5), castshadow=False)
    rim.type = mujoco.mjtLightType.mjLIGHT_DIRECTIONAL
    rim.diffuse, rim.specular = (0.25, 0.28, 0.34), (0.2, 0.2, 0.25)


def _add_camera(spec: mujoco.MjSpec, root: str) -> None:
    # from the front left, a little above the hips; follows the robot without turning with it
    camera = spec.body(root).add_camera(name="follow", pos=(1.72, -1.29, 0.22), fovy=40)
    camera.mode = mujoco.mjtCamLight.mjCAMLIGHT_TRACK
    camera.alt.type = mujoco.mjtOrientation.mjORIENTATION_XYAXES
    camera.alt.xyaxes = (0.6, 0.8, 0.0, -0.096, 0.072, 0.9928)
    spec.stat.extent, spec.stat.center = 1.6, (0.0, 0.0, 0.65)
    spec.visual.global_.azimuth, spec.visual.global_.elevation = 145, -12
