"""Finds the component that an exception comes from, and names it in the error."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any

from mtrack.errors import ComponentError, MtrackError, RunError, describe_error, is_from_user
from mtrack.recipe.slots import Slot

Part = tuple[Slot, Any]
"""A slot and its component."""


@contextmanager
def blaming(parts: Iterable[Part], otherwise: Slot | None = None) -> Iterator[None]:
    """Run code that calls components. Raises ComponentError naming the one whose code raised, if it was one's.

    `otherwise` is named if none of `parts` is on the way to the error; without it such an error passes as it is.
    What is no Exception (sys.exit, KeyboardInterrupt) is always an error of the code that raised it.
    """
    try:
        yield
    except (MtrackError, ComponentError, RunError):
        raise
    except BaseException as error:
        if is_from_user(error):
            raise
        culprit = culprit_of(error, parts) or otherwise
        if culprit is None and isinstance(error, Exception):
            raise
        remedy = "" if culprit is None else _undeclared(error, culprit)
        raise ComponentError(f"{culprit or raised_at(error)} raised {describe_error(error)}{remedy}") from error


def culprit_of(error: BaseException, parts: Iterable[Part]) -> Slot | None:
    """Return the slot of the innermost component on the way to an error, or None."""
    owners = {id(component): slot for slot, component in parts}
    culprit: Slot | None = None
    trace: TracebackType | None = error.__traceback__
    while trace is not None:
        culprit = owners.get(id(first_argument(trace.tb_frame)), culprit)
        trace = trace.tb_next
    return culprit


def _undeclared(error: BaseException, culprit: Slot) -> str:
    """Return what to do about an attribute that a component sets or reads, but does not declare; else nothing."""
    cls = culprit.cls.__name__
    missing = re.match(f"'{cls}' object has no attribute '(\\w+)'", str(error))  # Python 3.13 continues the sentence
    if not isinstance(error, AttributeError) or missing is None:
        return ""
    return f". Declare it in class {cls}: {missing[1]}: TYPE = scratch(), or state() if checkpoints must keep it"


def raised_at(error: BaseException) -> str:
    """Return file and line of the code that raised an exception: `/home/me/acme/rewards.py:12`."""
    place, trace = "code", error.__traceback__
    while trace is not None:
        place, trace = f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}", trace.tb_next
    return place


def first_argument(frame: FrameType) -> object:
    """Return what a method was called with first, `self` also in a wrapper around one; or None.

    A plain function may be called with any component first, which is no reason to blame that one.
    """
    code = frame.f_code
    if "." not in code.co_qualname:
        return None
    if code.co_argcount:
        return frame.f_locals.get(code.co_varnames[0])
    if code.co_flags & inspect.CO_VARARGS:
        arguments = frame.f_locals.get(code.co_varnames[code.co_kwonlyargcount], ())
        return arguments[0] if isinstance(arguments, tuple) and arguments else None
    return None
