"""What a component costs: torch operations that grow with the rows, and its share of the time of a whole step."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

from torch.utils._python_dispatch import TorchDispatchMode

from mtrack.lifecycle import BeforeStep
from mtrack_testing.promises import Subject
from mtrack_testing.trial import Trial
from mtrack_testing.worlds import ROWS, STEPS, TIMED_ROWS, World

_REPETITIONS = 5


class CountedOperations(TorchDispatchMode):
    """Counts the torch operations carried out while entered."""

    def __init__(self) -> None:
        """Begin at 0."""
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: Sequence[Any] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        self.count += 1
        return func(*args, **kwargs or {})


def check_loops(subject: Subject, world: World) -> None:
    """Raise BrokenPromise where twice as many rows take an operation or more for each row added."""
    few, many = _operations(subject, world, ROWS), _operations(subject, world, 2 * ROWS)
    subject.require(
        many - few < ROWS,
        "no loop over rows",
        f"a step of {ROWS} rows is {few} torch operations, of {2 * ROWS} rows {many}",
        "work on all rows at once; no for-loop, .item() or .tolist() over environments",
    )


def check_cost(subject: Subject, world: World) -> str:
    """Return the time of a call in words. Raises BrokenPromise where it is too large a part of the whole step."""
    trial = Trial(subject, world, ids=tuple(range(TIMED_ROWS))).start()
    trial.play(0, STEPS - 1)
    trial.show(STEPS - 1)
    seconds = min(_time(trial) for _ in range(_REPETITIONS))
    whole = world.step_seconds()
    words = (
        f"{1e6 * seconds:.0f} us a step of {TIMED_ROWS} rows, {seconds / whole:.1%} of the whole step of {world.recipe}"
    )
    subject.require(
        seconds <= world.max_share * whole,
        "cost",
        f"it takes {words}",
        f"stay below {world.max_share:.0%}: precompute in bind(), use few and batched operations",
    )
    return words


def _time(trial: Trial) -> float:
    component, kind = trial.component, trial.subject.kind
    started = time.perf_counter()
    with trial.subject.called("call"):
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


def _operations(subject: Subject, world: World, rows: int) -> int:
    trial = Trial(subject, world, ids=tuple(range(rows))).start()
    with CountedOperations() as counted:
        _time(trial)
        trial.reset(trial.everything)
    return int(counted.count)
