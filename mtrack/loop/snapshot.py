"""The state of an environment, whole: what a resumed run needs to go on as if it had never stopped."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import attrs
from tensordict import TensorDict
from torch import Tensor

from mtrack.errors import CheckpointError
from mtrack.loop.assemble import Assembly
from mtrack.loop.state import component_state, load_component_state, require_like


def env_state(assembly: Assembly) -> dict[str, Any]:
    """Return everything that changes in an environment, as nested dictionaries of tensors and numbers."""
    env = assembly.env
    terms = {
        term.path: {"past": term.past, "newest": term.newest, "rng": term.rng.get_state()}
        for term in env.observer.terms()
    }
    return {
        "backend": env.backend.state_dict(),
        "components": {path: component_state(component) for path, component in assembly.components.items()},
        "tensors": _tensors(assembly),
        "newest_contact": env.tracker.newest,
        "terms": terms,
        # what the policy acts on next: last-substep forces and drawn noise in it cannot be recomputed
        "observations": dict(env.observations.items()),
    }


def load_env_state(assembly: Assembly, state: Mapping[str, Any]) -> None:
    """Put a started environment into a saved state. Raises CheckpointError naming what does not fit."""
    env, device = assembly.env, assembly.env.scene.device
    _require_whole(assembly, state)
    env.backend.load_state_dict(state["backend"])
    for path, component in assembly.components.items():
        load_component_state(component, state["components"][path], path)
    for name, tensor in _tensors(assembly).items():
        if tensor.shape != state["tensors"][name].shape:
            shapes = f"{tuple(state['tensors'][name].shape)}, the run {tuple(tensor.shape)}"
            raise CheckpointError(f"{name}: the checkpoint has shape {shapes}; was num_envs changed?")
        tensor.copy_(state["tensors"][name])
    env.tracker.newest = state["newest_contact"]
    for term in env.observer.terms():
        saved = state["terms"][term.path]
        past = saved["past"]
        term.past, term.newest = past if past is None else past.to(device), saved["newest"]
        term.rng.set_state(saved["rng"].cpu())
    env.command.publish()
    observations = {group: value.to(device) for group, value in state["observations"].items()}
    env.observations = TensorDict(observations, batch_size=env.observations.batch_size)


def _tensors(assembly: Assembly) -> dict[str, Tensor]:
    """Return the tensors of the scene, the contacts and the statistics that keep their storage, by name."""
    env = assembly.env
    holders = {"scene": env.scene, "robot": env.scene.robot, "contacts": env.tracker.contacts}
    found = {
        f"{holder}.{field.name}": getattr(thing, field.name)
        for holder, thing in holders.items()
        for field in attrs.fields(type(thing))
        if isinstance(getattr(thing, field.name), Tensor)
    }
    found["contacts.recent"] = env.tracker.recent
    found["statistics.episode_return"] = env.statistics.episode_return
    return found


def _require_whole(assembly: Assembly, state: Mapping[str, Any]) -> None:
    """Raise CheckpointError naming what a saved state lacks, or has of another type than the environment."""
    present = env_state(assembly)
    require_like(present, state, "env")
    missing = sorted(present.keys() - state.keys())
    if missing:
        raise CheckpointError(f"env: missing {', '.join(missing)}")
    for part, what in _NAMED_PARTS.items():
        _same_names(what, present[part], state[part])
    for path, term in present["terms"].items():
        _same_names(f"observation term {path}", term, state["terms"][path])
    rings = {"newest_contact": (state["newest_contact"], assembly.env.tracker.recent)}
    for term in assembly.env.observer.terms():
        past, newest = (state["terms"][term.path][name] for name in ("past", "newest"))
        saved, own = (None if ring is None else tuple(ring.shape) for ring in (past, term.past))
        if saved != own:
            raise CheckpointError(f"{term.path}: the checkpoint has a history of shape {saved}, the run {own}")
        if past is not None:
            rings[f"terms.{term.path}.newest"] = newest, past.transpose(0, 1)
    for name, (newest, ring) in rings.items():
        if newest not in range(len(ring)):
            raise CheckpointError(f"{name} is {newest}; expected an index of the ring buffer, 0 to {len(ring) - 1}")
    for group, value in present["observations"].items():
        if value.shape != state["observations"][group].shape:
            shape = tuple(state["observations"][group].shape)
            raise CheckpointError(f"observations.{group}: the checkpoint has {shape}, the run {tuple(value.shape)}")


_NAMED_PARTS = {
    "components": "components",
    "terms": "observation terms",
    "tensors": "tensors",
    "observations": "observation groups",
}
"""Parts of which the checkpoint must have all that the environment has, and no more; as messages call them."""


def _same_names(what: str, present: Mapping[str, object], saved: Mapping[str, object]) -> None:
    if set(present) != set(saved):
        changed = ", ".join(sorted(set(present) ^ set(saved)))
        raise CheckpointError(f"the checkpoint and the recipe differ in their {what}: {changed}")
