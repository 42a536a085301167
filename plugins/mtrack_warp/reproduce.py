"""A recorded control step, stepped again with mujoco_warp and looked at in every substep."""

from __future__ import annotations

import torch

from mtrack import MtrackError, RecordedStep, Replay
from mtrack_mujoco.description import rebuild
from mtrack_mujoco.reproduce import Watch
from mtrack_mujoco.simulation import restore
from mtrack_warp.simulation import Simulation
from mtrack_warp.sizing import Sizes

_CONTACTS = 1024  # room for those of one environment, which in training shared the room of all
_MOST_CONSTRAINTS = 1 << 20


def replay(step: RecordedStep, deterministic: bool) -> Replay:
    """Step a recorded step again, on a GPU if it was recorded on one. Raises MtrackError if its parts do not fit."""
    model = rebuild(step.model)
    watch = Watch(model, step)
    recorded_on, constraints = step.engine.get("device"), step.engine.get("constraints")
    if type(constraints) is not int or not 0 < constraints <= _MOST_CONSTRAINTS:
        raise MtrackError("the recorded step is not one of mujoco_warp: the size of its constraint buffer is missing")
    on_gpu = recorded_on == "cuda" and torch.cuda.is_available()
    device = torch.device("cuda", torch.cuda.current_device()) if on_gpu else torch.device("cpu")
    sizes, fields = Sizes(_CONTACTS, constraints), tuple(step.fields)
    sim = Simulation(model, 1, device, sizes, fields, deterministic and on_gpu)
    own = {name: tensor for name, tensor in sim.tensors().items() if name.startswith(("state.", "field."))}
    saved = {f"state.{name}": value for name, value in step.before.items()}
    saved |= {f"field.{name}": value for name, value in step.fields.items()}
    restore(own, {name: value.unsqueeze(0) for name, value in saved.items()})
    watch.start(sim.qpos[0], sim.qvel[0])
    for substep, control in enumerate(step.controls):
        sim.ctrl[0] = control.to(device)
        if step.forces is not None:
            sim.state["xfrc_applied"][0] = step.forces[substep].to(device)
        sim.step(last=False)
        watch.look(sim.qpos[0], sim.qvel[0], sim.outputs["qacc"][0], sim.warnings(0), bool(sim.diverged()[0]))
    differences = []
    if device.type != recorded_on:
        differences.append(f"it was recorded on '{recorded_on}' and is stepped on '{device.type}'")
    elif on_gpu and not deterministic:
        differences.append("a GPU adds numbers in another order each time, unless [backend] deterministic = true")
    return watch.replay({name: tensor[0].cpu().clone() for name, tensor in sim.state.items()}, tuple(differences))
