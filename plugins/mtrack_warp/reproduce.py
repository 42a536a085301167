"""Steps a recorded control step again with mujoco_warp."""

from __future__ import annotations

import torch

from mtrack import MtrackError, RecordedStep, Replay
from mtrack_mujoco.reproduce import StepReplay
from mtrack_warp.simulation import WarpSimulations
from mtrack_warp.sizing import BufferSizes

_CONTACTS = 1024  # for one environment; in training all environments share the buffer
_MOST_CONSTRAINTS = 1 << 20


def replay(step: RecordedStep, deterministic: bool) -> Replay:
    """Step a recorded step again, on a GPU if it was recorded on one. Raises MtrackError if its parts do not match."""
    again = StepReplay(step)
    recorded_on, constraints = step.engine.get("device"), step.engine.get("constraints")
    if type(constraints) is not int or not 0 < constraints <= _MOST_CONSTRAINTS:
        raise MtrackError("the step was not recorded by mujoco_warp: the size of its constraint buffer is missing")
    on_gpu = recorded_on == "cuda" and torch.cuda.is_available()
    device = torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
    sizes, fields = BufferSizes(_CONTACTS, constraints), tuple(step.fields)
    sim = WarpSimulations(again.model, 1, device, sizes, fields, deterministic and on_gpu)
    differences = []
    if device.type != recorded_on:
        differences.append(f"it was recorded on '{recorded_on}' and is stepped on '{device.type}'")
    elif on_gpu and not deterministic:
        differences.append("a GPU adds numbers in another order each time, unless [backend] deterministic = true")
    return again.run(sim, tuple(differences))
