"""The component under test, the error that names a broken promise, and the report of a check."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import attrs

from mtrack import MtrackError, NameProblem
from mtrack.api.fields import params_of
from mtrack.api.kinds import KINDS
from mtrack.loop.wiring import give_generators
from mtrack.registry.contract import contract_problems


class BrokenPromise(AssertionError):  # noqa: N818  named for what was asserted
    """A component breaks its contract: the promise, the component, what was found, and the fix."""

    def __init__(self, promise: str, who: str, found: str, fix: str) -> None:
        """Store the parts; the message shows them in two lines."""
        self.promise, self.who, self.found, self.fix = promise, who, found, fix
        super().__init__(f"{who} breaks its promise ({promise}): {found}\n  fix: {fix}")


@attrs.frozen(eq=False)
class ComponentUnderTest:
    """A component class that is checked, with the parameters to create it."""

    kind: str
    cls: type
    params: dict[str, Any]
    where: str = ""
    """Name of the current scene, `toy` or `g1`; empty outside a scene."""
    device: str = "cpu"
    """Device that a backend is built on."""

    def __str__(self) -> str:
        """Return e.g. `reward 'Upright' (acme_rewards.reward) on the g1 scene`."""
        place = f" on the {self.where} scene" if self.where else ""
        return f"{self.kind} '{self.cls.__qualname__}' ({self.cls.__module__}){place}"

    def on(self, where: str) -> ComponentUnderTest:
        """Return the same component on a scene."""
        return attrs.evolve(self, where=where)

    def fail(self, promise: str, found: str, fix: str) -> NoReturn:
        """Raise the BrokenPromise."""
        raise BrokenPromise(promise, str(self), found, fix)

    def require(self, kept: bool, promise: str, found: str, fix: str) -> None:
        """Raise BrokenPromise if the promise is not kept."""
        if not kept:
            self.fail(promise, found, fix)

    def check_contract(self) -> None:
        """Raise BrokenPromise if the class does not satisfy the Protocol of its kind."""
        kind = KINDS[self.kind]
        found = contract_problems(kind, self.cls)
        self.require(not found, "contract", "; ".join(found), f"see mtrack.api.protocols.{kind.protocol}, @component")

    def make(self, seed: int = 0) -> Any:
        """Return a new component with its own random generators. Raises BrokenPromise."""
        missing = [
            name
            for name, field in params_of(self.cls).items()
            if field.default is attrs.NOTHING and name not in self.params
        ]
        how = f"check_component({self.cls.__name__}, {', '.join(f'{name}=...' for name in missing)})"
        self.require(not missing, "build", f"it cannot be created without {', '.join(missing)}", f"give them: {how}")
        with self.guard("build", "accept its own defaults and the parameters given to the check"):
            component = self.cls(**self.params)
            give_generators(component, self.cls.__qualname__, seed, 0, "cpu")
            return component

    @contextmanager
    def guard(self, promise: str, fix: str = "it must not raise; the cause is above") -> Iterator[None]:
        """Turn exceptions of the component into BrokenPromise; MtrackError passes, because it explains itself."""
        try:
            yield
        except (BrokenPromise, MtrackError):
            raise
        except Exception as error:
            undeclared = re.match(f"'{self.cls.__name__}' object has no attribute '(\\w+)'", str(error))
            if isinstance(error, AttributeError) and undeclared:
                fix = f"declare it: {undeclared[1]}: ... = state(), or scratch() if it is derived from the scene"
            raise BrokenPromise(promise, str(self), f"{type(error).__name__}: {error}", fix) from error

    @contextmanager
    def guard_call(self, promise: str) -> Iterator[None]:
        """Do as `guard` does, and turn MtrackError into BrokenPromise too: after `bind` it comes too late."""
        try:
            with self.guard(promise):
                yield
        except NameProblem as error:
            self.fail("declared needs", str(error), "declare it in requires(), and resolve names in bind()")
        except MtrackError as error:
            self.fail(promise, f"{type(error).__name__}: {error}", "raise it in bind(), not in the loop")


@attrs.frozen
class Report:
    """The result of a successful check."""

    who: str
    scenes: tuple[str, ...] = ()
    """Scenes that it was checked on."""
    checks: tuple[str, ...] = ()
    """Promises that were checked and are kept."""
    notes: tuple[str, ...] = ()
    """Facts that are not faults: a scene that it cannot be bound to, asymmetry, cost."""

    def __str__(self) -> str:
        """Return the report in a few lines."""
        place = f" on {' and '.join(self.scenes)}" if self.scenes else ""
        kept = f"{self.who} keeps its promises{place}: {', '.join(dict.fromkeys(self.checks))}"
        return "\n".join([kept, *(f"  {note}" for note in self.notes)])
