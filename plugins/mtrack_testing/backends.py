"""Checks of a backend: independent environments, exact repetition, exact restoring, fields and forces."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from mtrack import CheckpointError, MtrackError, NameProblem
from mtrack.api.physics import LARGEST_STATE
from mtrack_testing.backend_trial import DECLARED_FIELD, NUM_ENVS, BackendTrial, start_of
from mtrack_testing.promises import BrokenPromise, ComponentUnderTest, Report
from mtrack_testing.replay import check_replay
from mtrack_testing.watch import close, own_tensors, same
from mtrack_testing.worlds import WORLDS, World

_STIFF = 10.0  # factor on the gains; with its own gains the robot falls
_LOAD, _SETTLED = 5.0, 100  # kg, control steps


def check_backend(cls: type, /, *, device: str = "cpu", **params: Any) -> Report:
    """Check a backend with the toy robot or, if it cannot build that one, with the G1. Raises BrokenPromise."""
    subject = ComponentUnderTest("backend", cls, params, device=device)
    subject.check_contract()
    refusals: list[str] = []
    for world in WORLDS:
        here = subject.on(world.name)
        try:
            first = BackendTrial(here, world)
        except MtrackError as error:
            refusals.append(f"not with the {world.name} robot: {error}")
            continue
        parts = (_shapes, _starts, _repeats, _restores, _rejects, _diverges, check_replay, _fields, _carries, _forces)
        checks = tuple(promise for check in parts for promise in check(here, world, first))
        return Report(str(subject), (world.name,), ("contract", *checks), tuple(refusals))
    raise BrokenPromise("build", str(subject), "; ".join(refusals), "give the parameters that it needs")


def _shapes(subject: ComponentUnderTest, world: World, sim: BackendTrial) -> Iterator[str]:
    joints, bodies = len(sim.model.joint_names), len(sim.model.body_names)
    last = {"pos": (3,), "quat_wxyz": (4,), "lin_vel": (3,), "ang_vel": (3,)}
    for name, value in own_tensors(sim.backend.state).items():
        part, _, quantity = name.partition("_")
        wanted = (
            (NUM_ENVS, joints)
            if part == "joint"
            else (NUM_ENVS, *((bodies,) if part == "body" else ()), *last[quantity])
        )
        subject.require(
            tuple(value.shape) == wanted and value.dtype == torch.float32,
            "shape",
            f"state.{name} is {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}",
            f"use {wanted} float32",
        )
    wanted = (NUM_ENVS, len(sim.backend.contact_names), 4)
    shape = tuple(sim.backend.contacts.shape)
    subject.require(shape == wanted, "shape", f"contacts are {shape}", f"use {wanted}")
    default = sim.model.default_joint_pos.to(sim.device).expand(NUM_ENVS, -1)
    at_default = close(sim.backend.state.joint_pos, default, 1e-5)
    subject.require(at_default, "build", "environments do not start in the default pose", "set it for all in build()")
    yield "shape"


def _starts(subject: ComponentUnderTest, world: World, sim: BackendTrial) -> Iterator[str]:
    """Check that set_state changes the given environments only, and that live tensors keep their storage."""
    storage = {name: value.data_ptr() for name, value in sim.live().items()}
    sim.put(sim.everything)
    for name in ("root_pos", "root_quat_wxyz", "root_lin_vel", "root_ang_vel", "joint_pos", "joint_vel"):
        subject.require(
            close(getattr(sim.backend.state, name), getattr(sim.start(), name), 1e-4),
            "set_state",
            f"{name} differs from what set_state was given",
            "take world axes and link origins, convert them for the solver, and copy back in refresh(env_ids)",
        )
    before = sim.run()
    sim.put(sim.envs([2]))
    for name, value in sim.live().items():
        subject.require(
            same(value[[0, 1, 3, 4]], before[name][[0, 1, 3, 4]]),
            "environments are independent",
            f"set_state of environment 2 has changed {name} of others",
            "change the given environments only, in forward() and refresh() too",
        )
        moved = value.data_ptr() != storage[name]
        subject.require(
            not moved, "live tensors", f"{name} has been replaced by another tensor", "copy into it: x.copy_(y)"
        )
    sim.put(sim.everything, height=1.0)
    in_the_air = not bool(sim.backend.contacts.any())
    subject.require(
        in_the_air, "forward", "environments reset into the air have contact", "compute contacts in forward()"
    )
    yield from ("set_state", "live tensors")


def _repeats(subject: ComponentUnderTest, world: World, sim: BackendTrial) -> Iterator[str]:
    """Check that the same run, repeated and with the environments in another order, gives the same numbers."""
    sim.put(sim.everything)
    expected = sim.run()
    again, turned = BackendTrial(subject, world), BackendTrial(subject, world, (2, 3, 4, 0, 1))
    for other in (again, turned):
        other.put(other.everything)
        for name, value in other.run().items():
            promise = "environments are independent" if other is turned else "same numbers"
            subject.require(
                same(value, expected[name][other.cases]),
                promise,
                f"{name} differs from the first run" + (" if environments are reordered" if other is turned else ""),
                "clear warm starts and forces in set_state(); let no environment affect another",
            )
    yield from ("same numbers", "environments are independent")


def _restores(subject: ComponentUnderTest, world: World, sim: BackendTrial) -> Iterator[str]:
    sim.put(sim.everything)
    sim.run(0, 2)
    state = {name: value.clone() for name, value in sim.backend.state_dict().items()}
    expected, other = sim.run(2), BackendTrial(subject, world)
    other.backend.load_state_dict(state)
    for name, value in other.run(2).items():
        found = f"after load_state_dict it continues differently: {name}"
        subject.require(same(value, expected[name]), "checkpoint", found, "save the whole integration state")
    name, value = next(iter(state.items()))
    try:
        with subject.guard("checkpoint", "raise CheckpointError if shapes differ"):
            other.backend.load_state_dict({**state, name: torch.cat((value, value))})
    except CheckpointError:
        yield "checkpoint"
    else:
        subject.fail("checkpoint", f"it accepts '{name}' with another shape", "raise CheckpointError")


def _rejects(subject: ComponentUnderTest, world: World, sim: BackendTrial) -> Iterator[str]:
    calls: dict[str, Callable[[], object]] = {
        "field('body_mass')": lambda: sim.backend.field("body_mass"),
        "model_ids('body', 'no such body')": lambda: sim.backend.model_ids("body", "no such body"),
    }
    for words, call in calls.items():
        try:
            with subject.guard("names", f"raise NameProblem in {words}"):
                call()
        except NameProblem:
            continue
        subject.fail("names", f"{words} returns something", "raise NameProblem for unknown or undeclared names")
    yield "names"


def _diverges(subject: ComponentUnderTest, world: World, sim: BackendTrial) -> Iterator[str]:
    """Check that an environment that is not finite, or out of bounds, is reported, and no other."""
    other = BackendTrial(subject, world)
    other.put(other.everything)
    other.run(0, 1)
    subject.require(
        not bool(other.backend.diverged().any()), "diverged", "it reports finite environments", "check each one"
    )
    for value in (torch.nan, 2.0 * LARGEST_STATE):
        start = start_of(other.start(), [3])
        start.joint_vel.fill_(value)
        start.joint_pos.fill_(value)
        other.backend.set_state(other.envs([3]), start)
        other.run(1, 2)
        broken = other.backend.diverged()
        subject.require(
            broken.dtype == torch.bool and broken.tolist() == [False, False, False, True, False],
            "diverged",
            f"with positions and velocities of {value:g} in environment 3, diverged() is {broken.tolist()}",
            "compare their sizes with LARGEST_STATE (mtrack.api.physics); do not let the solver reset it silently",
        )
        other.put(other.envs([3]))
        other.run(2, 3)
        still = bool(other.backend.diverged().any())
        fix = "clear the flag in set_state()"
        subject.require(not still, "diverged", "it still reports an environment after a reset", fix)
    yield "diverged"


def _fields(subject: ComponentUnderTest, world: World, sim: BackendTrial) -> Iterator[str]:
    """Check that a model field and a push affect their own environment only."""
    if world.compiled is None:
        return
    changed = BackendTrial(subject, world)
    changed.backend.field(DECLARED_FIELD)[1] *= 0.5
    sim.put(sim.everything)
    changed.put(changed.everything)
    expected, found = sim.run()["root_lin_vel"], changed.run()["root_lin_vel"]
    differs = [env for env in range(NUM_ENVS) if not same(expected[env], found[env])]
    subject.require(
        differs == [1],
        "model fields",
        f"{DECLARED_FIELD} halved in environment 1 changes environments {differs}",
        "give every environment its own copy of a declared field, and use it in step()",
    )
    plain, pushed = BackendTrial(subject, world), BackendTrial(subject, world)
    for one in (plain, pushed):  # in free flight a push moves all bodies equally
        one.put(one.everything, height=2.0)
    push = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], device=sim.device).expand(NUM_ENVS, 6)
    pushed.backend.push_root(push)
    gained = pushed.run(0, 1)["root_lin_vel"] - plain.run(0, 1)["root_lin_vel"]
    added = close(gained, push[:, :3], 1e-2)
    subject.require(added, "push_root", "it does not add the velocity to that of the root", "add [m/s] in world axes")
    yield from ("model fields", "push_root")


def _carries(subject: ComponentUnderTest, world: World, sim: BackendTrial) -> Iterator[str]:
    """Check that the feet carry the weight of the robot, with the masses of each environment."""
    if world.compiled is None:
        return
    gains = ("actuator_gainprm", "actuator_biasprm")
    standing = BackendTrial(subject, world, fields=(*gains, "body_mass"))
    backend = standing.backend
    for name in gains:
        backend.field(name).mul_(_STIFF)
    backend.field("body_mass")[2, backend.model_ids("body", standing.model.body_names[0])] += _LOAD
    backend.update_constants(standing.envs([2]))
    standing.stand(_SETTLED)
    weight = 9.81 * (standing.model.mass + _LOAD * (standing.everything == 2))
    carried = backend.contacts[..., 3].sum(1)
    subject.require(
        close(carried, weight, 0.02),
        "contact forces",
        f"robots that weigh {weight.tolist()} N stand on {carried.tolist()} N",
        "give the net force ON the body in world axes, and use the masses of each environment",
    )
    yield "contact forces"


def _forces(subject: ComponentUnderTest, world: World, sim: BackendTrial) -> Iterator[str]:
    """Check that a force acts on its own environment, stays until it is changed, and is saved."""
    if world.compiled is None:
        return
    pushed, other = (BackendTrial(subject, world, forces=True) for _ in range(2))
    for one in (sim, pushed, other):
        one.put(one.everything, height=2.0)
    pushed.backend.wrench[1, 0, 2] = 200.0
    expected, found = sim.run(0, 1)["root_lin_vel"], pushed.run(0, 1)["root_lin_vel"]
    differs = [env for env in range(NUM_ENVS) if not close(expected[env], found[env], 1e-3)]
    lifted = bool(found[1, 2] > expected[1, 2])
    subject.require(
        differs == [1] and lifted,
        "forces",
        f"an upward force on the root of environment 1 changes environments {differs}",
        "apply `wrench` of each environment, in world axes, at the origins of bodies",
    )
    other.backend.load_state_dict({name: value.clone() for name, value in pushed.backend.state_dict().items()})
    resumed = other.run(1)
    differing = [name for name, value in pushed.run(1).items() if not same(value, resumed[name])]
    subject.require(not differing, "forces", f"restored from a checkpoint, {differing[:3]} differ", "save the wrench")
    yield "forces"
