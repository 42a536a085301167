"""The checks of an agent: networks made from the layout's seed, a policy of each row by itself, all of it saved."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack import CheckpointError, Layout, MtrackError
from mtrack.loop.state import component_state, flatten, load_component_state, unflatten
from mtrack_dev.testing.promises import Report, Subject
from mtrack_dev.testing.tasks import small_task
from mtrack_dev.testing.watch import close, same, undrawn

ACTORS = ("teacher", "student")
_ROWS = 7
_ROUNDING = 1e-4


def check_agent(cls: type, **params: Any) -> Report:
    """Check an agent built for the toy task. Raises BrokenPromise."""
    subject = Subject("agent", cls, params).on("toy")
    subject.check_contract()
    layout = small_task("toy", "num_envs=2").layout
    draw = torch.Generator().manual_seed(0)
    widths = layout.observations.items()
    seen = TensorDict({g: torch.randn(_ROWS, w, generator=draw) for g, w in widths}, batch_size=[_ROWS])
    agent, twin = _built(subject, layout), _built(subject, layout)
    actions = _policies(subject, agent, seen, layout)
    for actor, action in actions.items():
        wanted = (_ROWS, layout.num_actions)
        subject.require(
            tuple(action.shape) == wanted and action.dtype == torch.float32,
            "shape",
            f"policy('{actor}') gave {tuple(action.shape)} {str(action.dtype).removeprefix('torch.')}",
            f"return one action a row, {wanted} float32",
        )
        subject.require(bool(torch.isfinite(action).all()), "finite", "its action is not finite", "check its networks")
        subject.require(
            same(action, _policies(subject, twin, seen, layout)[actor]),
            "same seed, same numbers",
            f"policy('{actor}') of a second agent with an equal layout is another",
            "draw initial weights from a generator of layout.seed",
        )
        turned = _policies(subject, agent, seen[[*range(1, _ROWS), 0]], layout)[actor]
        subject.require(
            close(turned.roll(1, 0), action, _ROUNDING),
            "rows are independent",
            f"in another order rows get another action of '{actor}'",
            "compute nothing over the first axis in policy(): statistics are learnt in update()",
        )
    other = _built(subject, attrs.evolve(layout, seed=layout.seed + 1))
    restore(subject, other, saved(subject, agent))
    for actor, action in _policies(subject, other, seen, layout).items():
        subject.require(
            same(action, actions[actor]),
            "checkpoint",
            f"restored from its state() fields, policy('{actor}') is another",
            "declare every network and normaliser as state()",
        )
    checks = ("contract", "shape", "finite", "same seed, same numbers", "rows are independent", "checkpoint")
    return Report(str(subject.on("")), ("toy",), checks, (f"actors: {', '.join(actions)}",))


def saved(subject: Subject, component: object) -> tuple[Any, dict[str, Tensor]]:
    """Return the state of a component as a checkpoint holds it. Raises BrokenPromise where it cannot."""
    found: dict[str, Tensor] = {}
    try:
        tree = flatten(component_state(component), found)
    except CheckpointError as error:
        subject.fail("checkpoint", str(error), "keep tensors, numbers, generators and modules in state()")
    return tree, {name: value.clone() for name, value in found.items()}


def restore(subject: Subject, component: object, state: tuple[Any, dict[str, Tensor]]) -> None:
    """Put a component into a saved state. Raises BrokenPromise where that fails."""
    tree, found = state
    with subject.called("checkpoint"):
        load_component_state(component, deepcopy(unflatten(tree, found)), subject.cls.__qualname__)


def _built(subject: Subject, layout: Layout) -> Any:
    agent = subject.make()
    with undrawn(subject), subject.called("build"):
        agent.build(layout)
    return agent


def _policies(subject: Subject, agent: Any, seen: TensorDict, layout: Layout) -> dict[str, Tensor]:
    """Return the action of every actor the agent has."""
    found: dict[str, Tensor] = {}
    before = seen.clone()
    for actor in ACTORS:
        with undrawn(subject), subject.explained("call"), torch.no_grad():
            try:
                found[actor] = agent.policy(seen, actor)
            except MtrackError:
                continue
        changed = [group for group in layout.observations if not same(before[group], seen[group])]
        subject.require(not changed, "read-only observations", f"policy() has changed {changed}", "work on a copy")
    subject.require(bool(found), "call", f"it has none of the actors {ACTORS}", "give policy() at least one of them")
    return found
