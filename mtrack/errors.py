"""Every error the user is meant to read: what is wrong, where, and what to do about it."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Callable, Iterable

import attrs


@attrs.frozen
class Problem:
    """One thing wrong with an input, with its place and its remedy."""

    path: str
    """Where in the input: a dotted recipe path, a column, a tensor name."""
    message: str
    """What is wrong there."""
    hint: str = ""
    """What to do about it; may be empty."""
    source: str = ""
    """File (or `--set`) the value came from."""
    line: int | None = None
    """Line in that file, counted from 1, where it is known."""
    value: str = ""
    """The value that is wrong, as the file has it; empty where the key itself is."""


class MtrackError(Exception):
    """A mistake the user can mend: shown without a traceback, exit status 2."""


class ComponentError(Exception):
    """A component that broke its contract or raised: names plugin and component, exit status 1."""


class RunError(Exception):
    """A run that did not do what it was asked to, through no component's exception: no traceback, exit status 1."""


class StoppedAtOnce(SystemExit):
    """The user's second signal: the only SystemExit in a run that is not an error of the code that raised it."""


def is_from_user(error: BaseException) -> bool:
    """Return whether an exception is the user's wish to stop, not raised by somebody's code.

    While a run catches signals, Ctrl-C raises no KeyboardInterrupt: one that appears then was raised by code.
    """
    may_be_ctrl_c = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return isinstance(error, StoppedAtOnce) or (isinstance(error, KeyboardInterrupt) and may_be_ctrl_c)


def describe_error(error: BaseException) -> str:
    """Return type and message of an exception: `ValueError: no more`, or `KeyboardInterrupt` if it has no message."""
    return f"{type(error).__name__}: {error}".rstrip(": ")


class RecipeError(MtrackError):
    """All problems of one recipe, reported together."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        """Keep the problems, those of the file `name` first, then by source and line."""
        self.name = name
        self.problems = sorted(problems, key=lambda p: (p.source not in ("", name), p.source, p.line or 0))
        super().__init__(self.render())

    def render(self, dim: Callable[[str], str] = str) -> str:
        """Return the report; `dim` marks what matters less (places) where the output can show it."""
        count = len(self.problems)
        width = max([2, *(len(str(problem.line)) for problem in self.problems if problem.line)])
        lines = [f"{self.name}: {count} problem{'s' if count != 1 else ''}"]
        for problem in self.problems:
            number = dim(f"{problem.line or '':>{width}}")
            value = f" = {problem.value}" if problem.value else ""
            place = dim(f"   [{problem.source}]") if problem.source not in ("", self.name) else ""
            lines.append(f"  {number}  {problem.path}{value}{place}")
            body = f"{problem.message}\n{problem.hint}".strip()
            lines += [" " * (width + 4) + text for text in body.splitlines()]
        return "\n".join(lines)


class MotionError(MtrackError):
    """A motion file or clip that cannot be used."""


class CheckpointError(MtrackError):
    """A checkpoint or run directory that cannot be read, written or continued."""


class NameProblem(MtrackError):  # noqa: N818  it is a Problem of a name, raised where no recipe path is known yet
    """A name (joint, body, sensor, field) that does not exist; the assembly adds the recipe path."""

    def __init__(self, message: str, name: str = "", parameter: str = "") -> None:
        """Say it; a backend that was asked for what it does not have gives its `name`, to find who has asked.

        `parameter` is the parameter of the component that has the name; the recipe's line is then that of its value.
        """
        super().__init__(message)
        self.name = name
        self.parameter = parameter


class SlotError(MtrackError):
    """What is wrong with the component of another slot than the one being called; the assembly says which component.

    A backend raises it for the robot that it is given, a command for a source of motions.
    """

    def __init__(self, path: str, message: str, *, is_fault: bool = True) -> None:
        """Blame the slot at a recipe path; `is_fault` if its code is wrong, not what the user gave it."""
        super().__init__(f"{path}: {message}")
        self.path, self.message, self.is_fault = path, message, is_fault


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `did you mean 'x'?` for the closest known name, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""
