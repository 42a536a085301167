"""The errors that mtrack explains to the user: what is wrong, where, and what to do about it."""

from __future__ import annotations

import difflib
import signal
from collections.abc import Callable, Iterable

import attrs


@attrs.frozen
class Problem:
    """One problem of an input: its path, its message and a hint how to fix it."""

    path: str
    """Path within the input, e.g. the dotted path of a recipe key."""
    message: str
    """What is wrong."""
    hint: str = ""
    """How to fix it; may be empty."""
    source: str = ""
    """Where the value was set: a file, or `--set`."""
    line: int | None = None
    """Line in that file, counted from 1; None if it is unknown."""
    value: str = ""
    """The invalid value in TOML; empty if the key is the problem."""


class MtrackError(Exception):
    """A mistake that the user can fix. The command line prints it without a traceback and exits with status 2."""


class ComponentError(Exception):
    """A component broke its contract or raised. The message names it and its distribution; the exit status is 1."""


class RunError(Exception):
    """A run failed without an exception of a component. It is printed without a traceback; the exit status is 1."""


class LostRankError(RunError):
    """Another process of the run failed, ended or does not respond, so this one cannot continue."""

    def __init__(self, message: str, is_first: bool) -> None:
        """Keep the message; `is_first` if this process says how to continue, for all that lost the same one."""
        super().__init__(message)
        self.is_first = is_first


class StoppedAtOnce(SystemExit):
    """The user sent a second signal, so the run stops without saving. Any other SystemExit in a run is an error."""


def is_from_user(error: BaseException) -> bool:
    """Return whether the user caused an exception by stopping the command, rather than code that raised it.

    While a run handles signals, Ctrl-C raises no KeyboardInterrupt, so code has raised any that occurs then.
    """
    may_be_ctrl_c = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return isinstance(error, StoppedAtOnce) or (isinstance(error, KeyboardInterrupt) and may_be_ctrl_c)


def describe_error(error: BaseException) -> str:
    """Return type and message, e.g. `ValueError: no more`; only the type if the message is empty."""
    return f"{type(error).__name__}: {error}".rstrip(": ")


class RecipeError(MtrackError):
    """All problems of one recipe, reported together."""

    def __init__(self, name: str, problems: Iterable[Problem]) -> None:
        """Sort the problems: first those of the file `name`, then by source and line."""
        self.name = name
        self.problems = sorted(problems, key=lambda p: (p.source not in ("", name), p.source, p.line or 0))
        super().__init__(self.render())

    def render(self, dim: Callable[[str], str] = str) -> str:
        """Return the report. `dim` styles less important text, such as line numbers, for a terminal."""
        count = len(self.problems)
        width = max([2, *(len(str(problem.line)) for problem in self.problems if problem.line)])
        lines = [f"{self.name}: {count} problem{'s' if count != 1 else ''}"]
        for problem in self.problems:
            number = dim(f"{problem.line or '':>{width}}")
            value = f" = {problem.value}" if problem.value else ""
            source = dim(f"   [{problem.source}]") if problem.source not in ("", self.name) else ""
            lines.append(f"  {number}  {problem.path}{value}{source}")
            body = f"{problem.message}\n{problem.hint}".strip()
            lines += [" " * (width + 4) + text for text in body.splitlines()]
        return "\n".join(lines)


class MotionError(MtrackError):
    """A motion file or clip is invalid."""


class CheckpointError(MtrackError):
    """A checkpoint or run directory cannot be read, written or resumed."""


class NameProblem(MtrackError):  # noqa: N818  becomes a Problem as soon as its recipe path is known
    """A name (joint, body, sensor, model field) does not exist. The assembly adds the recipe path to the report."""

    def __init__(self, message: str, name: str = "", parameter: str = "") -> None:
        """Keep the message and what helps to find the recipe key.

        A backend gives the `name` that it does not have, so that mtrack finds the component that asked for it.
        `parameter` is the component parameter that contains the name; the report then shows the line of its value.
        """
        super().__init__(message)
        self.name = name
        self.parameter = parameter


class SlotError(MtrackError):
    """Another slot than the one being called has a problem; the assembly names its component.

    For example, a backend raises it about its robot, or a command about a source of clips.
    """

    def __init__(self, path: str, message: str, *, is_fault: bool = True) -> None:
        """Blame the slot at a recipe path; `is_fault` if its code is wrong, rather than what the user gave it."""
        super().__init__(f"{path}: {message}")
        self.path, self.message, self.is_fault = path, message, is_fault


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return `did you mean 'x'?` for the closest known name, or an empty string."""
    close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f"did you mean '{close[0]}'?" if close else ""
