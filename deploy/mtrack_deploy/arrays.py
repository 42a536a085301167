"""Reads the arrays of an .npz file that may be damaged, or made to harm."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from mtrack_deploy.errors import DeployError
from mtrack_deploy.rotations import Array

LARGEST_BYTES = 500_000_000
"""Of all arrays of a file; an hour of a robot with 29 joints at 50 Hz takes 47 MB."""


def read_arrays(file: Path, what: str) -> dict[str, Array]:
    """Return all arrays of a file; `what` says in messages what it should be. Raises DeployError."""
    try:
        with zipfile.ZipFile(file) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > LARGEST_BYTES:
            raise ValueError(f"its arrays take {size / 1e6:,.0f} MB, more than {LARGEST_BYTES / 1e6:,.0f}")
        with np.load(file, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except Exception as error:  # zipfile, zlib and numpy raise a dozen types for damaged files
        reason = str(error) or type(error).__name__
        raise DeployError(f"{file} is not {what}: {reason}; export the policy again") from None


def require_numbers(file: Path, arrays: Mapping[str, Array], shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise DeployError unless arrays have their shapes, and finite numbers."""
    for name, shape in shapes.items():
        array = arrays.get(name)
        if array is None:
            raise DeployError(f"{file}: '{name}' is missing; export the policy again")
        if array.shape != shape or array.dtype.kind not in "fiub":
            found = f"{array.dtype} {array.shape}"
            raise DeployError(f"{file}: '{name}' is not numbers {shape}, but {found}; export the policy again")
        if not np.isfinite(array).all():
            raise DeployError(f"{file}: '{name}' is not finite; export the policy again")
