"""The conformance suite of backends: rows that know nothing of each other, exact repetition, exact restoring."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch

from mtrack.errors import CheckpointError, MtrackError, NameProblem
from mtrack_testing.promises import BrokenPromise, Report, Subject
from mtrack_testing.replay import check_replay
from mtrack_testing.simulation import DECLARED_FIELD, ROWS_SIMULATED, Simulation, rows_of
from mtrack_testing.watch import close, own_tensors, same
from mtrack_testing.worlds import WORLDS, World

_STIFF = 10.0  # times the gains: with its own the robot falls
_LOAD, _SETTLED = 5.0, 100  # kg, control steps


def check_backend(cls: type, /, *, device: str = "cpu", **params: Any) -> Report:
    """Check a backend with the toy robot or, where that will not do, the G1. Raises BrokenPromise."""
    subject = Subject("backend", cls, params, device=device)
    subject.check_contract()
    refusals: list[str] = []
    for world in WORLDS:
        here = subject.on(world.name)
        try:
            first = Simulation(here, world)
        except MtrackError as error:
            refusals.append(f"not with the {world.name} robot: {error}")
            continue
        looks = (_shapes, _starts, _repeats, _restores, _refuses, _breaks, check_replay, _fields, _carries, _forces)
        checks = tuple(check for look in looks for check in look(here, world, first))
        return Report(str(subject), (world.name,), ("contract", *checks), tuple(refusals))
    raise BrokenPromise("build", str(subject), "; ".join(refusals), "give the parameters it needs")


def _shapes(subject: Subject, world: World, sim: Simulation) -> Iterator[str]:
    joints, bodies, rows = len(sim.model.joint_names), len(sim.model.body_names), ROWS_SIMULATED
    last = {"pos": (3,), "quat_wxyz": (4,), "lin_vel": (3,), "ang_vel": (3,)}
    for name, value in own_tensors(sim.backend.state).items():
        part, _, quantity = name.partition("_")
        wanted = (rows, joints) if part == "joint" else (rows, *((bodies,) if part == "body" else ()), *last[quantity])
        subject.require(
            tuple(value.shape) == wanted and value.dtype == torch.float32,
            "shape",
            f"state.{name} is {tuple(value.shape)} {str(value.dtype).removeprefix('torch.')}",
            f"give {wanted} float32",
        )
    wanted = (rows, len(sim.backend.contact_names), 4)
    subject.require(tuple(sim.backend.contacts.shape) == wanted, "shape", "contacts are not", f"give {wanted}")
    at_default = close(sim.backend.state.joint_pos, sim.model.default_joint_pos.to(sim.device).expand(rows, -1), 1e-5)
    subject.require(at_default, "build", "rows do not begin at the default pose", "set it for every row in build()")
    yield "shape"


def _starts(subject: Subject, world: World, sim: Simulation) -> Iterator[str]:
    """Rows are put where they are told to be, others stay; live tensors keep their storage."""
    places = {name: value.data_ptr() for name, value in sim.live().items()}
    sim.put(sim.everything)
    for name in ("root_pos", "root_quat_wxyz", "root_lin_vel", "root_ang_vel", "joint_pos", "joint_vel"):
        subject.require(
            close(getattr(sim.backend.state, name), getattr(sim.start(), name), 1e-4),
            "set_state",
            f"{name} is not what set_state was given",
            "world axes and link origins in; convert to the solver's own; refresh(ids) copies back",
        )
    before = sim.run()
    sim.put(sim.rows([2]))
    for name, value in sim.live().items():
        subject.require(
            same(value[[0, 1, 3, 4]], before[name][[0, 1, 3, 4]]),
            "rows are independent",
            f"set_state of row 2 has changed {name} of other rows",
            "touch the rows given only, in forward() and refresh() too",
        )
        moved = value.data_ptr() != places[name]
        subject.require(not moved, "live tensors", f"{name} is another tensor than before", "copy into it: x.copy_(y)")
    sim.put(sim.everything, height=1.0)
    in_the_air = not bool(sim.backend.contacts.any())
    subject.require(in_the_air, "forward", "rows reset into the air have contact", "compute contacts in forward()")
    yield from ("set_state", "live tensors")


def _repeats(subject: Subject, world: World, sim: Simulation) -> Iterator[str]:
    """See to it that the same run again, and in another order of rows, gives the same numbers."""
    sim.put(sim.everything)
    expected = sim.run()
    again, turned = Simulation(subject, world), Simulation(subject, world, (2, 3, 4, 0, 1))
    for other in (again, turned):
        other.put(other.everything)
        for name, value in other.run().items():
            promise = "rows are independent" if other is turned else "same numbers"
            subject.require(
                same(value, expected[name][other.cases]),
                promise,
                f"{name} differs from the same run before" + (" in another order of rows" if other is turned else ""),
                "clear warm starts and forces in set_state(); let no row see another",
            )
    yield from ("same numbers", "rows are independent")


def _restores(subject: Subject, world: World, sim: Simulation) -> Iterator[str]:
    sim.put(sim.everything)
    sim.run(0, 2)
    state = {name: value.clone() for name, value in sim.backend.state_dict().items()}
    expected, other = sim.run(2), Simulation(subject, world)
    other.backend.load_state_dict(state)
    for name, value in other.run(2).items():
        found = f"restored from state_dict it goes on differently: {name}"
        subject.require(same(value, expected[name]), "checkpoint", found, "save the whole integration state")
    name, value = next(iter(state.items()))
    try:
        with subject.explained("checkpoint", "raise CheckpointError where shapes differ"):
            other.backend.load_state_dict({**state, name: torch.cat((value, value))})
    except CheckpointError:
        yield "checkpoint"
    else:
        subject.fail("checkpoint", f"it takes '{name}' of another shape", "raise CheckpointError")


def _refuses(subject: Subject, world: World, sim: Simulation) -> Iterator[str]:
    calls: dict[str, Callable[[], object]] = {
        "field('body_mass')": lambda: sim.backend.field("body_mass"),
        "element('body', 'no such body')": lambda: sim.backend.element("body", "no such body"),
    }
    for words, call in calls.items():
        try:
            with subject.explained("names", f"raise NameProblem in {words}"):
                call()
        except NameProblem:
            continue
        subject.fail("names", f"{words} is answered", "raise NameProblem for what is unknown or was not declared")
    yield "names"


def _breaks(subject: Subject, world: World, sim: Simulation) -> Iterator[str]:
    """See to it that a row that is not finite is told, and no other."""
    other = Simulation(subject, world)
    other.put(other.everything)
    other.run(0, 1)
    subject.require(not bool(other.backend.broken().any()), "broken", "sound rows are called broken", "look at each")
    start = rows_of(other.start(), [3])
    start.joint_vel.fill_(torch.nan)
    start.joint_pos.fill_(torch.nan)
    other.backend.set_state(other.rows([3]), start)
    other.run(1, 2)
    broken = other.backend.broken()
    subject.require(
        broken.dtype == torch.bool and broken.tolist() == [False, False, False, True, False],
        "broken",
        f"with NaN in row 3 broken() is {broken.tolist()}",
        "look whether each row is finite; let the solver not reset it silently",
    )
    other.put(other.rows([3]))
    other.run(2, 3)
    subject.require(not bool(other.backend.broken().any()), "broken", "a new start mends no row", "forget the fault")
    yield "broken"


def _fields(subject: Subject, world: World, sim: Simulation) -> Iterator[str]:
    """See to it that a model field, and a kick, are of their row alone."""
    if world.compiled is None:
        return
    changed = Simulation(subject, world)
    changed.backend.field(DECLARED_FIELD)[1] *= 0.5
    sim.put(sim.everything)
    changed.put(changed.everything)
    expected, found = sim.run()["root_lin_vel"], changed.run()["root_lin_vel"]
    differs = [row for row in range(ROWS_SIMULATED) if not same(expected[row], found[row])]
    subject.require(
        differs == [1],
        "model fields",
        f"{DECLARED_FIELD} halved in row 1 changes rows {differs}",
        "give every row its own copy of a declared field, and use it in step()",
    )
    plain, kicked = Simulation(subject, world), Simulation(subject, world)
    for one in (plain, kicked):  # in free flight a push moves the whole robot alike
        one.put(one.everything, height=2.0)
    push = torch.tensor([1.0, 0.0, 0.0, 0.0, 0.0, 0.0], device=sim.device).expand(ROWS_SIMULATED, 6)
    kicked.backend.kick(push)
    gained = kicked.run(0, 1)["root_lin_vel"] - plain.run(0, 1)["root_lin_vel"]
    added = close(gained, push[:, :3], 1e-2)
    subject.require(added, "kick", "kick does not add its velocity to the root's", "add [m/s] in world axes")
    yield from ("model fields", "kick")


def _carries(subject: Subject, world: World, sim: Simulation) -> Iterator[str]:
    """See to it that the feet carry the weight of the robot, which is each row's own."""
    if world.compiled is None:
        return
    gains = ("actuator_gainprm", "actuator_biasprm")
    standing = Simulation(subject, world, fields=(*gains, "body_mass"))
    backend = standing.backend
    for name in gains:
        backend.field(name).mul_(_STIFF)
    backend.field("body_mass")[2, backend.element("body", standing.model.body_names[0])] += _LOAD
    backend.update_constants(standing.rows([2]))
    standing.stand(_SETTLED)
    weight = 9.81 * (standing.model.mass + _LOAD * (standing.everything == 2))
    carried = backend.contacts[..., 3].sum(1)
    subject.require(
        close(carried, weight, 0.02),
        "contact forces",
        f"standing robots of {weight.tolist()} N have {carried.tolist()} N under their feet, upwards",
        "give the net force ON the body in world axes, and use each row's masses",
    )
    yield "contact forces"


