"""What the time of an iteration is spent on: the parts of a control step and of an update."""

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
from mtrack_dev.stopwatch import Part, Stopwatch

_ACTION, _COMMAND, _DERIVED, _PHYSICS = "step/action", "step/command", "step/derived quantities", "step/physics"
_RANDOMIZATIONS, _RESET, _CONTACTS, _OBSERVATIONS = (
    "step/randomizations",
    "step/reset",
    "step/contacts",
    "step/observations",
)
_UPDATE = {"prepare": "advantages", "optimise": "policy and critic", "train_estimator": "estimator"}


def listen(stage: PhaseRun, finish: Callable[[], object]) -> Stopwatch:
    """Return a stopwatch for a stage: its parts are named `step/...` and `update/...`.

    `finish` waits for the device. The stage is of no other use afterwards: calls of randomizations stay wrapped.
    """
    watch = Stopwatch([*_of_step(stage), *_of_update(stage)], finish)
    calls = stage.assembly.env.calls
    for before in (calls.before_step, calls.before_substep, calls.after_substep, calls.randomize, calls.reset):
        before[:] = [watch.heard(call, _RANDOMIZATIONS) for call in before]
    return watch


def milliseconds(seconds: Mapping[str, float], steps: int, iterations: int) -> dict[str, float]:
    """Return milliseconds of a control step's and of an update's parts, what takes longest first within each."""
    counts = {"step": steps, "update": iterations}
    each = {part: 1e3 * taken / counts[part.partition("/")[0]] for part, taken in seconds.items()}
    return dict(sorted(each.items(), key=lambda entry: (entry[0].partition("/")[0], -entry[1])))


def _of_step(stage: PhaseRun) -> Iterator[Part]:
    """Yield what one control step is made of, and the policy that acts in it."""
    env = stage.assembly.env
    backend, command, action = type(env.backend), type(env.command), type(env.action)
    yield Part(Learner, "collect", "step/recording")
    yield Part(type(stage.phase), "act", "step/policy")
    yield from (Part(backend, call, _PHYSICS) for call in ("step", "forward"))
    yield from (Part(backend, call, _DERIVED) for call in ("refresh", "diverged"))
    yield from (Part(ContactTracker, call, _CONTACTS) for call in ("after_substep", "update", "reset"))
    yield from (Part(action, call, _ACTION) for call in ("apply", "target", "reset"))
    yield from (Part(command, call, _COMMAND) for call in ("advance", "finished", "reset"))
    yield Part(Env, "step", "step/loop")
    yield Part(Env, "_reward", "step/rewards")
    yield Part(Env, "_end", "step/terminations")
    yield Part(Env, "_reset", _RESET)
    yield Part(EpisodeStatistics, "add", "step/statistics")
    yield from (Part(Observer, call, _OBSERVATIONS) for call in ("observe", "final_observations"))
    yield from (Part(Term, call, _group) for call in ("observe", "final_observations"))
    kinds = {RobotState, Reference, Contacts, type(env.scene.reference), type(env.scene.reference.future)}
    bases = {base for kind in kinds for base in kind.__mro__}
    quantities = {value for base in bases for value in vars(base).values() if isinstance(value, derived)}
    yield from (Part(quantity, "compute", _DERIVED) for quantity in quantities)


def _of_update(stage: PhaseRun) -> Iterator[Part]:
    """Yield what an update is made of, as far as its phase is made of such functions."""
    phase = type(stage.phase)
    yield Part(phase, "update", "update/rest")
    module = sys.modules[phase.__module__]
    yield from (Part(module, call, f"update/{part}") for call, part in _UPDATE.items() if hasattr(module, call))
    if hasattr(stage.agent, "learn_normalisers"):
        yield Part(type(stage.agent), "learn_normalisers", "update/normalisers")


def _group(term: Term) -> str:
    """Return the part of an observation: its group, `step/observations.policy`."""
    return "step/" + ".".join(term.path.split(".")[:2])
