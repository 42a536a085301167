"""`mtrack doctor --replay FILE`: the control step in which an environment diverged, stepped again and looked at."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from mtrack.divergence import decisive_versions, describe
from mtrack.errors import ComponentError, MtrackError
from mtrack.fields import params_of
from mtrack.recorded_step import FieldValue, Quantity, Replay
from mtrack.registry import Entry, Registry
from mtrack.reproduction import Reproduction, read
from mtrack.values import structure_fields
from mtrack_dev.finding import Finding

_MOST_NAMED = 3
_ODD_RATIO = 1e3  # a model field that is so many times its compiled value, or so small a share, is worth a line
_MEDDLED = (
    "something besides controls, forces and model fields changed this environment within the step: look for "
    "components that write to the backend in before_substep, after_substep or target"
)


def replay_file(path: Path) -> list[Finding]:
    """Step the reproduction in a file again and return what is seen; a `broken` finding says it does not reproduce.

    Raises MtrackError if the file is not a sound reproduction or cannot be stepped here.
    """
    made = read(path)
    entry = Registry.scan().find("backend", made.facts.backend)
    seen = _replayed(path, made, entry)
    changes = _version_changes(made, entry)
    return [
        *_origin(made),
        *(Finding("note", "version", change) for change in changes),
        *(Finding("note", "device", difference) for difference in seen.differences),
        *_course(made, seen),
        *_fields(seen.fields),
        *_extremes(seen),
        *_verdict(made, seen, [*changes, *seen.differences]),
    ]


def _replayed(path: Path, made: Reproduction, entry: Entry) -> Replay:
    cls = Registry.scan().load(entry)
    params, flaws = structure_fields(params_of(cls), made.facts.backend_params, lambda _: Path())
    if flaws:
        raise MtrackError(f"{path}: {entry} has other parameters here: {'; '.join(flaw.message for flaw in flaws)}")
    try:
        replay: Replay = cls(**params).replay(made.step)
        return replay
    except MtrackError as error:
        raise MtrackError(f"{path} cannot be stepped again: {error}") from error
    except Exception as error:
        raise ComponentError(f"{entry} raised {type(error).__name__} while stepping {path} again: {error}") from error


def _version_changes(made: Reproduction, entry: Entry) -> list[str]:
    here = decisive_versions(entry.distribution)
    changed = {name: version for name, version in made.facts.versions.items() if here.get(name) != version}
    return [f"{name} {version} then, {here.get(name, 'not installed')} here" for name, version in changed.items()]


def _origin(made: Reproduction) -> Iterator[Finding]:
    at, facts = made.facts.circumstances, made.facts
    rank = f", rank {at.rank}" if at.rank else ""
    yield Finding("ok", "run", f"{at.recipe}, seed {at.seed}, {at.num_envs} environments{rank}; {facts.backend}")
    yield Finding("ok", "training", describe(made))
    bad = [f"{reward} returned {_number(value)}" for reward, value in made.bad_rewards().items()]
    if bad:
        cause = ", after the physics had diverged" if facts.physics_diverged else ""
        yield Finding("note", "rewards", _some(bad) + cause)
    wrong = _bad(made.action, math.inf).nonzero().flatten().tolist()
    if wrong:
        yield Finding("note", "action", f"the policy gave values that are not finite, in columns {_some(wrong)}")


def _course(made: Reproduction, seen: Replay) -> Iterator[Finding]:
    """Tell whether it diverges, where first, and what the engine warned of."""
    total = len(seen.diverged)
    if True in seen.diverged:
        yield Finding("note", "replay", f"diverges in substep {seen.diverged.index(True) + 1} of {total}")
    else:
        yield Finding("ok", "replay", f"the physics replays its {total} substeps without a fault")
    first = next(_faults(seen), "")
    if first:
        yield Finding("note", "first", first)
    for quantity in seen.quantities:
        bad = _bad(quantity.values, quantity.bound)
        if quantity.start is None and bool(bad.any()):  # inputs, and accelerations
            names = _some([quantity.labels[k] for k in bad.any(0).nonzero().flatten().tolist()])
            substeps = ", ".join(str(k + 1) for k in bad.any(1).nonzero().flatten().tolist())
            limit = "" if math.isinf(quantity.bound) else f" or beyond {quantity.bound:g}"
            yield Finding("note", quantity.name, f"not finite{limit} in substep {substeps}: {names}")
    for substep, warnings in enumerate(seen.warnings):
        for warning in warnings:
            yield Finding("note", "engine", f"{warning}, in substep {substep + 1}")


def _faults(seen: Replay) -> Iterator[str]:
    """Yield what is not finite or beyond its bound, in order of time: before the step, then substep by substep."""
    for quantity in seen.quantities:
        if quantity.start is not None:
            yield from _fault(quantity, quantity.start, "before the first substep: the start state or a push wrote it")
    for substep in range(len(seen.diverged)):
        for quantity in seen.quantities:
            yield from _fault(quantity, quantity.values[substep], f"in substep {substep + 1}")


def _fault(quantity: Quantity, values: Tensor, when: str) -> Iterator[str]:
    places = _bad(values, quantity.bound).nonzero().flatten().tolist()
    if places:
        named = _some([f"{quantity.labels[k]} = {_number(float(values[k]))}" for k in places])
        yield f"{quantity.name} [{quantity.unit}] of {named}; {when}"


def _fields(fields: tuple[FieldValue, ...]) -> Iterator[Finding]:
    for field in fields:
        value, nominal = field.value, field.nominal
        ratio = value.abs() / nominal.abs()
        odd = _bad(value, math.inf) | ((nominal != 0.0) & ((ratio > _ODD_RATIO) | (ratio < 1.0 / _ODD_RATIO)))
        odd |= (nominal > 0.0) & (value <= 0.0)
        places = odd.nonzero().flatten().tolist()
        if places:
            named = [f"{field.labels[k]} = {float(value[k]):g} (compiled: {float(nominal[k]):g})" for k in places]
            yield Finding("note", "model field", f"{field.name} of {_some(named)}")


def _extremes(seen: Replay) -> Iterator[Finding]:
    for quantity in seen.quantities:
        finite = quantity.values.abs().masked_fill(_bad(quantity.values, math.inf), -1.0)
        if finite.numel() and float(finite.max()) >= 0.0:
            substep, place = divmod(int(finite.argmax()), finite.shape[1])
            value = f"{float(quantity.values[substep, place]):.4g}"
            where = f"{quantity.labels[place]}, substep {substep + 1}"
            yield Finding("ok", "largest", f"{quantity.name} {value} [{quantity.unit}] ({where})")


def _verdict(made: Reproduction, seen: Replay, excuses: list[str]) -> Iterator[Finding]:
    """Tell whether the same happened as in training."""
    difference = _difference(made, seen)
    if not difference:
        yield Finding("ok", "state after", "bit-identical to what training saw")
    else:
        yield Finding("note", "state after", f"not bit-identical to what training saw: {difference}")
    then, now = made.facts.physics_diverged, seen.diverged[-1]
    if then == now and (now or not difference or excuses):
        what = "diverges as it did in training" if now else "the physics replays without a fault, as in training"
        yield Finding("ok", "reproduced", what)
        return
    happened = {True: "diverged", False: "did not diverge"}
    words = f"in training the physics {happened[then]}, here it {happened[now]}" if then != now else difference
    remedy = "repeat it with the versions and the device of the run" if excuses else _MEDDLED
    yield Finding("broken", "reproduced", f"no: {words}", remedy)


def _difference(made: Reproduction, seen: Replay) -> str:
    """Return in which parts of the state two results differ and by how much; empty if in none."""
    found = []
    for name, then in made.step.after.items():
        now: Any = seen.after.get(name)
        if now is None or now.shape != then.shape or now.dtype != then.dtype:
            found.append(f"{name} is missing or of another size")
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
    return ~(values.abs() < bound)  # NaN is not less


def _some(things: list[Any]) -> str:
    names = list(map(str, things))
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return ", ".join(names[:_MOST_NAMED]) + more


def _number(value: float) -> str:
    return f"{value:.4g}".replace("nan", "NaN")
