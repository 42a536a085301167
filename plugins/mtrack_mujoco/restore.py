"""Copies a saved state into the live tensors of simulations."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from mtrack import CheckpointError


def restore(own: Mapping[str, Tensor], saved: Mapping[str, Tensor]) -> None:
    """Copy saved tensors into tensors of the same names and shapes. Raises CheckpointError if they differ."""
    for name, tensor in own.items():
        if name not in saved:
            raise CheckpointError(f"the saved physics lacks '{name}': it is from another version or recipe")
        if saved[name].shape != tensor.shape:
            shapes = f"{list(saved[name].shape)}, not {list(tensor.shape)}"
            raise CheckpointError(f"the saved physics has '{name}' of shape {shapes}: it is from another recipe")
    for name, tensor in own.items():
        tensor.copy_(saved[name])
