"""The time of a rollout's environment loop, and of its engine calls alone."""

from __future__ import annotations

import copy
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import TYPE_CHECKING

import torch

from mtrack.learner import rollout_mode
from mtrack.protocols import Backend
from mtrack.snapshot import env_state, load_env_state
from mtrack.stage import Stage
from mtrack_mujoco.backend import MujocoBackend
from mtrack_mujoco.replay import Recording

if TYPE_CHECKING:
    from mtrack_warp.replay import Recording as RecordingOnGpu


def environment(stage: Stage) -> tuple[float, float | None]:
    """Return the seconds of the environment loop over a rollout, and of its engine calls alone, made again."""
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

    device = env.scene.device
    with rollout_mode(env.scene.num_envs):
        whole = _timed(loop, device)
    if recording is None:
        return whole, None
    reached = recording.state()
    recording.rewind()
    bare = _timed(recording.replay, device)
    # a GPU adds up in another order each time
    if device.type == "cpu" and not torch.equal(reached, recording.state()):
        raise RuntimeError("the engine calls made again led to another state: the measurement is void")
    return whole, bare


def _timed(call: Callable[[], object], device: torch.device) -> float:
    """Return how long a call takes, what it leaves to a GPU included [s]."""

    def finish() -> None:
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    def whole() -> None:
        call()
        finish()

    finish()
    return seconds(whole)


def _recording(backend: Backend) -> Recording | RecordingOnGpu | None:
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
