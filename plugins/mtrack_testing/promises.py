"""A broken promise, said so that its author can mend it; and whose promises are looked at."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import attrs

from mtrack.contract import breaches
from mtrack.errors import MtrackError, NameProblem
from mtrack.fields import params_of
from mtrack.kinds import KINDS
from mtrack.wiring import give_generators


class BrokenPromise(AssertionError):  # noqa: N818  it is what has been asserted
    """What a component should do and does not: the promise, the component, what was found, and the fix."""

    def __init__(self, promise: str, who: str, found: str, fix: str) -> None:
        """Keep the parts; the message has them in two lines."""
        self.promise, self.who, self.found, self.fix = promise, who, found, fix
        super().__init__(f"{who} breaks its promise ({promise}): {found}\n  fix: {fix}")


@attrs.frozen(eq=False)
class Subject:
    """A class whose promises are checked, with the parameters it is made with."""

    kind: str
    cls: type
    params: dict[str, Any]
    where: str = ""
    """The scene it is on at present: `toy`, `g1`, or nothing."""
    device: str = "cpu"
    """Where a backend is built."""

    def __str__(self) -> str:
        """Return e.g. `reward 'Upright' (acme_rewards.reward) on the g1 scene`."""
        place = f" on the {self.where} scene" if self.where else ""
        return f"{self.kind} '{self.cls.__qualname__}' ({self.cls.__module__}){place}"

    def on(self, where: str) -> Subject:
        """Return the same subject on a scene."""
        return attrs.evolve(self, where=where)

    def fail(self, promise: str, found: str, fix: str) -> NoReturn:
        """Raise the BrokenPromise."""
        raise BrokenPromise(promise, str(self), found, fix)

    def require(self, kept: bool, promise: str, found: str, fix: str) -> None:
        """Raise BrokenPromise unless the promise is kept."""
        if not kept:
            self.fail(promise, found, fix)

    def check_contract(self) -> None:
        """Raise BrokenPromise where the class lacks what its kind's Protocol asks for."""
        kind = KINDS[self.kind]
        found = breaches(kind, self.cls)
        self.require(not found, "contract", "; ".join(found), f"see mtrack.protocols.{kind.protocol}, @component")

    def make(self, seed: int = 0) -> Any:
        """Return a new component with generators of its own. Raises BrokenPromise."""
        missing = [
            name
            for name, field in params_of(self.cls).items()
            if field.default is attrs.NOTHING and name not in self.params
        ]
        how = f"check_component({self.cls.__name__}, {', '.join(f'{name}=...' for name in missing)})"
        self.require(not missing, "build", f"it cannot be made without {', '.join(missing)}", f"give them: {how}")
        with self.explained("build", "its defaults, and what the check was given, must be accepted"):
            component = self.cls(**self.params)
            give_generators(component, self.cls.__qualname__, seed, 0, "cpu")
            return component

    @contextmanager
    def explained(self, promise: str, fix: str = "it must not raise; the cause is above") -> Iterator[None]:
        """Turn what the component raises into a BrokenPromise; MtrackError, which explains itself, passes."""
        try:
            yield
        except (BrokenPromise, MtrackError):
            raise
        except Exception as error:
            undeclared = re.match(f"'{self.cls.__name__}' object has no attribute '(\\w+)'", str(error))
            if isinstance(error, AttributeError) and undeclared:
                fix = f"declare it: {undeclared[1]}: ... = state(), or scratch() if it follows from the scene"
            raise BrokenPromise(promise, str(self), f"{type(error).__name__}: {error}", fix) from error

    @contextmanager
    def called(self, promise: str) -> Iterator[None]:
        """As `explained`, once the component is bound: then its names are resolved, and MtrackError comes too late."""
        try:
            with self.explained(promise):
                yield
        except NameProblem as error:
            self.fail("declared needs", str(error), "name it in requires(), and resolve names in bind()")
        except MtrackError as error:
            self.fail(promise, f"{type(error).__name__}: {error}", "refuse what is wrong in bind(), not in the loop")


@attrs.frozen
class Report:
    """What a check has found in order."""

    who: str
    scenes: tuple[str, ...] = ()
    """Scenes it was checked on."""
    checks: tuple[str, ...] = ()
    """Promises that were looked at, and are kept."""
    notes: tuple[str, ...] = ()
    """What is no broken promise but worth knowing: a scene it cannot be bound to, asymmetry, cost."""

    def __str__(self) -> str:
        """Return the whole in a few lines."""
        place = f" on {' and '.join(self.scenes)}" if self.scenes else ""
        kept = f"{self.who} keeps its promises{place}: {', '.join(dict.fromkeys(self.checks))}"
        return "\n".join([kept, *(f"  {note}" for note in self.notes)])
