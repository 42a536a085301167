"""Replays sensor readings through this runtime, to compare its targets with those of another one."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from mtrack_deploy.action import ActionDecoder
from mtrack_deploy.contract import Contract
from mtrack_deploy.golden import read_trace, sensors_at
from mtrack_deploy.observation import ObservationBuilder
from mtrack_deploy.policy import Policy
from mtrack_deploy.rotations import Array, quat_of_yaw, yaw_of
from mtrack_deploy.sensors import Sensors, Window
from mtrack_deploy.terms import follow_chain


def readings_of_trace(policy: Policy, clip: Window) -> list[Sensors]:
    """Return a trace's readings in the part that follows a clip; empty if there is none. Raises DeployError."""
    trace = read_trace(policy)
    bounds = [*np.flatnonzero(trace["starts"]).tolist(), len(trace["action"])]
    for start, end in pairwise(bounds):
        shown, wanted = trace["window.joint_pos"][start:end, 0], clip.joint_pos[: end - start]
        if shown.shape == wanted.shape and np.allclose(shown, wanted, atol=1e-5):
            return [sensors_at(trace, step) for step in range(start, end)]
    return []


def heading_of(contract: Contract, body: str, root_quat_wxyz: Array, joint_pos: Array) -> float:
    """Return the angle of a body about the vertical axis [rad]; `body` is the root or an anchor of policy.json."""
    index = {joint.name: number for number, joint in enumerate(contract.robot.joints)}
    chain = contract.robot.chains.get(body, [])
    _, quat_wxyz = follow_chain(chain, np.zeros(3, np.float32), root_quat_wxyz, joint_pos, index)
    return yaw_of(quat_wxyz)


def turned(clip: Window, yaw: float) -> Window:
    """Return a clip turned about the vertical axis [rad]."""
    return clip.moved(quat_of_yaw(yaw), np.zeros(3, np.float32))


def replay(
    policy: Policy, clip: Window, steps: Sequence[Sensors], frames: Sequence[int], first_action: Array | None = None
) -> Array:
    """Return the targets [n, J] rad for readings, if the present frame of step i is `frames[i]`.

    After its last frame a clip is at rest. `first_action` [A] is what the policy has done before the first step.
    """
    contract = policy.contract
    observations, actions = ObservationBuilder(contract), ActionDecoder(contract)
    if first_action is not None:
        observations.add_action(first_action)
    offsets = np.array(contract.reference.frame_offsets)
    targets: list[Array] = []
    for sensors, frame in zip(steps, frames, strict=True):
        shown = frame + offsets
        window = clip.frames(np.minimum(shown, len(clip) - 1)).at_rest(shown >= len(clip))
        if not targets:
            actions.reset(sensors.joint_pos, window)
        observations.add_action(actions.apply(policy(observations.observe(sensors, window)), window))
        targets.append([actions.target() for _ in range(contract.timing.decimation)][-1])
    return np.stack(targets)
