"""Random numbers: every slot has its own stream, so that adding a term shifts no other."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def slot_seed(seed: int, rank: int, path: str) -> int:
    """Return the seed of a slot in [0, 2^63): a hash of `{seed}/{rank}/{dotted path}`, the same on every machine."""
    digest = hashlib.sha256(f"{seed}/{rank}/{path}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def generator(seed: int, rank: int, path: str, device: str = "cpu") -> torch.Generator:
    """Return a new generator for the slot at a dotted recipe path."""
    import torch  # noqa: PLC0415  slow; commands that only look at recipes do without

    return torch.Generator(device=device).manual_seed(slot_seed(seed, rank, path))