def _forces(subject: Subject, world: World, sim: Simulation) -> Iterator[str]:
    """See to it that a force acts on its row alone, stays until it is changed, and survives a checkpoint."""
    if world.compiled is None:
        return
    pushed, other = (Simulation(subject, world, forces=True) for _ in range(2))
    for one in (sim, pushed, other):
        one.put(one.everything, height=2.0)
    pushed.backend.wrench[1, 0, 2] = 200.0
    expected, found = sim.run(0, 1)["root_lin_vel"], pushed.run(0, 1)["root_lin_vel"]
    differs = [row for row in range(ROWS_SIMULATED) if not close(expected[row], found[row], 1e-3)]
    lifted = bool(found[1, 2] > expected[1, 2])
    subject.require(
        differs == [1] and lifted,
        "forces",
        f"a force upwards on the root of row 1 changes rows {differs}",
        "apply `wrench` of each row, in world axes, at the origins of bodies",
    )
    other.backend.load_state_dict({name: value.clone() for name, value in pushed.backend.state_dict().items()})
    resumed = other.run(1)
    differing = [name for name, value in pushed.run(1).items() if not same(value, resumed[name])]
    subject.require(not differing, "forces", f"after a checkpoint {differing[:3]} differ", "save the wrench")
    yield "forces"
