"""`mtrack doctor --replay FILE`: replays a recorded control step, usually one that diverged, and examines it."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtrack import ComponentError, MtrackError, Replay
from mtrack.api.fields import params_of
from mtrack.api.recorded_step import FieldValue, Quantity
from mtrack.registry.registry import Entry, Registry
from mtrack.registry.values import structure_fields
from mtrack.run.divergence import decisive_versions, describe
from mtrack.run.reproduction import Reproduction, read
from mtrack_dev.check_result import CheckResult

_MOST_NAMED = 3
_ODD_RATIO = 1e3  # a model field is reported if it differs from its compiled value by more than this factor
_OTHER_CHANGE = (
    "something other than controls, forces and model fields changed this environment during the step: look for "
    "components that write to the backend in before_substep, after_substep or target"
)


def replay_file(path: Path) -> list[CheckResult]:
    """Replay the step in a file and return the results; a `problem` means that it does not reproduce.

    Raises MtrackError if the file is invalid or cannot be replayed here.
    """
    made = read(path)
    entry = Registry.scan().find("backend", made.facts.backend)
    seen = _replayed(path, made, entry)
    changes = _version_changes(made, entry)
    return [
        *_origin(made),
        *(CheckResult("note", "version", change) for change in changes),
        *(CheckResult("note", "device", difference) for difference in seen.differences),
        *_course(made, seen),
        *_fields(seen.fields),
        *_extremes(seen),
        *_verdict(made, seen, [*changes, *seen.differences]),
    ]


def _replayed(path: Path, made: Reproduction, entry: Entry) -> Replay:
    cls = Registry.scan().load(entry)
    params, flaws = structure_fields(params_of(cls), made.facts.backend_params, lambda _: Path())
    if flaws:
        raise MtrackError(f"{path}: {entry} has different parameters here: {'; '.join(flaw.message for flaw in flaws)}")
    try:
        replay: Replay = cls(**params).replay(made.step)
        return replay
    except MtrackError as error:
        raise MtrackError(f"cannot replay {path}: {error}") from error
    except Exception as error:
        raise ComponentError(f"{entry} raised {type(error).__name__} while replaying {path}: {error}") from error


def _version_changes(made: Reproduction, entry: Entry) -> list[str]:
    here = decisive_versions(entry.distribution, Registry.scan().load(entry))
    changed = {name: version for name, version in made.facts.versions.items() if here.get(name) != version}
    return [f"{name} {version} then, {here.get(name, 'not installed')} here" for name, version in changed.items()]


def _origin(made: Reproduction) -> Iterator[CheckResult]:
    at, facts = made.facts.circumstances, made.facts
    rank = f", rank {at.rank}" if at.rank else ""
    yield CheckResult("ok", "run", f"{at.recipe}, seed {at.seed}, {at.num_envs} environments{rank}; {facts.backend}")
    yield CheckResult("ok", "training" if made.diverged else "step", describe(made))
    bad = [f"{reward} returned {_number(value)}" for reward, value in made.bad_rewards().items()]
    if bad:
        cause = ", after the physics diverged" if facts.physics_diverged else ""
        yield CheckResult("note", "rewards", _some(bad) + cause)
    wrong = _bad(made.action, math.inf).nonzero().flatten().tolist()
    if wrong:
        yield CheckResult(
            "note", "action", f"the policy returned values that are not finite, in columns {_some(wrong)}"
        )


def _course(made: Reproduction, seen: Replay) -> Iterator[CheckResult]:
    """Yield whether it diverges, where first, and warnings of the engine."""
    total = len(seen.diverged)
    if True in seen.diverged:
        yield CheckResult("note", "replay", f"diverges in substep {seen.diverged.index(True) + 1} of {total}")
    else:
        yield CheckResult("ok", "replay", f"the physics does not diverge in the {total} substeps")
    first = next(_faults(seen), "")
    if first:
        yield CheckResult("note", "first", first)
    for quantity in seen.quantities:
        bad = _bad(quantity.values, quantity.bound)
        if quantity.start is None and bool(bad.any()):  # inputs, and accelerations
            names = _some([quantity.labels[k] for k in bad.any(0).nonzero().flatten().tolist()])
            substeps = ", ".join(str(k + 1) for k in bad.any(1).nonzero().flatten().tolist())
            limit = "" if math.isinf(quantity.bound) else f" or beyond {quantity.bound:g}"
            yield CheckResult("note", quantity.name, f"not finite{limit} in substep {substeps}: {names}")
    for substep, warnings in enumerate(seen.warnings):
        for warning in warnings:
            yield CheckResult("note", "engine", f"{warning}, in substep {substep + 1}")


def _faults(seen: Replay) -> Iterator[str]:
    """Yield what is not finite or out of bounds, in order of time: before the step, then in each substep."""
    for quantity in seen.quantities:
        if quantity.start is not None:
            yield from _fault(quantity, quantity.start, "before the first substep, so the start state or a push set it")
    for substep in range(len(seen.diverged)):
        for quantity in seen.quantities:
            yield from _fault(quantity, quantity.values[substep], f"in substep {substep + 1}")


def _fault(quantity: Quantity, values: Tensor, when: str) -> Iterator[str]:
    places = _bad(values, quantity.bound).nonzero().flatten().tolist()
    if places:
        named = _some([f"{quantity.labels[k]} = {_number(float(values[k]))}" for k in places])
        yield f"{quantity.name} [{quantity.unit}] of {named}; {when}"


def _fields(fields: tuple[FieldValue, ...]) -> Iterator[CheckResult]:
    for field in fields:
        value, nominal = field.value, field.nominal
        ratio = value.abs() / nominal.abs()
        odd = _bad(value, math.inf) | ((nominal != 0.0) & ((ratio > _ODD_RATIO) | (ratio < 1.0 / _ODD_RATIO)))
        odd |= (nominal > 0.0) & (value <= 0.0)
        places = odd.nonzero().flatten().tolist()
        if places:
            named = [f"{field.labels[k]} = {float(value[k]):g} (compiled: {float(nominal[k]):g})" for k in places]
            yield CheckResult("note", "model field", f"{field.name} of {_some(named)}")


def _extremes(seen: Replay) -> Iterator[CheckResult]:
    for quantity in seen.quantities:
        finite = quantity.values.abs().masked_fill(_bad(quantity.values, math.inf), -1.0)
        if finite.numel() and float(finite.max()) >= 0.0:
            substep, place = divmod(int(finite.argmax()), finite.shape[1])
            value = f"{float(quantity.values[substep, place]):.4g}"
            where = f"{quantity.labels[place]}, substep {substep + 1}"
            yield CheckResult("ok", "largest", f"{quantity.name} {value} [{quantity.unit}] ({where})")


def _verdict(made: Reproduction, seen: Replay, excuses: list[str]) -> Iterator[CheckResult]:
    """Yield whether the replay agrees with training."""
    difference, original = _difference(made, seen), "training" if made.diverged else "the saved step"
    if not difference:
        yield CheckResult("ok", "state after", f"bit-identical to {original}")
    else:
        yield CheckResult("note", "state after", f"not bit-identical to {original}: {difference}")
    then, now = made.facts.physics_diverged, seen.diverged[-1]
    if then == now and (now or not difference or excuses):
        yield CheckResult("ok", "reproduced", _agreement(made))
        return
    happened = {True: "diverged", False: "did not diverge"}
    words = f"the physics {happened[then]} in {original}, but {happened[now]} here" if then != now else difference
    remedy = "replay it with the versions and the device of the run" if excuses else _OTHER_CHANGE
    yield CheckResult("problem", "reproduced", f"no: {words}", remedy)


def _agreement(made: Reproduction) -> str:
    if not made.diverged:
        return "this step does not diverge; it was saved by hand"
    return "diverges as in training" if made.facts.physics_diverged else "the physics does not diverge, as in training"


def _difference(made: Reproduction, seen: Replay) -> str:
    """Return which parts of the state differ, and by how much; empty if there are no differences."""
    found = []
    for name, then in made.step.after.items():
        now: Any = seen.after.get(name)
        if now is None or now.shape != then.shape or now.dtype != then.dtype:
            found.append(f"{name} is missing or has another size")
            continue
        differs = ~_same_bits(now, then)
        if differs.any():
            gap = (now.double() - then.double()).abs()[differs]
            size = f"up to {float(gap.nan_to_num(nan=0.0).max()):.3g}" if torch.isfinite(gap).any() else "NaN"
            found.append(f"{name} in {int(differs.sum())} of {differs.numel()} numbers, {size}")
    return "; ".join(found)


def _same_bits(one: Tensor, other: Tensor) -> Tensor:
    if not one.is_floating_point():
        return one == other
    integers = {2: torch.int16, 4: torch.int32, 8: torch.int64}[one.element_size()]
    same = one.contiguous().view(integers) == other.contiguous().view(integers)
    return same | (one.isnan() & other.isnan())


def _bad(values: Tensor, bound: float) -> Tensor:
    return ~(values.abs() < bound)  # NaN compares as False


def _some(things: list[Any]) -> str:
    names = list(map(str, things))
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _number(value: float) -> str:
    return f"{value:.4g}".replace("nan", "NaN")
