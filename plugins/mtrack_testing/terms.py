"""Checks of components that are bound to a scene: observations, rewards, commands, randomizations, ..."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from mtrack import CheckpointError
from mtrack.api.fields import fields_of
from mtrack.api.lifecycle import Resets
from mtrack_testing.component_trial import ALL, ComponentTrial, Outputs
from mtrack_testing.cost import check_cost, check_loops
from mtrack_testing.promises import ComponentUnderTest
from mtrack_testing.values import check_members, check_outputs, check_start
from mtrack_testing.watch import close, same, shown
from mtrack_testing.worlds import NUM_ENVS, NUM_STEPS, World

_MIDDLE = NUM_STEPS // 2
_ONE_OTHER = (NUM_ENVS, *ALL[1:])  # environment 0 replaced by another
_REORDERED = (*ALL[3:], *ALL[:3])
_ROUNDING = 1e-4


class WatchedTrial:
    """A trial that has been played and watched; further trials are compared with it."""

    def __init__(self, subject: ComponentUnderTest, world: World) -> None:
        """Play all steps. Raises MtrackError if the component cannot be bound to this world, BrokenPromise."""
        self.subject, self.world = subject.on(world.name), world
        self.trial = ComponentTrial(self.subject, world, watch=True)
        before = self.trial.generators()
        self.trial.start()
        self.outputs: list[Outputs] = []
        for time in range(NUM_STEPS):
            if time == _MIDDLE:
                middle = self.trial.generators()
                self.restore = self._saved()
            self.outputs.append(self.trial.step(time))
            check_outputs(self.trial, time, self.outputs[-1])
        check_members(self.trial)
        drawn = self.trial.generators()
        self.draws = any(not same(one, other) for one, other in zip(before, drawn, strict=True))
        """Whether it draws random numbers after it is bound."""
        self.draws_in_steps = any(not same(one, other) for one, other in zip(middle, drawn, strict=True))

    def again(self, env_ids: tuple[int, ...] = ALL, *, mirrored: bool = False, alike: bool = False) -> list[Outputs]:
        """Return the outputs of an equal component for other environments, or for their mirror images."""
        return ComponentTrial(self.subject, self.world, env_ids=env_ids, mirrored=mirrored, alike=alike).start().play()

    def _saved(self) -> Callable[[ComponentTrial], None]:
        try:
            return self.trial.save()
        except CheckpointError as error:
            self.subject.fail("checkpoint", str(error), "keep tensors, numbers, generators and modules in state()")


def check_term(subject: ComponentUnderTest, world: World) -> Iterator[str]:
    """Yield the promises kept; notes start with a dash. Raises MtrackError if it cannot be bound, BrokenPromise."""
    played = WatchedTrial(subject, world)
    yield from ("contract", "shape", "dtype", "device", "finite", "read-only scene", "own randomness")
    for check in (_seed, _checkpoint, _reset, _independent, _subset, _mirror):
        yield from check(played)
    check_loops(played.subject, world)
    yield "no loop over environments"
    yield f"- {check_cost(played.subject, world)}"


def _seed(played: WatchedTrial) -> Iterator[str]:
    for time, (one, other) in enumerate(zip(played.outputs, played.again(), strict=True)):
        name = _difference(one, other)
        played.subject.require(
            not name,
            "same seed, same numbers",
            f"a second component with equal parameters and seed gives another {name} at step {time}",
            "keep nothing in class attributes or modules, and draw only from a generator in a state() field",
        )
    yield "same seed, same numbers"


def _checkpoint(played: WatchedTrial) -> Iterator[str]:
    """Check that a component with another seed continues from the saved state as the first one did."""
    if played.subject.kind == "metric":
        return  # an evaluation is not resumed
    other = ComponentTrial(played.subject, played.world, seed=1).start()
    with played.subject.guard_call("checkpoint"):
        played.restore(other)
    for time, outputs in enumerate(other.play(_MIDDLE), start=_MIDDLE):
        name = _difference(played.outputs[time], outputs)
        if name:
            _no_part_of_the_scene(played)
            scratch = [field.name for field in fields_of(played.subject.cls, "scratch")]
            fields = f" (scratch: {', '.join(scratch)})" if scratch else ""
            played.subject.fail(
                "checkpoint",
                f"restored from its state() fields it gives another {name} at step {time}: something is not saved",
                f"declare what is kept between steps as state(), not as scratch() or elsewhere{fields}",
            )
    yield "checkpoint"


def _no_part_of_the_scene(played: WatchedTrial) -> None:
    """Check that no state() field is a tensor of the scene, which changes with the simulation."""
    names = {value.untyped_storage().data_ptr(): name for name, value in shown(played.trial.scene).items()}
    for field in fields_of(played.subject.cls, "state"):
        value = getattr(played.trial.component, field.name)
        storage = value.untyped_storage().data_ptr() if isinstance(value, Tensor) else -1
        played.subject.require(
            storage not in names,
            "checkpoint",
            f"its state '{field.name}' is scene.{names.get(storage)} itself, which changes with every step",
            f"keep a copy: self.{field.name} = ....clone()",
        )


def _reset(played: WatchedTrial) -> Iterator[str]:
    """Check that a reset of one environment does not change the others, at once or later."""
    subject = played.subject
    trial = ComponentTrial(subject, played.world).start()
    if not (subject.kind in ("action", "command") or isinstance(trial.component, Resets)):
        return
    trial.play(0, _MIDDLE)
    env, others = torch.tensor([4]), [i for i in ALL if i != 4]
    before = {name: value.clone() for name, value in _by_env(trial).items()}
    with subject.guard_call("call"):
        start = trial.reset(env)
    if subject.kind == "command":
        check_start(trial, start, env)
    after = {name: _envs_of(value, others) for name, value in _by_env(trial).items()}
    touched = [name for name, value in after.items() if not same(value, _envs_of(before[name], others))]
    later = "" if played.draws_in_steps else _name_that_differs(played.outputs[_MIDDLE:], trial.play(_MIDDLE), others)
    subject.require(
        not touched and not later,
        "reset of one environment",
        f"a reset of environment 4 changes {(touched or [later])[0]} of others",
        "write only to the given environments: x.index_fill_(0, env_ids, 0.0), x[env_ids] = ...",
    )
    yield "reset of one environment"


def _independent(played: WatchedTrial) -> Iterator[str]:
    """Check that environments are independent: neither another neighbour nor another order changes a result."""
    if not _shares_state(played.trial):
        changed = _name_that_differs(played.outputs, played.again(_ONE_OTHER), list(ALL[1:]))
        played.subject.require(
            not changed,
            "environments are independent",
            f"{changed} of an environment depends on another environment",
            "reduce only over axes after the first: .mean(-1), never .mean() or .mean(0)",
        )
    if not played.draws:
        for one, other in zip(played.outputs, played.again(_REORDERED), strict=True):
            name = next((n for n, value in one.items() if not close(_reordered(value), other[n], _ROUNDING)), "")
            played.subject.require(
                not name,
                "environments are independent",
                f"with the environments in another order, {name} differs",
                "do not depend on the index of an environment: no roll, cumsum or arange over the first axis",
            )
    yield "environments are independent"


def _subset(played: WatchedTrial) -> Iterator[str]:
    """Check that an observation of some environments equals that part of the observation of all."""
    if played.subject.kind != "observation":
        return
    trial = played.trial
    whole = trial.result()["value"]
    for some in ([5, 2], []):
        env_ids = torch.tensor(some, dtype=torch.int64)
        with played.subject.guard_call("call"):
            part = trial.component(trial.scene.select(env_ids))
        played.subject.require(
            close(part, whole[env_ids], _ROUNDING),
            "environments are independent",
            f"for environments {some} alone it gives {tuple(part.shape)}, different from that part of the whole",
            "use num_envs of the scene in the call, not in bind(); index buffers of all environments by scene.env_ids",
        )
    yield "subset of environments"


def _mirror(played: WatchedTrial) -> Iterator[str]:
    """Check that a mirrored scene gives the mirrored value; for rewards and terminations only note it."""
    kind, subject = played.subject.kind, played.subject
    if kind not in ("observation", "action", "reward", "termination"):
        return
    component = played.trial.component
    pairs = zip(played.again(alike=True), played.again(mirrored=True, alike=True), strict=True)
    for plain, mirrored in pairs:
        for name, value in plain.items():
            image = value
            if kind in ("observation", "action"):
                of_joints = name.startswith("target")
                image = (played.world.model.joint_mirror if of_joints else component.mirror())(value)
            if close(image, mirrored[name], _ROUNDING * max(1.0, float(value.double().abs().max()))):
                continue
            if kind in ("reward", "termination"):
                yield "- its value differs in the mirror image: phases that use mirror images need mirror = false"
                return
            columns = (~torch.isclose(image, mirrored[name], rtol=0.0, atol=1e-3)).any(0).nonzero().squeeze(-1).tolist()
            subject.fail(
                "mirror",
                f"{name} of the mirrored scene is not the mirrored {name} (columns {columns[:6]})",
                "y of vectors and x and z of angular velocities change sign; left and right are swapped",
            )
    yield "mirror"


def _shares_state(trial: ComponentTrial) -> bool:
    """Return whether a state() field other than a generator may be shared by all environments."""
    for field in fields_of(trial.subject.cls, "state"):
        value = getattr(trial.component, field.name)
        is_by_env = isinstance(value, Tensor) and len(trial.env_ids) in value.shape[:2]
        if value is not None and not is_by_env and not isinstance(value, torch.Generator):
            return True
    return False


def _by_env(trial: ComponentTrial) -> Outputs:
    """Return everything with an axis of environments that a reset may change, by name."""
    values = {f"state '{f.name}'": getattr(trial.component, f.name) for f in fields_of(trial.subject.cls, "state")}
    values |= {f"model field '{name}'": value for name, value in trial.backend.fields.items()}
    values |= {"current_target": trial.component.current_target} if trial.subject.kind == "action" else {}
    if trial.subject.kind == "command":
        values["the published joint_pos"] = trial.scene.reference.joint_pos
        values["the published future"] = trial.scene.reference.future.root_pos
    return {n: v for n, v in values.items() if isinstance(v, Tensor) and len(trial.env_ids) in v.shape[:2]}


def _envs_of(value: Tensor, envs: list[int]) -> Tensor:
    """Return some environments; their axis is the first, or the second of values kept for several steps."""
    return value[envs] if value.shape[0] == NUM_ENVS else value[:, envs]


def _reordered(value: Tensor) -> Tensor:
    return _envs_of(value, list(_REORDERED)) if NUM_ENVS in value.shape[:2] else value


def _difference(one: Outputs, other: Outputs) -> str:
    return next((name for name, value in one.items() if not same(value, other[name])), "")


def _name_that_differs(ones: list[Outputs], others: list[Outputs], envs: list[int]) -> str:
    """Return the name of an output that differs in some environments, or an empty string."""
    for one, other in zip(ones, others, strict=True):
        for name, value in one.items():
            if NUM_ENVS in value.shape[:2] and not close(_envs_of(value, envs), _envs_of(other[name], envs), 1e-6):
                return name
    return ""
