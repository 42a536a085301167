"""The checks of everything that is bound to a scene: observations, rewards, commands, randomizations, ..."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from mtrack.errors import CheckpointError
from mtrack.fields import fields_of
from mtrack.lifecycle import Resets
from mtrack_testing.cost import check_cost, check_loops
from mtrack_testing.promises import Subject
from mtrack_testing.trial import ALL, Outputs, Trial
from mtrack_testing.values import check_members, check_outputs, check_start
from mtrack_testing.watch import close, same, shown
from mtrack_testing.worlds import ROWS, STEPS, World

TERMS = ("observation", "reward", "termination", "metric", "randomization", "action", "command")
_MIDDLE = STEPS // 2
_ONE_OTHER = (ROWS, *ALL[1:])  # environment 0 replaced by another
_TURNED = (*ALL[3:], *ALL[:3])
_ROUNDING = 1e-4


class Played:
    """A trial that has been played through, watched; what all further trials are compared with."""

    def __init__(self, subject: Subject, world: World) -> None:
        """Play. Raises MtrackError where the component cannot be bound to this world, BrokenPromise."""
        self.subject, self.world = subject.on(world.name), world
        self.trial = Trial(self.subject, world, watch=True)
        before = self.trial.generators()
        self.trial.start()
        self.outputs: list[Outputs] = []
        for time in range(STEPS):
            if time == _MIDDLE:
                middle = self.trial.generators()
                self.restore = self._saved()
            self.outputs.append(self.trial.step(time))
            check_outputs(self.trial, time, self.outputs[-1])
        check_members(self.trial)
        drawn = self.trial.generators()
        self.draws = any(not same(one, other) for one, other in zip(before, drawn, strict=True))
        """Whether it has drawn random numbers since it was bound."""
        self.draws_in_steps = any(not same(one, other) for one, other in zip(middle, drawn, strict=True))

    def again(self, ids: tuple[int, ...] = ALL, *, mirrored: bool = False, alike: bool = False) -> list[Outputs]:
        """Return what an equal component gives for other environments, or for their mirror images."""
        return Trial(self.subject, self.world, ids=ids, mirrored=mirrored, alike=alike).start().play()

    def _saved(self) -> Callable[[Trial], None]:
        try:
            return self.trial.save()
        except CheckpointError as error:
            self.subject.fail("checkpoint", str(error), "keep tensors, numbers, generators and modules in state()")


def check_term(subject: Subject, world: World) -> Iterator[str]:
    """Yield the promises kept; notes begin with a dash. Raises MtrackError where it cannot be bound, BrokenPromise."""
    played = Played(subject, world)
    yield from ("contract", "shape", "dtype", "device", "finite", "read-only scene", "own randomness")
    for check in (_seed, _checkpoint, _reset, _rows, _part_of_the_rows, _mirror):
        yield from check(played)
    check_loops(played.subject, world)
    yield "no loop over rows"
    yield f"- {check_cost(played.subject, world)}"


def _seed(played: Played) -> Iterator[str]:
    for time, (one, other) in enumerate(zip(played.outputs, played.again(), strict=True)):
        name = _difference(one, other)
        played.subject.require(
            not name,
            "same seed, same numbers",
            f"a second component with equal parameters and seed gives another {name} at step {time}",
            "keep nothing in class attributes or modules, and draw from a generator in a state() field only",
        )
    yield "same seed, same numbers"


def _checkpoint(played: Played) -> Iterator[str]:
    """See to it that a component of another seed goes on from the saved state as the first did."""
    if played.subject.kind == "metric":
        return  # an evaluation is not resumed
    other = Trial(played.subject, played.world, seed=1).start()
    with played.subject.called("checkpoint"):
        played.restore(other)
    for time, outputs in enumerate(other.play(_MIDDLE), start=_MIDDLE):
        name = _difference(played.outputs[time], outputs)
        if name:
            _no_part_of_the_scene(played)
            scratch = [field.name for field in fields_of(played.subject.cls, "scratch")]
            held = f" (scratch: {', '.join(scratch)})" if scratch else ""
            played.subject.fail(
                "checkpoint",
                f"restored from its state() fields it gives another {name} at step {time}: something is not saved",
                f"declare what is remembered from step to step as state(), not scratch() or elsewhere{held}",
            )
    yield "checkpoint"


def _no_part_of_the_scene(played: Played) -> None:
    """See to it that nothing remembered is a tensor of the scene, which changes with the simulation."""
    component, shared = played.trial.component, shown(played.trial.scene)
    for field in fields_of(played.subject.cls, "state"):
        value = getattr(component, field.name)
        for name, other in shared.items():
            is_same = (
                isinstance(value, Tensor) and value.untyped_storage().data_ptr() == other.untyped_storage().data_ptr()
            )
            played.subject.require(
                not is_same,
                "checkpoint",
                f"its state '{field.name}' is no memory but scene.{name} itself, which changes with every step",
                f"keep a copy: self.{field.name} = ....clone()",
            )


def _reset(played: Played) -> Iterator[str]:
    """See to it that a reset of one row leaves all others as they were, at once and afterwards."""
    subject = played.subject
    trial = Trial(subject, played.world).start()
    if not (subject.kind in ("action", "command") or isinstance(trial.component, Resets)):
        return
    trial.play(0, _MIDDLE)
    row, others = torch.tensor([4]), [i for i in ALL if i != 4]
    before = {name: value.clone() for name, value in _by_row(trial).items()}
    with subject.called("call"):
        start = trial.reset(row)
    if subject.kind == "command":
        check_start(trial, start, row)
    after = {name: _rows_of(value, others) for name, value in _by_row(trial).items()}
    touched = [name for name, value in after.items() if not same(value, _rows_of(before[name], others))]
    later = "" if played.draws_in_steps else _rows_that_differ(played.outputs[_MIDDLE:], trial.play(_MIDDLE), others)
    subject.require(
        not touched and not later,
        "reset of one row",
        f"a reset of row 4 changes {(touched or [later])[0]} of other rows",
        "write to the rows you are given only: x.index_fill_(0, ids, 0.0), x[ids] = ...",
    )
    yield "reset of one row"


def _rows(played: Played) -> Iterator[str]:
    """See to it that rows know nothing of each other: another one beside them, or another order, changes nothing."""
    if not _shares_state(played.trial):
        changed = _rows_that_differ(played.outputs, played.again(_ONE_OTHER), list(ALL[1:]))
        played.subject.require(
            not changed,
            "rows are independent",
            f"{changed} of a row depends on what another row is like",
            "reduce over the axes after the first only: .mean(-1), never .mean() or .mean(0)",
        )
    if not played.draws:
        for one, other in zip(played.outputs, played.again(_TURNED), strict=True):
            name = next((n for n, value in one.items() if not close(_turned(value), other[n], _ROUNDING)), "")
            played.subject.require(
                not name,
                "rows are independent",
                f"in another order environments give another {name}",
                "let no row depend on its place: no roll, cumsum or arange over the first axis",
            )
    yield "rows are independent"


def _part_of_the_rows(played: Played) -> Iterator[str]:
    """See to it that an observation of some rows is that part of the observation of all."""
    if played.subject.kind != "observation":
        return
    trial = played.trial
    whole = trial.result()["value"]
    for some in ([5, 2], []):
        ids = torch.tensor(some, dtype=torch.int64)
        with played.subject.called("call"):
            part = trial.component(trial.scene.rows(ids))
        played.subject.require(
            close(part, whole[ids], _ROUNDING),
            "rows are independent",
            f"on rows {some} of the scene alone it gives {tuple(part.shape)} other than those rows of the whole",
            "use scene.num_envs of the call's scene, not bind's; buffers of all environments by scene.env_ids",
        )
    yield "part of the rows"


def _mirror(played: Played) -> Iterator[str]:
    """See to it that a mirrored scene gives the mirrored value; of rewards and terminations this is no promise."""
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
                yield "- another value in the mirror image: phases that learn from mirror images need mirror = false"
                return
            columns = (~torch.isclose(image, mirrored[name], rtol=0.0, atol=1e-3)).any(0).nonzero().squeeze(-1).tolist()
            subject.fail(
                "mirror",
                f"{name} of the mirrored scene is not the mirrored {name} (columns {columns[:6]})",
                "y of vectors, x and z of angular velocities change sign; left and right change places",
            )
    yield "mirror"


def _shares_state(trial: Trial) -> bool:
    """Say whether a state() field other than a generator may be of all rows together."""
    for field in fields_of(trial.subject.cls, "state"):
        value = getattr(trial.component, field.name)
        is_by_row = isinstance(value, Tensor) and len(trial.ids) in value.shape[:2]
        if value is not None and not is_by_row and not isinstance(value, torch.Generator):
            return True
    return False


def _by_row(trial: Trial) -> Outputs:
    """Return everything a reset may change that has an axis of rows, by name."""
    values = {f"state '{f.name}'": getattr(trial.component, f.name) for f in fields_of(trial.subject.cls, "state")}
    values |= {f"model field '{name}'": value for name, value in trial.backend.fields.items()}
    values |= {"held": trial.component.held} if trial.subject.kind == "action" else {}
    if trial.subject.kind == "command":
        values["the published joint_pos"] = trial.scene.reference.joint_pos
        values["the published future"] = trial.scene.reference.future.root_pos
    return {n: v for n, v in values.items() if isinstance(v, Tensor) and len(trial.ids) in v.shape[:2]}


def _rows_of(value: Tensor, rows: list[int]) -> Tensor:
    """Return some rows; they are on the first axis or, of what is kept for several times, on the second."""
    return value[rows] if value.shape[0] == ROWS else value[:, rows]


def _turned(value: Tensor) -> Tensor:
    return _rows_of(value, list(_TURNED)) if ROWS in value.shape[:2] else value


def _difference(one: Outputs, other: Outputs) -> str:
    return next((name for name, value in one.items() if not same(value, other[name])), "")


def _rows_that_differ(ones: list[Outputs], others: list[Outputs], rows: list[int]) -> str:
    """Return the name of an output that differs in some rows, or an empty string."""
    for one, other in zip(ones, others, strict=True):
        for name, value in one.items():
            if ROWS in value.shape[:2] and not close(_rows_of(value, rows), _rows_of(other[name], rows), 1e-6):
                return name
    return ""
