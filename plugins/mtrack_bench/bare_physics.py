"""Times the environment loop of a rollout, and its engine calls without anything else."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch

from mtrack.loop.learner import rollout_mode
from mtrack.loop.snapshot import env_state, load_env_state
from mtrack.run.phase_run import PhaseRun
from mtrack_mujoco.base import BaseBackend
from mtrack_mujoco.engine_calls import EngineCalls


def environment(stage: PhaseRun, finish: Callable[[], object]) -> tuple[float, float | None]:
    """Return the seconds of the environment loop over a rollout, and of repeating only its engine calls.

    `finish` waits until the device has finished. Raises RuntimeError if the repeated calls end in another state.
    """
    env, actions = stage.assembly.env, []
    before = copy.deepcopy(env_state(stage.assembly))
    recording = EngineCalls(env.backend) if isinstance(env.backend, BaseBackend) else None
    with rollout_mode(env.scene.num_envs), recording or nullcontext():
        for _ in range(stage.slot.train_every):
            actions.append(stage.phase.act(env.observations)["action"])
            env.step(actions[-1])
    load_env_state(stage.assembly, before)

    def loop() -> None:
        for action in actions:
            env.step(action)
        finish()

    def calls() -> None:
        assert recording
        recording.replay()
        finish()

    finish()
    with rollout_mode(env.scene.num_envs):
        whole = seconds(loop)
    if recording is None:
        return whole, None
    expected = recording.state()
    recording.rewind()
    finish()
    bare = seconds(calls)
    # a GPU sums in a different order each time
    if env.scene.device.type == "cpu" and not torch.equal(expected, recording.state()):
        raise RuntimeError("repeating the engine calls led to a different state, so the measurement is invalid")
    return whole, bare


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes [s]."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
