"""What the base of the MuJoCo backends needs from an engine: many simulations of one model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from torch import Tensor

from mtrack_mujoco.engine_warnings import WarningMonitor
from mtrack_mujoco.model_fields import DeclaredFields


class Simulations(Protocol):
    """N simulations of one model, whichever engine computes them; all tensors are live, [N, ...]."""

    state: dict[str, Tensor]
    """The integration state: everything that the next step depends on."""
    qpos: Tensor
    qvel: Tensor
    ctrl: Tensor
    xfrc: Tensor
    """[N, nbody, 6] force [N] and torque [N m] at the bodies' centres of mass."""
    outputs: dict[str, Tensor]
    engine: Mapping[str, object]
    """See `RecordedStep.engine`."""

    @property
    def fields(self) -> DeclaredFields:
        """The model fields that components have declared."""

    @property
    def monitor(self) -> WarningMonitor:
        """Counts the engine's warnings."""

    def restart(self, env_ids: Tensor) -> None:
        """Put environments, int64 [n], into the model's initial state and clear their warnings."""

    def step(self, last: bool) -> None:
        """Advance every environment by one substep; after the `last` one compute poses and velocities too."""

    def forward(self, env_ids: Tensor) -> None:
        """Compute everything at the present state of some environments; the outputs of the others do not change."""

    def update_constants(self, env_ids: Tensor) -> None:
        """Recompute the constants that follow from changed model fields."""

    def watch(self) -> None:
        """Count the engine's warnings, once a control step, and report new ones."""

    def diverged(self) -> Tensor:
        """Return bool [N]: environments that diverged since their restart."""

    def warnings(self, env_id: int) -> tuple[str, ...]:
        """Return the engine's warnings about one environment since its restart."""

    def tensors(self) -> dict[str, Tensor]:
        """Return everything that later calls depend on or that was computed last."""
