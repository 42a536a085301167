"""Writes a small two-legged robot as MJCF or URDF, with names and axes unlike those of the G1."""

from __future__ import annotations

_LIMB = """\
<body name="thigh_{s}" pos="0 {hip} -0.1">
  <joint name="{s}_hip_x" axis="{roll} 0 0" range="{roll_range}"/>
  <joint name="{s}_hip_y" axis="0 1 0" range="-1.8 1.2"/>
  <joint name="{s}_hip_z" axis="0 0 1" range="-0.8 0.8"/>
  <inertial pos="0 0 -0.12" mass="2" diaginertia="0.02 0.02 0.005"/>
  <geom type="capsule" fromto="0 0 -0.05 0 0 -0.2" size="0.05"/>
  <body name="shin_{s}" pos="0 0 -0.25">
    <joint name="{s}_knee" axis="0 -1 0" range="-2.2 0"/>
    <inertial pos="0 0 -0.12" mass="1.5" diaginertia="0.01 0.01 0.002"/>
    <geom type="capsule" fromto="0 0 -0.05 0 0 -0.18" size="0.04"/>
    <body name="foot_{s}" pos="0 0 -0.25">
      <joint name="{s}_ankle_y" axis="0 1 0" range="-0.9 0.9"/>
      <joint name="{s}_ankle_x" axis="1 0 0" range="-0.5 0.5"/>
      <inertial pos="0.02 0 -0.03" mass="0.6" diaginertia="0.001 0.002 0.002"/>
      <geom type="box" pos="0.03 0 -0.04" size="0.1 0.04 0.01"/>
    </body>
  </body>
</body>
<body name="arm_{s}" pos="0 {shoulder} 0.3">
  <joint name="{s}_shoulder_y" axis="0 1 0" range="-2.5 2.5"/>
  <joint name="{s}_shoulder_x" axis="1 0 0" range="{arm_range}"/>
  <inertial pos="0 0 -0.1" mass="1" diaginertia="0.005 0.005 0.001"/>
  <geom type="capsule" fromto="0 0 -0.03 0 0 -0.2" size="0.03"/>
  <body name="forearm_{s}" pos="0 0 -0.24">
    <joint name="{s}_elbow" axis="0 1 0" range="-2.2 0.1"/>
    <inertial pos="0 0 -0.1" mass="0.7" diaginertia="0.004 0.004 0.001"/>
    <geom type="capsule" fromto="0 0 -0.03 0 0 -0.2" size="0.03"/>
  </body>
</body>"""
_ROBOT = """\
<mujoco model="small">
  <compiler angle="radian" autolimits="true"/>
  <default><joint armature="0.01" actuatorfrcrange="-60 60"/></default>
  <worldbody>
    <body name="trunk" pos="0 0 0.7">
      {free}
      <inertial pos="0 0 0.15" mass="{mass}" diaginertia="0.2 0.2 0.1"/>
      <geom type="box" pos="0 0 0.15" size="0.1 0.14 0.2"/>
      <site name="imu"/>
{left}
{right}
    </body>
  </worldbody>
</mujoco>
"""


def biped_xml(mass: float = 12.0, free: str = "<freejoint/>") -> str:
    """Return the MJCF of a robot with 3 hinges in each hip, 2 in each ankle, and arms: 18 joints."""
    sides = {
        "left": {"s": "l", "hip": 0.1, "shoulder": 0.2, "roll": 1, "roll_range": "-0.4 0.9", "arm_range": "-0.1 2.5"},
        "right": {
            "s": "r",
            "hip": -0.1,
            "shoulder": -0.2,
            "roll": -1,
            "roll_range": "-0.4 0.9",
            "arm_range": "-2.5 0.1",
        },
    }
    return _ROBOT.format(mass=mass, free=free, **{side: _LIMB.format(**values) for side, values in sides.items()})


def biped_urdf(mesh: str = "package://small/meshes/trunk.stl") -> str:
    """Return the URDF of a robot with 5 joints in each leg, without arms and without a floating base."""
    parts = [_link("base", 10.0, f'<geometry><mesh filename="{mesh}"/></geometry>', "0 0 0.1")]
    for side, y in (("left", 0.1), ("right", -0.1)):
        chain = (
            ("hip_yaw", "0 0 1", f"0 {y} -0.05", "base", 1.0),
            ("hip_roll", "1 0 0", "0 0 -0.05", f"{side}_hip_yaw_link", 1.0),
            ("hip_pitch", "0 1 0", "0 0 0", f"{side}_hip_roll_link", 2.0),
            ("knee", "0 1 0", "0 0 -0.3", f"{side}_hip_pitch_link", 1.5),
            ("ankle", "0 1 0", "0 0 -0.3", f"{side}_knee_link", 0.8),
        )
        for name, axis, place, parent, mass in chain:
            child = f"{side}_{name}_link"
            shape = '<geometry><box size="0.2 0.08 0.02"/></geometry>' if name == "ankle" else ""
            parts.append(_link(child, mass, shape, "0.03 0 -0.05"))
            limit = "0 2" if name == "knee" else "-1.5 1.5" if name != "hip_roll" else "-0.6 0.6"
            low, high = limit.split()
            parts.append(
                f'<joint name="{side}_{name}" type="revolute"><parent link="{parent}"/><child link="{child}"/>'
                f'<origin xyz="{place}"/><axis xyz="{axis}"/>'
                f'<limit lower="{low}" upper="{high}" effort="80" velocity="12"/></joint>'
            )
    return f'<?xml version="1.0"?>\n<robot name="small">\n{chr(10).join(parts)}\n</robot>\n'


def _link(name: str, mass: float, shape: str, place: str) -> str:
    collision = f'<collision><origin xyz="{place}"/>{shape}</collision>' if shape else ""
    inertia = '<inertia ixx="0.02" iyy="0.02" izz="0.02" ixy="0" ixz="0" iyz="0"/>'
    return f'<link name="{name}"><inertial><mass value="{mass}"/>{inertia}</inertial>{collision}</link>'
