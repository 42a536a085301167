"""Makes a component of a function of the scene. Its other parameters become recipe parameters."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable, Iterator
from typing import Any

import attrs
from torch import Tensor

from mtrack.api.fields import component, param, scratch
from mtrack.api.mirror import Mirror
from mtrack.api.scene import Scene
from mtrack.errors import ComponentError
from mtrack.registry.values import problem_of_default

FUNCTION_KINDS = ("reward", "observation", "termination")
_MEMBERS = frozenset({"bind", "mirror", "sensors"})  # of an observation; a parameter with such a name would hide them
_MIRROR_HELP = "a Mirror, e.g. Mirror.scalar(), or a function of the scene that returns one"


def component_of(function: Callable[..., Tensor], kind: str, location: str) -> type:
    """Return the component class of a function that is defined at `location`, e.g. `my_terms.py:12`.

    Raises ComponentError if the function cannot be a component of that kind.
    """
    name = function.__name__
    if kind not in FUNCTION_KINDS:
        raise ComponentError(
            f"function '{name}' ({location}) cannot be a {kind}: a function can be a reward, an observation or a "
            f"termination; a {kind} is a class made with @component"
        )
    problems = list(_problems(function))
    if problems:
        raise ComponentError(f"function '{name}' ({location}) cannot be a {kind}: {'; '.join(problems)}")
    hints = typing.get_type_hints(function)
    given = list(inspect.signature(function).parameters.values())[1:]
    names = [one.name for one in given]

    def call(self: Any, scene: Scene) -> Tensor:
        return function(scene, **{name: getattr(self, name) for name in names})

    members: dict[str, Any] = {one.name: param(default=_default(one)) for one in given}
    annotations = {one: hints[one] for one in names}
    members |= {"__call__": call, "__doc__": function.__doc__, "__module__": function.__module__}
    if kind == "termination" and "timeout" not in names:
        members["timeout"] = False
    if kind == "observation":
        members |= _mirror_members(function)
        if hasattr(function, "sensors"):
            members["sensors"] = function.sensors
        annotations["_mirror"] = Mirror | None
    return component(type(name, (), members | {"__annotations__": annotations}))


def _mirror_members(function: Any) -> dict[str, Any]:
    """Return the members of an observation for its mirror, which is an attribute of the function, if it has one."""

    def bind(self: Any, scene: Scene) -> None:
        given = getattr(function, "mirror", None)
        if given is not None and not isinstance(given, Mirror):
            given = given(scene)
            if not isinstance(given, Mirror):
                raise TypeError(f"{function.__name__}.mirror returned {given!r}, expected {_MIRROR_HELP}")
        self._mirror = given

    def mirror(self: Any) -> Mirror | None:
        return self._mirror  # type: ignore[no-any-return]

    return {"_mirror": scratch(), "bind": bind, "mirror": mirror}


def _problems(function: Callable[..., Tensor]) -> Iterator[str]:
    """Yield why a function cannot be a component."""
    parameters = list(inspect.signature(function).parameters.values())
    if not parameters or parameters[0].name != "scene":
        yield "its first parameter must be 'scene'"
        return
    try:
        hints = typing.get_type_hints(function)
    except Exception as error:  # evaluating an annotation may raise anything
        yield f"annotations must be importable at run time: {error}"
        return
    for one in parameters[1:]:
        if one.kind in (one.VAR_POSITIONAL, one.VAR_KEYWORD, one.POSITIONAL_ONLY):
            yield f"'{one}' cannot be a recipe parameter: give each parameter a name"
        elif one.name in _MEMBERS:
            yield f"a parameter cannot have the name '{one.name}'"
        elif one.name not in hints:
            known = type(one.default).__name__ if isinstance(one.default, bool | int | float | str) else "TYPE"
            default = "" if one.default is one.empty else f" = {one.default!r}"
            yield f"parameter '{one.name}' needs a type: {one.name}: {known}{default}"
        elif problem := problem_of_default(_default(one), hints[one.name]):
            yield f"the default of '{one.name}' does not fit its type: {problem}"
    mirror = getattr(function, "mirror", None)
    if mirror is not None and not callable(mirror):
        yield f"{function.__name__}.mirror must be {_MIRROR_HELP}"
    sensors = getattr(function, "sensors", ())
    if not isinstance(sensors, list | tuple) or not all(isinstance(name, str) for name in sensors):
        yield f'{function.__name__}.sensors must be names, e.g. ("imu", "joint_encoders")'


def _default(one: inspect.Parameter) -> Any:
    return attrs.NOTHING if one.default is one.empty else one.default
