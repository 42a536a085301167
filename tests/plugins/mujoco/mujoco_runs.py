"""Small simulations of the G1 for the tests of the MuJoCo backend."""

from __future__ import annotations

import mujoco
import torch

from mtrack import ContactSensor, PhysicsPlan, StartState
from mtrack_g1.robot import G1
from mtrack_mujoco.backend import MujocoBackend

FEET = ("left_ankle_roll_link", "right_ankle_roll_link")
ROBOT = G1()
MODEL = ROBOT.model()


def build(num=4, *, threads=2, robot=ROBOT, contacts=FEET, fields=(), forces=False, device="cpu"):
    sensors = tuple(ContactSensor(*name.partition(":")[::2]) for name in contacts)
    backend = MujocoBackend(threads=threads)
    backend.build(robot, PhysicsPlan(num, 0.005, device, sensors, tuple(fields), forces))
    return backend


def start(num, height=0.772, seed=None):
    draw = torch.Generator().manual_seed(seed or 0)
    noise = lambda *shape: 0.0 if seed is None else 0.3 * torch.randn(*shape, generator=draw)  # noqa: E731
    quat = torch.tensor([1.0, 0.0, 0.0, 0.0]) + noise(num, 4)
    return StartState(
        root_pos=torch.tensor([0.0, 0.0, height]).repeat(num, 1),
        root_quat_wxyz=torch.nn.functional.normalize(quat.expand(num, 4), dim=-1),
        root_lin_vel=torch.zeros(num, 3) + noise(num, 3),
        root_ang_vel=torch.zeros(num, 3) + noise(num, 3),
        joint_pos=MODEL.default_joint_pos + torch.zeros(num, 29) + noise(num, 29),
        joint_vel=torch.zeros(num, 29) + noise(num, 29),
    )


def targets(num, steps, seed=1):
    draw = torch.Generator().manual_seed(seed)
    return MODEL.default_joint_pos + 0.1 * torch.randn(steps, num, 29, generator=draw)


def run(backend, all_targets):
    for target in all_targets:
        for substep in range(4):
            backend.step(target, substep == 3)
    backend.refresh()


def hold(backend, seconds):
    run(backend, MODEL.default_joint_pos.expand(round(seconds / 0.02), len(backend.contacts), 29))


def reference_data(backend, row):
    """The same simulation in plain MuJoCo, forwarded."""
    batch = backend._sim.batch
    model = batch.get_model(row)
    data = batch.get_data(row)
    mujoco.mj_forward(model, data)
    return model, data
