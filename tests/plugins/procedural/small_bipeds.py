"""Bipeds that tests write themselves, with names, axes and frames unlike those of the G1, and straight knees."""

from __future__ import annotations

import mujoco
import numpy as np
import torch

from mtrack import Mirror, RobotModel

_LEG = """\
<body name="thigh_{s}" pos="0 {hip} -0.06">
  <joint name="{s}_hip_x" axis="{out} 0 0" range="-0.6 0.9"/>
  <joint name="{s}_hip_z" axis="0 0 {out}" range="-0.8 0.8"/>
  <joint name="{s}_hip_y" axis="0 -1 0" range="-0.9 2.2"/>
  <geom type="capsule" fromto="0 0 -0.05 0 0 -0.2" size="0.045" mass="2"/>
  <body name="shin_{s}" pos="0 0 -0.26">
    <joint name="{s}_knee" axis="0 -1 0" range="-2.5 0.02"/>
    <geom type="capsule" fromto="0 0 -0.05 0 0 -0.18" size="0.035" mass="1.2"/>
    <body name="foot_{s}" pos="0 0 -0.26" euler="90 0 0">
      <joint name="{s}_ankle_y" axis="0 0 1" range="-1 1"/>
      {roll}
      <geom type="box" pos="0.03 -0.04 0" size="0.1 0.01 0.04" mass="0.5"/>
    </body>
  </body>
</body>"""
_ROLL = '<joint name="{s}_ankle_x" axis="{out} 0 0" range="-0.6 0.6"/>'
_ARM = """\
<body name="arm_{s}" pos="0 {shoulder} 0.3">
  <joint name="{s}_shoulder_x" axis="{out} 0 0" range="-0.5 2.6"/>
  <joint name="{s}_shoulder_y" axis="0 1 0" range="-2.9 1.5"/>
  <joint name="{s}_shoulder_z" axis="0 0 {out}" range="-1.5 1.5"/>
  <geom type="capsule" fromto="0 0 -0.03 0 0 -0.18" size="0.03" mass="0.6"/>
  <body name="forearm_{s}" pos="0 0 -0.22">
    <joint name="{s}_elbow" axis="0 1 0" range="-2.4 0.3"/>
    <geom type="capsule" fromto="0 0 -0.03 0 0 -0.18" size="0.03" mass="0.4"/>
    <body name="hand_{s}" pos="0 0 -0.22"/>
  </body>
</body>"""
_ROBOT = """\
<mujoco>
  <compiler angle="radian" eulerseq="XYZ"/>
  <worldbody>
    <geom type="plane" size="0 0 1"/>
    <body name="trunk">
      <freejoint/>
      <geom type="box" pos="0 0 0.15" size="0.08 0.12 0.18" mass="9"/>
      {arms}
      <body name="hips">
        <joint name="twist" axis="0 0 1" range="-1 1"/>
        <geom type="box" size="0.06 0.1 0.04" mass="3"/>
        {legs}
      </body>
    </body>
  </worldbody>
</mujoco>
"""
SHAPES = {
    "l": {"s": "l", "hip": 0.09, "out": 1, "shoulder": 0.18},
    "r": {"s": "r", "hip": -0.09, "out": -1, "shoulder": -0.18},
}
LEGS = 0.52
"""m, thigh and shin."""


def small_biped(ankle_roll: bool = True, arms: bool = True) -> RobotModel:
    """Return a robot whose waist is below its root; without `ankle_roll` its legs have five joints."""
    limbs = [_LEG.format(roll=_ROLL.format(**shape) if ankle_roll else "", **shape) for shape in SHAPES.values()]
    upper = [_ARM.format(**shape) for shape in SHAPES.values()] if arms else []
    text = _ROBOT.format(arms="".join(upper), legs="".join(limbs)).replace('euler="90 0 0"', 'euler="1.5707963 0 0"')
    model = mujoco.MjModel.from_xml_string(text)
    joints = tuple(model.joint(i).name for i in range(1, model.njnt))
    partner = {name: {"l": "r", "r": "l"}.get(name[0], name[0]) + name[1:] for name in joints if name[1] == "_"}
    mirror = Mirror(torch.tensor([joints.index(partner.get(name, name)) for name in joints]), torch.ones(len(joints)))
    default = np.array([{"elbow": -0.4, "shoulder_x": 0.1}.get(name[2:], 0.0) for name in joints])
    return RobotModel(
        name="small",
        joint_names=joints,
        body_names=("trunk", "foot_l", "foot_r"),
        # the order of a set need not be left, right
        sets={"feet": ("foot_r", "foot_l"), "hands": ("hand_l", "hand_r") if arms else (), "waist": ("twist",)},
        default_root_pos=torch.tensor([0.0, 0.0, 0.06 + LEGS + 0.05]),
        default_joint_pos=torch.tensor(default, dtype=torch.float32),
        joint_range=torch.tensor(model.jnt_range[1:], dtype=torch.float32),
        **{key: torch.full((len(joints),), 20.0) for key in ("velocity_limit", "effort_limit", "stiffness", "damping")},
        mass=float(model.body_subtreemass[0]),
        joint_mirror=mirror,
        mirrored_name={"foot_l": "foot_r", "foot_r": "foot_l"},
        description=lambda: mujoco.MjSpec.from_string(text),
    )


class Played:
    """A clip of such a robot, frame by frame: corners of the soles, knees, hands, centre of mass."""

    def __init__(self, robot: RobotModel, clip) -> None:
        self.model = robot.description().compile()
        data = mujoco.MjData(self.model)
        corners = np.array([[x, -0.05, y] for x in (-0.07, 0.13) for y in (-0.04, 0.04)])
        qpos = np.column_stack((clip.root_pos, clip.root_quat_wxyz, clip.joint_pos)).astype(float)
        hands = [name for name in ("hand_l", "hand_r") if robot.sets["hands"]]
        self.corners, self.ahead, self.com, self.hands = [], [], [], []
        for frame in qpos:
            data.qpos[:] = frame
            mujoco.mj_kinematics(self.model, data)
            mujoco.mj_comPos(self.model, data)
            feet = [data.body(name) for name in ("foot_l", "foot_r")]
            self.corners.append([foot.xpos + corners @ foot.xmat.reshape(3, 3).T for foot in feet])
            knees = [data.body(f"shin_{side}").xpos for side in "lr"]
            hips = [data.body(f"thigh_{side}").xpos for side in "lr"]
            self.ahead.append([2 * k[0] - h[0] - f.xpos[0] for k, h, f in zip(knees, hips, feet, strict=True)])
            self.com.append(data.subtree_com[0].copy())
            self.hands.append([data.body(name).xpos - data.body("trunk").xpos for name in hands])
        self.corners, self.ahead, self.com = np.array(self.corners), np.array(self.ahead), np.array(self.com)
        self.hands = np.array(self.hands)
        """[T, 2, 4, 3] m; [T, 2] m, by which the knees are in front of the line from hip to ankle; [T, 3] m."""
