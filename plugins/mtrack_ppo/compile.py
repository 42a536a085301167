"""torch.compile for losses, if the machine can compile and the compiled gradients are correct."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import ParamSpec, TypeVar

import torch
from torch import Tensor, nn

from mtrack import Mirror, is_trial
from mtrack.api.distributed import wait_for_all
from mtrack_ppo.networks import FEATURE_GAIN, HEAD_GAIN, Mlp, Style
from mtrack_ppo.symmetry import halves

_Inputs = ParamSpec("_Inputs")
_Output = TypeVar("_Output")
_log = logging.getLogger(__name__)

_TOLERANCE = 1e-3  # relative to a gradient's norm, in float32: a compiled graph adds in another order


def compiled(function: Callable[_Inputs, _Output], device: torch.device) -> Callable[_Inputs, _Output]:
    """Return a function of tensors, compiled for a device if that is possible.

    torch.compile keeps the code that it compiled, so each update may call this again. All processes wait for each other
    after the first call, because they take different times to compile.
    """
    faster = torch.compile(function) if not is_trial() and can_compile(device.type) else function
    is_first = True

    def call(*inputs: _Inputs.args, **more: _Inputs.kwargs) -> _Output:
        nonlocal is_first
        output = faster(*inputs, **more)
        if is_first:
            wait_for_all("compile its losses")
            is_first = False
        return output

    return call


@cache
def can_compile(device: str) -> bool:
    """Return whether torch.compile works for `cpu` or `cuda` with correct gradients; warns once if not.

    Compiles a small encoder and actor, and compares their gradients with those of plain torch. Comparing the losses is
    not enough: torch 2.11 compiled correct losses with wrong gradients.
    """
    try:
        wrong = _trial(device)
    except Exception as error:  # a missing compiler, Python header or Triton raises errors of any kind
        reason = str(error).strip().partition("\n")[0]
        _log.warning("losses are not compiled: torch.compile does not work here (%s: %s)", type(error).__name__, reason)
        _log.warning(
            "training continues without it, a little slower; most machines that cannot compile have no C++ compiler "
            "(apt install g++)"
        )
        return False
    if wrong:
        _log.warning(
            "losses are not compiled: with torch %s, compiled gradients differ from plain ones (%s)",
            torch.__version__,
            wrong,
        )
        _log.warning("training continues without torch.compile, a little slower; try another version of torch")
        return False
    torch._dynamo.config.suppress_errors = True  # a loss that cannot be compiled runs as it is, with a warning
    _log.info("losses are compiled: the first update takes up to a minute longer")
    return True


class _Teacher(nn.Module):
    """A small encoder and an actor on its feature, made of the same layers as the real networks; plain or symmetric."""

    def __init__(self, symmetric: bool) -> None:
        """Draw the weights, with a fixed seed."""
        super().__init__()
        style, feature, action = Style("elu", "none", seed=0), halves(4), Mirror.of((1.0, -1.0))
        of_feature, of_action = (feature, action) if symmetric else (None, None)
        self.encoder = Mlp("encoder", (3, 2), (8, 8), 4, style=style, gain=FEATURE_GAIN, mirror=of_feature)
        self.actor = Mlp("actor", (3, 2), (8,), 2, style=style, gain=HEAD_GAIN, feature=4, mirror=of_action)

    def forward(self, even: Tensor, odd: Tensor) -> Tensor:
        """Return a scalar loss of inputs [n, 3] and [n, 2], if it is not symmetric also of their mirror images."""
        total = torch.zeros((), device=even.device)
        for mirrored in (False,) if self.actor.symmetric else (False, True):
            feature = self.encoder(even, odd, mirrored=mirrored)
            total = total + (self.actor(even, odd, feature, mirrored) - 1.0).square().mean()
        return total


def _trial(device: str) -> str:
    """Return which compiled gradient differs most from the plain one, and by how much; "" if all agree."""
    return _difference(_Teacher(symmetric=False), device) or _difference(_Teacher(symmetric=True), device)


def _difference(teacher: _Teacher, device: str) -> str:
    teacher = teacher.to(device)
    even, odd = torch.linspace(-2.0, 2.0, 80, device=device).sin().view(16, 5).split((3, 2), dim=1)
    plain = _gradients(teacher, teacher(even, odd))
    fast = _gradients(teacher, torch.compile(teacher.forward)(even, odd))
    differences = [float((a - b).norm() / a.norm()) for a, b in zip(plain, fast, strict=True)]
    if all(share <= _TOLERANCE for share in differences):  # False for NaN
        return ""
    most, name = max((share, name) for share, (name, _) in zip(differences, teacher.named_parameters(), strict=True))
    return f"{name} by {most:.0%}"


def _gradients(teacher: _Teacher, loss: Tensor) -> list[Tensor]:
    found = torch.autograd.grad(loss, list(teacher.parameters()), allow_unused=True, materialize_grads=True)
    return list(found)
