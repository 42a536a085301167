"""Losses through torch.compile, which makes few kernels of many, where the machine can."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import ParamSpec, TypeVar

import torch

from mtrack.ranks import wait_for_all

_Inputs = ParamSpec("_Inputs")
_Output = TypeVar("_Output")
_log = logging.getLogger(__name__)


def compiled(function: Callable[_Inputs, _Output], device: torch.device) -> Callable[_Inputs, _Output]:
    """Return a function of tensors compiled for a device; plain where nothing can be compiled for it.

    What was compiled once serves all later functions of the same code: an update may well ask anew. Processes that
    learn together wait for each other after the first call, since none knows how long another compiles.
    """
    faster = torch.compile(function) if can_compile(device.type) else function
    is_first = True

    def call(*inputs: _Inputs.args, **more: _Inputs.kwargs) -> _Output:
        nonlocal is_first
        output = faster(*inputs, **more)
        if is_first:
            wait_for_all()
            is_first = False
        return output

    return call


@cache
def can_compile(device: str) -> bool:
    """Return whether torch.compile works for `cpu` or `cuda`: found out by trying, and warned of once if not."""
    try:
        torch.compile(_small)(torch.ones(2, device=device))
    except Exception as error:  # what is missing (a compiler, Python's headers, Triton) shows in errors of any kind
        reason = str(error).strip().partition("\n")[0]
        _log.warning("nothing is compiled: torch.compile does not work here (%s: %s)", type(error).__name__, reason)
        _log.warning("training goes on, a little slower; a C++ compiler (apt install g++) is what most machines lack")
        return False
    torch._dynamo.config.suppress_errors = True  # what does not compile all the same is run as it is, with a warning
    _log.info("losses are compiled: the first update takes up to a minute longer")
    return True


def _small(value: torch.Tensor) -> torch.Tensor:
    return value.sin() + 1.0
