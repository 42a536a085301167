"""Small simulations of the G1 on warp's CPU device."""

from __future__ import annotations

import attrs
import torch

from mtrack import ContactSensor, PhysicsPlan
from mtrack_g1.robot import G1
from mtrack_mujoco.kinematics import default_start
from mtrack_warp.backend import WarpBackend

FEET = ("left_ankle_roll_link", "right_ankle_roll_link")
ROBOT = G1()
MODEL = ROBOT.model()
NUM = 4
EVERYONE = torch.arange(NUM)
HOLD = MODEL.default_joint_pos.expand(NUM, -1)


def build(*, robot=ROBOT, contacts=FEET, fields=(), forces=False, device="cpu", num=NUM, **params):
    backend = WarpBackend(**params)
    sensors = tuple(ContactSensor(*name.partition(":")[::2]) for name in contacts)
    backend.build(robot, PhysicsPlan(num, 0.005, device, sensors, tuple(fields), forces))
    return backend


def put(backend, ids, height=0.0):
    start = default_start(MODEL, len(ids))
    raised = attrs.evolve(start, root_pos=start.root_pos + torch.tensor([0.0, 0.0, height]))
    backend.set_state(ids, raised)
    backend.forward(ids, HOLD[: len(ids)])
    backend.refresh(ids)


def hold(backend, steps):
    for substep in range(4 * steps):
        backend.step(HOLD, substep % 4 == 3)
    backend.refresh()
