"""The time of a rollout's environment loop, and of its engine calls alone."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import nullcontext

import torch

from mtrack import Backend
from mtrack.loop.learner import rollout_mode
from mtrack.loop.snapshot import env_state, load_env_state
from mtrack.run.phase_run import PhaseRun
from mtrack_mujoco.backend import MujocoBackend
from mtrack_mujoco.replay import EngineCalls, Recording


def environment(stage: PhaseRun, finish: Callable[[], object]) -> tuple[float, float | None]:
    """Return the seconds of the environment loop over a rollout, and of its engine calls alone, made again.

    `finish` waits for what the device has yet to do.
    """
    env, actions = stage.assembly.env, []
    before = copy.deepcopy(env_state(stage.assembly))
    recording = _recording(env.backend)
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
    reached = recording.state()
    recording.rewind()
    finish()
    bare = seconds(calls)
    # a GPU adds up in another order each time
    if env.scene.device.type == "cpu" and not torch.equal(reached, recording.state()):
        raise RuntimeError("the engine calls made again led to another state: the measurement is void")
    return whole, bare


def _recording(backend: Backend) -> EngineCalls | None:
    """Return a recording of a backend's engine calls; None where these cannot be recorded."""
    if isinstance(backend, MujocoBackend):
        return Recording(backend)
    # these import warp, which takes seconds
    from mtrack_warp.backend import WarpBackend  # noqa: PLC0415
    from mtrack_warp.replay import Recording as RecordingOnGpu  # noqa: PLC0415

    return RecordingOnGpu(backend) if isinstance(backend, WarpBackend) else None


def seconds(call: Callable[[], object]) -> float:
    """Return how long a call takes [s]."""
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
