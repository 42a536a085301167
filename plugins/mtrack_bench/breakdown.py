"""Splits the time of an iteration into the parts of a control step and of an update."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping

from mtrack import Contacts, Env, Reference, RobotState
from mtrack.api.cached_tensors import derived
from mtrack.loop.contacts import ContactTracker
from mtrack.loop.learner import Learner
from mtrack.loop.observe import Observer, Term
from mtrack.loop.statistics import EpisodeStatistics
from mtrack.run.phase_run import PhaseRun
from mtrack_bench.stopwatch import Stopwatch, TimedFunction

_ACTION, _COMMAND, _DERIVED, _PHYSICS = "step/action", "step/command", "step/derived quantities", "step/physics"
_RANDOMIZATIONS, _RESET, _CONTACTS, _OBSERVATIONS = (
    "step/randomizations",
    "step/reset",
    "step/contacts",
    "step/observations",
)
_UPDATE = {"prepare": "advantages", "optimise": "policy and critic", "train_estimator": "estimator"}


def time_parts(stage: PhaseRun, finish: Callable[[], object]) -> Stopwatch:
    """Return a stopwatch for a stage; the names of the parts start with `step/` or `update/`.

    `finish` waits for the device. Do not use the stage for anything else: its randomization calls stay wrapped.
    """
    watch = Stopwatch([*_step_functions(stage), *_update_functions(stage)], finish)
    calls = stage.assembly.env.calls
    for functions in (calls.before_step, calls.before_substep, calls.after_substep, calls.randomize, calls.reset):
        functions[:] = [watch.timed(function, _RANDOMIZATIONS) for function in functions]
    return watch


def milliseconds(seconds: Mapping[str, float], steps: int, iterations: int) -> dict[str, float]:
    """Return the milliseconds of each part of a control step and of an update, longest first."""
    counts = {"step": steps, "update": iterations}
    each = {part: 1e3 * total / counts[part.partition("/")[0]] for part, total in seconds.items()}
    return dict(sorted(each.items(), key=lambda item: (item[0].partition("/")[0], -item[1])))


def _step_functions(stage: PhaseRun) -> Iterator[TimedFunction]:
    """Yield the functions that make up one control step, including the policy."""
    env = stage.assembly.env
    backend, command, action = type(env.backend), type(env.command), type(env.action)
    yield TimedFunction(Learner, "collect", "step/recording")
    yield TimedFunction(type(stage.phase), "act", "step/policy")
    yield from (TimedFunction(backend, call, _PHYSICS) for call in ("step", "forward"))
    yield from (TimedFunction(backend, call, _DERIVED) for call in ("refresh", "diverged"))
    yield from (TimedFunction(ContactTracker, call, _CONTACTS) for call in ("after_substep", "update", "reset"))
    yield from (TimedFunction(action, call, _ACTION) for call in ("apply", "target", "reset"))
    yield from (TimedFunction(command, call, _COMMAND) for call in ("advance", "finished", "reset"))
    yield TimedFunction(Env, "step", "step/loop")
    yield TimedFunction(Env, "_reward", "step/rewards")
    yield TimedFunction(Env, "_end", "step/terminations")
    yield TimedFunction(Env, "_reset", _RESET)
    yield TimedFunction(EpisodeStatistics, "add", "step/statistics")
    yield from (TimedFunction(Observer, call, _OBSERVATIONS) for call in ("observe", "final_observations"))
    yield from (TimedFunction(Term, call, _group) for call in ("observe", "final_observations"))
    kinds = {RobotState, Reference, Contacts, type(env.scene.reference), type(env.scene.reference.future)}
    bases = {base for kind in kinds for base in kind.__mro__}
    quantities = {value for base in bases for value in vars(base).values() if isinstance(value, derived)}
    yield from (TimedFunction(quantity, "compute", _DERIVED) for quantity in quantities)


def _update_functions(stage: PhaseRun) -> Iterator[TimedFunction]:
    """Yield the functions that make up an update, if the module of the phase has them."""
    phase = type(stage.phase)
    yield TimedFunction(phase, "update", "update/rest")
    module = sys.modules[phase.__module__]
    yield from (
        TimedFunction(module, call, f"update/{part}") for call, part in _UPDATE.items() if hasattr(module, call)
    )
    if hasattr(stage.agent, "learn_normalisers"):
        yield TimedFunction(type(stage.agent), "learn_normalisers", "update/normalisers")


def _group(term: Term) -> str:
    """Return the part that an observation counts for: its group, e.g. `step/observations.policy`."""
    return "step/" + ".".join(term.path.split(".")[:2])
