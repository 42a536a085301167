"""The checks of a phase, on the toy task: it acts, learns, repeats itself from a seed and goes on from a checkpoint."""

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
from mtrack_dev.testing.agents import restore, saved
from mtrack_dev.testing.promises import Report, Subject
from mtrack_dev.testing.tasks import small_recipe, small_task
from mtrack_dev.testing.watch import same, undrawn

_ENVS, _STEPS, _ITERATIONS = 16, 24, 3
_NOBODY = "a phase that does not exist"


def check_phase(cls: type, agent: Any = None, /, **params: Any) -> Report:
    """Check a phase, with an agent that has not been built (by default a small `teacher_student`).

    Raises BrokenPromise.
    """
    subject = Subject("phase", cls, params).on("toy")
    subject.check_contract()
    agent = agent or small_recipe("toy").agent.build()
    follows = tuple(getattr(cls, "follows", (None,)))
    previous = follows[0]
    first, second = (_Run.begin(subject, agent, previous) for _ in range(2))
    _check_order(subject, first, follows)
    for iteration in range(_ITERATIONS):
        if iteration == 1:
            middle = first.save()
        one, other = first.iterate(iteration), second.iterate(iteration)
        subject.require(
            one == other,
            "same seed, same numbers",
            f"metrics of two equal runs differ in iteration {iteration}: {_differing(one, other)}",
            "draw from a torch.Generator in a state() field, shuffle minibatches with it too",
        )
    third = _Run.begin(subject, agent, previous, seed=1)
    third.load(middle)
    for iteration in range(1, _ITERATIONS):
        third.iterate(iteration)
    first_state, third_state = first.state(), third.state()
    differing = [name for name, value in first_state.items() if not same(value, third_state[name])]
    subject.require(
        not differing and first.metrics == third.metrics,
        "checkpoint",
        f"resumed after an iteration it goes on differently: {(differing or ['its metrics'])[0]}",
        "declare optimisers, generators, counters and rates as state()",
    )
    checks = ("contract", "order", "act", "update", "same seed, same numbers", "checkpoint")
    return Report(str(subject.on("")), ("toy",), checks, (f"metrics: {', '.join(first.metrics)}",))


@attrs.define(eq=False)
class _Run:
    """A phase on the toy task."""

    subject: Subject
    agent: Any
    phase: Any
    assembly: Assembly
    learner: Learner
    metrics: dict[str, float] = attrs.field(factory=dict)

    @staticmethod
    def begin(subject: Subject, agent: Any, previous: str | None, seed: int = 0) -> _Run:
        """Build everything, and let the phase take the agent over."""
        assembly = small_task("toy", f"num_envs={_ENVS}")
        agent, phase = deepcopy(agent), subject.make(seed)
        agent.build(assembly.layout)
        with undrawn(subject), subject.called("enter"):
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
        with undrawn(subject), subject.called("act"), torch.no_grad():
            generators = saved(subject, self.phase)
            _check_decision(subject, self.phase.act(observations), observations, self.assembly.layout.num_actions)
            restore(subject, self.phase, generators)  # that was one draw more than the loop makes
            action = self.agent.policy(observations, self.phase.actor)
        wanted = (_ENVS, self.assembly.layout.num_actions)
        subject.require(
            tuple(action.shape) == wanted, "act", f"its actor gives {tuple(action.shape)}", f"give {wanted}"
        )
        with undrawn(subject), subject.called("act"):
            rollout = self.learner.collect()
        unchanged = all(same(before[group], rollout.data[group][:, 0]) for group in before.keys())  # noqa: SIM118
        subject.require(unchanged, "act", "it has changed the observations it was given", "work on a copy")
        self.metrics = self._update(rollout, iteration / _ITERATIONS)
        return self.metrics

    def _update(self, rollout: Rollout, progress: float) -> dict[str, float]:
        subject, before = self.subject, _tensors(rollout.data)
        before = {name: value.clone() for name, value in before.items()}
        with undrawn(subject), subject.called("update"):
            metrics = self.phase.update(rollout, progress)
        changed = [name for name, value in _tensors(rollout.data).items() if not same(value, before[name])]
        subject.require(not changed, "update", f"it has changed {changed[:3]} of the rollout", "work on a copy")
        subject.require(isinstance(metrics, Mapping), "update", f"it returned {metrics!r}", "return metrics by name")
        numbers = {name: float(torch.as_tensor(value).float().mean()) for name, value in metrics.items()}
        wrong = [name for name, value in numbers.items() if not torch.isfinite(torch.tensor(value))]
        subject.require(not wrong, "finite", f"its metrics {wrong} are not finite", "look where it divides by zero")
        return numbers

    def save(self) -> tuple[Any, Any, Any]:
        """Return what a checkpoint would hold."""
        env = deepcopy(env_state(self.assembly))
        return saved(self.subject, self.agent), saved(self.subject, self.phase), env

    def load(self, state: tuple[Any, Any, Any]) -> None:
        """Go on from there."""
        agent, phase, env = state
        restore(self.subject, self.agent, agent)
        restore(self.subject, self.phase, phase)
        load_env_state(self.assembly, deepcopy(env))

    def state(self) -> dict[str, Tensor]:
        """Return every tensor of agent and phase, by name."""
        parts = {"agent": self.agent, "phase": self.phase}
        tensors = {who: saved(self.subject, part)[1] for who, part in parts.items()}
        return {f"{who}{name}": value for who, found in tensors.items() for name, value in found.items()}


def _check_order(subject: Subject, run: _Run, follows: tuple[str | None, ...]) -> None:
    """See to it that a phase that names those it follows refuses others."""
    if not hasattr(subject.cls, "follows"):
        return
    try:
        with subject.explained("order", "raise MtrackError: mtrack.recipe.phase_order.require_order does"):
            subject.make().enter(run.agent, run.assembly.layout, _NOBODY)
    except MtrackError:
        return
    found = f"it follows {follows}, and yet enters after another phase"
    call = "require_order('its name in recipes', self.follows, previous)"
    subject.fail("order", found, f"begin enter() with {call}, from mtrack.recipe.phase_order")


def _check_decision(subject: Subject, decision: TensorDict, observations: TensorDict, width: int) -> None:
    action = decision.get("action", None) if isinstance(decision, TensorDict) else None
    rows = observations.batch_size[0]
    is_good = isinstance(action, Tensor) and tuple(action.shape) == (rows, width) and action.dtype == torch.float32
    found = f"{tuple(action.shape)} {action.dtype}" if isinstance(action, Tensor) else "nothing"
    fix = f"return TensorDict({{'action': ...}}, batch_size=observations.batch_size) with ({rows}, {width}) float32"
    subject.require(is_good, "act", f"its action is {found}", fix)
    subject.require(bool(torch.isfinite(action).all()), "finite", "its action is not finite", "look at its networks")
    graph = [name for name, value in decision.items() if value.requires_grad]
    subject.require(not graph, "act", f"{graph} would be kept with gradients", "decorate act() with @torch.no_grad()")


def _tensors(data: TensorDict) -> dict[str, Tensor]:
    items = data.flatten_keys("/").items()
    return {name: torch.as_tensor(value) for name, value in items}


def _differing(one: Mapping[str, float], other: Mapping[str, float]) -> str:
    return ", ".join(name for name in one if one[name] != other.get(name))
