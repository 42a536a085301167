"""Explains MuJoCo's warnings, and counts and reports those that a user can act on."""

from __future__ import annotations

import logging
from collections.abc import Mapping

import attrs
import mujoco
import torch
from torch import Tensor

from mtrack import is_trial, sum_over_ranks
from mtrack.api.physics import LARGEST_STATE
from mtrack_mujoco import labels

_log = logging.getLogger("mtrack")

LARGEST = 1e10  # mjMAXVAL: MuJoCo calls larger values bad

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


def explain_warning(name: str, model: mujoco.MjModel, index: int) -> str:
    """Return a warning in words, with the joint or motor that it is about: `BADQACC: bad acceleration of waist_yaw`."""
    names = _ABOUT[name](model) if name in _ABOUT else ()
    about = f" of {names[index]}" if index < len(names) else ""
    return f"{name}: {_MEANINGS.get(name, 'see mjtWarning')}{about}"


def explain_state(model: mujoco.MjModel, qpos: Tensor, qvel: Tensor) -> list[str]:
    """Return which positions [nq] and velocities [nv] are finite but too large to be physical, in words."""
    parts = (("position", qpos, labels.of_positions), ("velocity", qvel, labels.of_dofs))
    return [
        f"{what} of {names(model)[k]} is {float(values[k]):.3g}, beyond {LARGEST_STATE:g}"
        for what, values, names in parts
        for k in (values.isfinite() & (values.abs() >= LARGEST_STATE)).nonzero().flatten().tolist()
    ]


@attrs.frozen
class WatchedWarning:
    """A warning that is reported and counted."""

    metric: str
    """Name of the share of environment steps that had it: `physics/contact_overflow`."""
    message: str
    """What it means, the engine's name for it, and the remedy; `{envs}` is the number of environments."""
    is_rare: bool = False
    """Whether its share is reported only if it is not 0."""


_UNSTABLE = (
    "the simulation has become unstable: mtrack doctor --replay FILE, with a file in the folder diverged/, says what "
    "failed first; a smaller physics_dt, lower gains, or larger armatures and masses help"
)


def watched_warnings(memory: str) -> dict[str, WatchedWarning]:
    """Return what is watched of MuJoCo on the CPU, by its name in `mjtWarning` without `mjWARN_`.

    `memory` says how to get room for contacts and constraints.
    """
    left_out = f"some were left out, and these are reset: {memory}"
    singular = "look for masses, inertias and armatures near 0 in the robot and in randomizations"
    number = "not finite or too large"
    table = {
        "CONTACTFULL": ("contact_overflow", "no room for all contacts in {} of the environments", left_out),
        "CNSTRFULL": ("constraint_overflow", "no room for all constraints in {} of the environments", left_out),
        "INERTIA": ("singular_inertia", "the inertia matrix of {} of the environments is nearly singular", singular),
        "BADQPOS": ("bad_position", f"a position is {number} in {{}} of the environments", _UNSTABLE),
        "BADQVEL": ("bad_velocity", f"a velocity is {number} in {{}} of the environments", _UNSTABLE),
        "BADQACC": ("bad_acceleration", f"an acceleration is {number} in {{}} of the environments", _UNSTABLE),
        "BADCTRL": ("bad_control", "a control is not finite in {} of the environments", "look for NaN in the actions"),
    }
    return {
        name: WatchedWarning(
            f"physics/{metric}", f"{what.format('{envs}')} (mjWARN_{name}): {remedy}", is_rare=name.startswith("BAD")
        )
        for name, (metric, what, remedy) in table.items()
    }


class WarningMonitor:
    """Reports each warning once, and counts all of them; on a GPU without waiting for the device."""

    def __init__(self, watched: tuple[WatchedWarning, ...], device: torch.device) -> None:
        """Watch K warnings."""
        self._watched = watched
        self._unreported = set(range(len(watched)))
        self._sums = torch.zeros(len(watched), dtype=torch.int64, device=device)
        self._steps = 0
        is_cuda = device.type == "cuda"
        self._found: Tensor = torch.zeros(len(watched), dtype=torch.int64, pin_memory=is_cuda)
        """Number of environments with each warning; on a GPU of the previous look, whose copy has arrived by now."""
        self._is_late = is_cuda

    def look(self, has: Tensor) -> None:
        """Count one control step: which environments have which warning, bool [N, K]."""
        self._steps += len(has)
        counts = has.sum(0)
        self._sums += counts
        if self._unreported and self._is_late:
            self._report()
        if self._unreported:
            self._found.copy_(counts, non_blocking=True)
        if self._unreported and not self._is_late:
            self._report()

    def metrics(self) -> Mapping[str, Tensor]:
        """Return the share of environment steps with each warning since the last call, and reset the counts.

        All processes must call this together, so that all report the same warnings.
        """
        shares, totals = self._sums / max(1, self._steps), sum_over_ranks(self._sums).tolist()
        self._sums.zero_()
        self._steps = 0
        return {
            watched.metric: shares[k]
            for k, watched in enumerate(self._watched)
            if totals[k] or is_trial() or not watched.is_rare
        }

    def _report(self) -> None:
        found = self._found.tolist()
        for k in [k for k in sorted(self._unreported) if found[k]]:
            _log.warning(self._watched[k].message.format(envs=found[k]))
            self._unreported.discard(k)
