"""Which dtype matrix products run in.

TensorFloat-32 is left off on GPUs: what is still float32 there (heads, rotations, positions) needs its digits.
"""

from __future__ import annotations

from typing import Literal

import torch

Autocast = Literal["auto", "bfloat16", "none"]


def compute_dtype(setting: Autocast, device: torch.device | str) -> torch.dtype:
    """Return bfloat16 or float32; `auto` takes bfloat16 where the device multiplies it faster."""
    if setting != "auto":
        return torch.bfloat16 if setting == "bfloat16" else torch.float32
    if torch.device(device).type == "cuda":
        native = torch.cuda.is_bf16_supported(including_emulation=False)
    else:
        capabilities = torch.cpu.get_capabilities()
        native = bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return torch.bfloat16 if native else torch.float32
