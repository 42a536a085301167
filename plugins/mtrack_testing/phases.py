"""Checks of a phase on the toy task: it acts, learns, is reproducible and resumes from a checkpoint."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from typing import Any

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack import MtrackError, Rollout
from mtrack.loop.assemble import Assembly
from mtrack.loop.learner import Learner
from mtrack.loop.snapshot import env_state, load_env_state
from mtrack_testing.promises import ComponentUnderTest, Report
from mtrack_testing.saved_state import restore, saved
from mtrack_testing.tasks import small_recipe, small_task
from mtrack_testing.watch import no_global_draws, same

_ENVS, _STEPS, _ITERATIONS = 16, 24, 3
_MISSING_PHASE = "a phase that does not exist"


def check_phase(cls: type, agent: Any = None, /, **params: Any) -> Report:
    """Check a phase with an agent that is not built yet (by default a small `teacher_student`).

    Raises BrokenPromise.
    """
    subject = ComponentUnderTest("phase", cls, params).on("toy")
    subject.check_contract()
    agent = agent or small_recipe("toy").agent.build()
    follows = tuple(getattr(cls, "follows", (None,)))
    previous = follows[0]
    first, second = (_Run.start(subject, agent, previous) for _ in range(2))
    _check_order(subject, first, follows)
    for iteration in range(_ITERATIONS):
        if iteration == 1:
            middle = first.save()
        one, other = first.iterate(iteration), second.iterate(iteration)
        subject.require(
            one == other,
            "same seed, same numbers",
            f"metrics of two equal runs differ in iteration {iteration}: {_differing(one, other)}",
            "draw from a torch.Generator in a state() field, also to shuffle minibatches",
        )
    third = _Run.start(subject, agent, previous, seed=1)
    third.load(middle)
    for iteration in range(1, _ITERATIONS):
        third.iterate(iteration)
    first_state, third_state = first.state(), third.state()
    differing = [name for name, value in first_state.items() if not same(value, third_state[name])]
    subject.require(
        not differing and first.metrics == third.metrics,
        "checkpoint",
        f"resumed after an iteration it continues differently: {(differing or ['its metrics'])[0]}",
        "declare optimisers, generators, counters and rates as state()",
    )
    checks = ("contract", "order", "act", "update", "same seed, same numbers", "checkpoint")
    return Report(str(subject.on("")), ("toy",), checks, (f"metrics: {', '.join(first.metrics)}",))


@attrs.define(eq=False)
class _Run:
    """A phase on the toy task."""

    subject: ComponentUnderTest
    agent: Any
    phase: Any
    assembly: Assembly
    learner: Learner
    metrics: dict[str, float] = attrs.field(factory=dict)

    @staticmethod
    def start(subject: ComponentUnderTest, agent: Any, previous: str | None, seed: int = 0) -> _Run:
        """Build everything and enter the phase with the agent."""
        assembly = small_task("toy", f"num_envs={_ENVS}")
        agent, phase = deepcopy(agent), subject.make(seed)
        agent.build(assembly.layout)
        with no_global_draws(subject), subject.guard_call("enter"):
            phase.enter(agent, assembly.layout, previous)
        learner = Learner(
            env=assembly.env,
            phase=phase,
            name="kit",
            train_every=_STEPS,
            total_frames=_ENVS * _STEPS * _ITERATIONS,
            report=lambda metrics: None,
            save=lambda learner: None,
            should_stop=lambda: False,
        )
        return _Run(subject, agent, phase, assembly, learner)

    def iterate(self, iteration: int) -> dict[str, float]:
        """Collect and update once; return the metrics."""
        subject, observations = self.subject, self.assembly.env.observations
        before = observations.clone()
        with no_global_draws(subject), subject.guard_call("act"), torch.no_grad():
            generators = saved(subject, self.phase)
            _check_decision(subject, self.phase.act(observations), observations, self.assembly.layout.num_actions)
            restore(subject, self.phase, generators)  # undo the extra draw
            action = self.agent.policy(observations, self.phase.actor)
        wanted = (_ENVS, self.assembly.layout.num_actions)
        subject.require(
            tuple(action.shape) == wanted, "act", f"its actor gives {tuple(action.shape)}", f"give {wanted}"
        )
        with no_global_draws(subject), subject.guard_call("act"):
            rollout = self.learner.collect()
        unchanged = all(same(before[group], rollout.data[group][:, 0]) for group in before.keys())  # noqa: SIM118
        subject.require(unchanged, "act", "it has changed the observations it was given", "work on a copy")
        self.metrics = self._update(rollout, iteration / _ITERATIONS)
        return self.metrics

    def _update(self, rollout: Rollout, progress: float) -> dict[str, float]:
        subject, before = self.subject, _tensors(rollout.data)
        before = {name: value.clone() for name, value in before.items()}
        with no_global_draws(subject), subject.guard_call("update"):
            metrics = self.phase.update(rollout, progress)
        changed = [name for name, value in _tensors(rollout.data).items() if not same(value, before[name])]
        subject.require(not changed, "update", f"it has changed {changed[:3]} of the rollout", "work on a copy")
        subject.require(isinstance(metrics, Mapping), "update", f"it returned {metrics!r}", "return metrics by name")
        numbers = {name: float(torch.as_tensor(value).float().mean()) for name, value in metrics.items()}
        wrong = [name for name, value in numbers.items() if not torch.isfinite(torch.tensor(value))]
        subject.require(not wrong, "finite", f"its metrics {wrong} are not finite", "check where it divides by zero")
        return numbers

    def save(self) -> tuple[Any, Any, Any]:
        """Return what a checkpoint would hold."""
        env = deepcopy(env_state(self.assembly))
        return saved(self.subject, self.agent), saved(self.subject, self.phase), env

    def load(self, state: tuple[Any, Any, Any]) -> None:
        """Continue from a saved state."""
        agent, phase, env = state
        restore(self.subject, self.agent, agent)
        restore(self.subject, self.phase, phase)
        load_env_state(self.assembly, deepcopy(env))

    def state(self) -> dict[str, Tensor]:
        """Return every tensor of agent and phase, by name."""
        parts = {"agent": self.agent, "phase": self.phase}
        tensors = {who: saved(self.subject, part)[1] for who, part in parts.items()}
        return {f"{who}{name}": value for who, found in tensors.items() for name, value in found.items()}


def _check_order(subject: ComponentUnderTest, run: _Run, follows: tuple[str | None, ...]) -> None:
    """Check that a phase with `follows` rejects other previous phases."""
    if not hasattr(subject.cls, "follows"):
        return
    try:
        with subject.guard("order", "raise MtrackError: mtrack.require_order does"):
            subject.make().enter(run.agent, run.assembly.layout, _MISSING_PHASE)
    except MtrackError:
        return
    found = f"it follows {follows}, but enter() accepts another previous phase"
    call = "require_order('its name in recipes', self.follows, previous)"
    subject.fail("order", found, f"begin enter() with {call}, from mtrack")


def _check_decision(subject: ComponentUnderTest, decision: TensorDict, observations: TensorDict, width: int) -> None:
    action = decision.get("action", None) if isinstance(decision, TensorDict) else None
    num_envs = observations.batch_size[0]
    is_good = isinstance(action, Tensor) and tuple(action.shape) == (num_envs, width) and action.dtype == torch.float32
    found = f"{tuple(action.shape)} {action.dtype}" if isinstance(action, Tensor) else "nothing"
    fix = f"return TensorDict({{'action': ...}}, batch_size=observations.batch_size) with ({num_envs}, {width}) float32"
    subject.require(is_good, "act", f"its action is {found}", fix)
    subject.require(bool(torch.isfinite(action).all()), "finite", "its action is not finite", "check its networks")
    graph = [name for name, value in decision.items() if value.requires_grad]
    subject.require(not graph, "act", f"{graph} would be stored with gradients", "decorate act() with @torch.no_grad()")


def _tensors(data: TensorDict) -> dict[str, Tensor]:
    items = data.flatten_keys("/").items()
    return {name: torch.as_tensor(value) for name, value in items}


def _differing(one: Mapping[str, float], other: Mapping[str, float]) -> str:
    return ", ".join(name for name in one if one[name] != other.get(name))
