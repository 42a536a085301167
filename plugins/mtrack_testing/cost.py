"""Checks the cost of a component: torch operations per environment, and its share of the time of a step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from mtrack.api.lifecycle import BeforeStep
from mtrack_testing.component_trial import ComponentTrial
from mtrack_testing.promises import ComponentUnderTest
from mtrack_testing.worlds import NUM_ENVS, NUM_STEPS, NUM_TIMED_ENVS, World

_REPETITIONS = 5


class CountedOperations(TorchDispatchMode):
    """Counts the torch operations that run while it is entered."""

    def __init__(self) -> None:
        """Start at 0."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += 1
        return func(*args, **kwargs or {})


def check_loops(subject: ComponentUnderTest, world: World) -> None:
    """Raise BrokenPromise if twice as many environments take one more operation for each added environment."""
    few, many = _operations(subject, world, NUM_ENVS), _operations(subject, world, 2 * NUM_ENVS)
    subject.require(
        many - few < NUM_ENVS,
        "no loop over environments",
        f"a step of {NUM_ENVS} environments takes {few} torch operations, of {2 * NUM_ENVS} environments {many}",
        "compute all environments at once; no for-loop, .item() or .tolist() over environments",
    )


def check_cost(subject: ComponentUnderTest, world: World) -> str:
    """Return a line with the time of a call. Raises BrokenPromise if it is too large a share of a whole step."""
    trial = ComponentTrial(subject, world, env_ids=tuple(range(NUM_TIMED_ENVS))).start()
    trial.play(0, NUM_STEPS - 1)
    trial.show(NUM_STEPS - 1)
    seconds = min(_time(trial) for _ in range(_REPETITIONS))
    whole = world.step_seconds()
    words = (
        f"{1e6 * seconds:.0f} us for {NUM_TIMED_ENVS} environments, "
        f"{seconds / whole:.1%} of a whole step of {world.recipe}"
    )
    subject.require(
        seconds <= world.max_share * whole,
        "cost",
        f"it takes {words}",
        f"stay below {world.max_share:.0%}: precompute in bind(), use few batched operations",
    )
    return words


def _time(trial: ComponentTrial) -> float:
    component, kind = trial.component, trial.subject.kind
    started = time.perf_counter()
    with trial.subject.guard_call("call"):
        if kind == "action":
            component.apply(trial.raw_action(0))
            for substep in range(trial.scene.decimation):
                component.target(substep)
        elif kind == "randomization":
            if isinstance(component, BeforeStep):
                component.before_step()
            trial.reset(trial.everything[:1])
        else:
            trial.result()
    return time.perf_counter() - started


def _operations(subject: ComponentUnderTest, world: World, num_envs: int) -> int:
    trial = ComponentTrial(subject, world, env_ids=tuple(range(num_envs))).start()
    with CountedOperations() as counted:
        _time(trial)
        trial.reset(trial.everything)
    return int(counted.count)
