"""Measures how well a robot's motion follows the person that it was retargeted from."""

from __future__ import annotations

import mujoco
import numpy as np

from mtrack_retarget.person import SIDES
from mtrack_retarget.retarget import Retargeter
from mtrack_retarget.robot_limbs import site_name
from mtrack_retarget.robot_motion import RobotMotion
from mtrack_retarget.scaled import ScaledPerson


def keypoint_error(retargeter: Retargeter, motion: RobotMotion, person: ScaledPerson) -> float:
    """Return the mean distance of knees, ankles, elbows and wrists from the scaled person's [m].

    Both are taken relative to the pelvis, with world axes, and have equally many frames.
    """
    model = retargeter.body.model
    data = mujoco.MjData(model)
    qpos = retargeter.body.qpos(motion)
    pelvis = int(model.body(retargeter.limbs.pelvis).id)
    sites = {part: [int(model.site(site_name(side, part)).id) for side in SIDES] for part in person.sites}
    total = np.zeros(len(qpos))
    for frame, now in enumerate(qpos):
        data.qpos[:] = now
        mujoco.mj_kinematics(model, data)
        apart = [
            (data.site_xpos[ids] - data.xpos[pelvis]) - (person.sites[part][frame] - person.pelvis_pos[frame])
            for part, ids in sites.items()
        ]
        total[frame] = np.linalg.norm(apart, axis=-1).mean()
    return float(total.mean())
