"""What each kind of component must return, verified: type, shape, dtype, finite numbers; the error names the component.

Nothing here runs in the loop: `mtrack.trial.first_step` verifies a first step before a run, and every component is
verified again after an error that none of them raised.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from numbers import Real

import attrs
import torch
from tensordict import TensorDict
from torch import Tensor

from mtrack.api.scene import Scene
from mtrack.api.types import StartState
from mtrack.errors import CheckpointError, ComponentError, MtrackError, RecipeError, RunError
from mtrack.loop.assemble import Assembly
from mtrack.loop.blame import Part, blaming, culprit_of
from mtrack.recipe.slots import Slot

_MOST_LISTED = 5  # environments that a message lists


def require_tensor(
    slot: Slot, value: object, shape: Sequence[int], *, what: str = "", dtype: torch.dtype = torch.float32
) -> Tensor:
    """Return `value` if it is a tensor of a shape and dtype with finite numbers; its first axis is the environments.

    `what` is what is verified if a component returns several things: `joint_pos of its start state`. Raises
    ComponentError.
    """
    problem = _problem_of_form(value, tuple(shape), dtype) or _problem_of_numbers(value)
    if problem:
        raise ComponentError(f"{slot}: {what} is {problem}" if what else f"{slot} returned {problem}")
    assert isinstance(value, Tensor)
    return value


def require_start(slot: Slot, start: object, scene: Scene, num_starts: int) -> None:
    """Verify what `Command.reset` returned for `num_starts` environments. Raises ComponentError."""
    if not isinstance(start, StartState):
        raise ComponentError(f"{slot}: its reset returned {_shown(start)}; it must return a StartState")
    for field in attrs.fields(StartState):
        width = getattr(scene.robot, field.name).shape[1:]
        what = f"{field.name} of its start state"
        given = getattr(start, field.name)
        if isinstance(given, Tensor) and given.ndim and len(given) != num_starts:
            raise ComponentError(
                f"{slot}: {what} has {len(given)} rows; it must have {num_starts}, one for each of `env_ids`"
            )
        value = require_tensor(slot, given, (num_starts, *width), what=what)
        if field.name == "root_quat_wxyz" and ((value.norm(dim=-1) - 1.0).abs() > 1e-2).any():
            raise ComponentError(f"{slot}: {what} is not of length 1; divide it by its norm")


def require_policy_output(slot: Slot, policy_output: object, num_envs: int, num_actions: int) -> None:
    """Verify what `Phase.act` returned. Raises ComponentError."""
    if not isinstance(policy_output, TensorDict | Mapping):
        raise ComponentError(
            f"{slot}: its act returned {_shown(policy_output)}; it must return a TensorDict with 'action'"
        )
    if "action" not in policy_output.keys():  # noqa: SIM118  a TensorDict iterates over its rows
        found = ", ".join(map(str, policy_output.keys())) or "nothing"
        raise ComponentError(f"{slot}: its act returned no 'action' (found: {found})")
    require_tensor(slot, policy_output["action"], (num_envs, num_actions), what="the action that its act returned")
    for name, value in policy_output.items():
        if isinstance(value, Tensor) and (value.dim() == 0 or len(value) != num_envs):
            raise ComponentError(
                f"{slot}: '{name}' that its act returned is {_form(value)}; its first axis must be that of the "
                f"{num_envs} environments"
            )


def require_numbers(who: object, values: object, what: str) -> None:
    """Verify the scalar metrics, by name, that `what` (`its update`) returned. Raises ComponentError."""
    if not isinstance(values, Mapping):
        raise ComponentError(f"{who}: {what} returned {_shown(values)}; it must return a mapping of names to numbers")
    for name, value in values.items():
        is_scalar = isinstance(value, Tensor) and value.numel() == 1
        if not isinstance(name, str) or not (is_scalar or isinstance(value, Real)):  # a number of numpy is a Real
            raise ComponentError(
                f"{who}: {what} returned {name!r}: {_shown(value)}; metrics are numbers or tensors of one number"
            )


def nonfinite_observations(assembly: Assembly, observations: TensorDict) -> dict[str, list[int]]:
    """Return the environments in which an observation is not finite, by the path of the term; [n, W] for each group."""
    found: dict[str, list[int]] = {}
    for group, terms in assembly.env.observer.groups.items():
        start = 0
        for term in terms:
            stop = start + term.width
            bad = ~torch.isfinite(observations[group][:, start:stop]).all(-1)
            if bad.any():
                found[term.path] = bad.nonzero().squeeze(-1).tolist()
            start = stop
    return found


def describe_envs(number: str, env_ids: Sequence[int]) -> str:
    """Return e.g. `NaN in environments 0, 3`."""
    more = f" and {len(env_ids) - _MOST_LISTED} more" if len(env_ids) > _MOST_LISTED else ""
    which = ", ".join(map(str, env_ids[:_MOST_LISTED]))
    return f"{number} in environment{'s' if len(env_ids) > 1 else ''} {which}{more}"


@contextmanager
def blaming_outputs(assembly: Assembly, *others: Part) -> Iterator[None]:
    """Run code that calls the components of an assembly and `others`.

    Raises ComponentError naming the one whose output is of the wrong type, shape or dtype, else the one that raised;
    MtrackError naming the one that asked the physics for what it does not have.
    """
    parts = [*assembly.parts, *others]
    with blaming(parts):
        try:
            yield
        except (RecipeError, CheckpointError, ComponentError, RunError):  # these name the component already
            raise
        except MtrackError as error:
            culprit = culprit_of(error, [part for part in parts if part[0].kind not in ("robot", "backend")])
            if culprit is None:
                raise
            raise MtrackError(f"{culprit}: {error}") from error
        except Exception as error:
            # the wrong shape of one component often fails in another one, or in the kernel
            breach = find_breach(assembly)
            if breach:
                raise ComponentError(breach) from error
            raise


def find_breach(assembly: Assembly) -> str:
    """Return which component's output is of the wrong type, shape or dtype at present, in one line; "" if none is.

    For an exception that may come from the output of another component than the one that raised it. A component that
    raises is passed over.
    """
    with torch.no_grad():
        for slot, value, shape, dtype in _present_outputs(assembly):
            problem = _problem_of_form(value, shape, dtype)
            if problem:
                return f"{slot} returned {problem}"
    return ""


def _present_outputs(assembly: Assembly) -> Iterator[tuple[Slot, object, tuple[int, ...], torch.dtype]]:
    """Yield what rewards, terminations, observations and the command return now, with what they should return."""
    scene = assembly.env.scene
    num_envs = scene.num_envs
    columns = {term.path: term.columns for term in assembly.env.observer.terms()}
    for path, component in assembly.components.items():
        slot = assembly.slots[path]
        try:
            if slot.kind in ("reward", "termination"):
                dtype = torch.bool if slot.kind == "termination" else torch.float32
                yield slot, component(scene), (num_envs,), dtype
            elif slot.kind == "observation":
                yield slot, component(scene), (num_envs, columns[path]), torch.float32
            elif slot.kind == "command":
                yield slot, component.finished(), (num_envs,), torch.bool
            elif slot.kind == "action":
                yield slot, component.target(0), (num_envs, len(scene.model.joint_names)), torch.float32
        except Exception:
            continue


def _problem_of_form(value: object, shape: tuple[int, ...], dtype: torch.dtype) -> str:
    """Return how a value differs from a tensor of a shape and dtype, and what to do about it."""
    wanted = f"{_name(dtype)} of shape {shape}"
    if not isinstance(value, Tensor):
        return f"{_shown(value)}; it must be a tensor, {wanted}"
    if value.shape != shape:
        return f"{_form(value)}; it must be {wanted}{_shape_remedy(value, shape)}"
    if value.dtype != dtype:
        remedy = " (compare, e.g. value > 0.5)" if dtype == torch.bool else f" (value.to(torch.{_name(dtype)}))"
        return f"{_form(value)}; it must be {wanted}{remedy}"
    return ""


def _shape_remedy(value: Tensor, shape: tuple[int, ...]) -> str:
    if value.shape == (*shape, 1):
        return " (value.squeeze(-1))"
    if len(shape) == 2 and value.shape == shape[:1] and shape[1] == 1:
        return " (value.unsqueeze(-1))"
    if value.dim() == 0:
        return "; keep the first axis, e.g. value.mean(dim=-1)"
    return ""


def _problem_of_numbers(value: object) -> str:
    """Return in which environments a tensor is not finite."""
    assert isinstance(value, Tensor)
    if not value.is_floating_point() or bool(torch.isfinite(value).all()):
        return ""
    bad = (~torch.isfinite(value)).reshape(len(value), -1).any(-1).nonzero().squeeze(-1).tolist()
    number = "NaN" if bool(torch.isnan(value).any()) else "infinity"
    return describe_envs(number, bad)


def _shown(value: object) -> str:
    if isinstance(value, Tensor):
        return _form(value)
    return "None" if value is None else f"a {type(value).__name__}"


def _form(value: Tensor) -> str:
    return f"{_name(value.dtype)} of shape {tuple(value.shape)}"


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
