"""MuJoCo's own warnings: what each means, and a monitor that reports those about missing room once and counts them."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import attrs
import mujoco
import torch
from torch import Tensor

from mtrack_mujoco import labels

_log = logging.getLogger("mtrack")

LARGEST = 1e10  # mjMAXVAL: beyond it MuJoCo calls a value bad

_MEANINGS = {
    "INERTIA": "the inertia matrix is nearly singular",
    "CONTACTFULL": "no room for all contacts",
    "CNSTRFULL": "no room for all constraints",
    "BADQPOS": "bad position",
    "BADQVEL": "bad velocity",
    "BADQACC": "bad acceleration",
    "BADCTRL": "bad control",
}
"""By the name of MuJoCo's `mjtWarning` without `mjWARN_`."""
_ABOUT = {
    "BADQPOS": labels.of_positions,
    "BADQVEL": labels.of_dofs,
    "BADQACC": labels.of_dofs,
    "BADCTRL": labels.of_actuators,
}


def complaint(name: str, model: mujoco.MjModel, index: int) -> str:
    """Return a warning in words, with the joint or motor of its index: `BADQACC: bad acceleration of waist_yaw`."""
    names = _ABOUT[name](model) if name in _ABOUT else ()
    about = f" of {names[index]}" if index < len(names) else ""
    return f"{name}: {_MEANINGS.get(name, 'see mjtWarning')}{about}"


@attrs.frozen
class Watched:
    """One complaint of an engine that is worth a message."""

    metric: str
    """Of the share of environment steps that had it: `physics/contact_overflow`."""
    message: str
    """What it is, its engine's name for it, and the remedy; `{envs}` is the number of environments."""


class WarningMonitor:
    """Reports each complaint once, and counts them; on a GPU without waiting for the device."""

    def __init__(self, watched: tuple[Watched, ...], device: torch.device) -> None:
        """Watch K complaints."""
        self._watched = watched
        self._unsaid = set(range(len(watched)))
        self._sums = torch.zeros(len(watched), dtype=torch.int64, device=device)
        self._steps = 0
        is_cuda = device.type == "cuda"
        self._found: Tensor = torch.zeros(len(watched), dtype=torch.int64, pin_memory=is_cuda)
        """Environments with each complaint; on a GPU as of the look before, whose copy may be under way until now."""
        self._is_late = is_cuda

    def look(self, has: Tensor) -> None:
        """Take in one control step: which environments have which complaint, bool [N, K]."""
        self._steps += len(has)
        counts = has.sum(0)
        self._sums += counts
        if self._unsaid and self._is_late:
            self._report()
        if self._unsaid:
            self._found.copy_(counts, non_blocking=True)
        if self._unsaid and not self._is_late:
            self._report()

    def metrics(self) -> Mapping[str, Tensor]:
        """Return the share of environment steps with each complaint since the last call, and start over."""
        shares = self._sums / max(1, self._steps)
        self._sums.zero_()
        self._steps = 0
        return {watched.metric: shares[k] for k, watched in enumerate(self._watched)}

    def _report(self) -> None:
        found = self._found.tolist()
        for k in [k for k in sorted(self._unsaid) if found[k]]:
            _log.warning(self._watched[k].message.format(envs=found[k]))
            self._unsaid.discard(k)
