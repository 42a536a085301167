"""Counts what makes the host wait for a device: data that Python reads from it, and data that Python copies to it."""

from __future__ import annotations

import sys
import traceback
from collections import Counter
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

_READING = {"item", "tolist", "cpu", "numpy", "nonzero", "argwhere", "unique", "masked_select", "equal", "allclose"}
_READING |= {"__bool__", "__int__", "__float__", "__index__", "__array__"}
_MAKING = {"tensor", "as_tensor", "asarray", "new_tensor", "from_numpy"}


class HostReads(TorchFunctionMode):
    """Inside `with`, counts reads and copies by the file that makes them.

    Reads of a copy that is already on the host do not count. Copies to the device are numbers that become a tensor,
    tensors that are sent without `non_blocking`, and lists that index a tensor. Without a GPU it is unknown where a
    tensor is, so sending one that is already on the device counts as well.
    """

    def __init__(self) -> None:
        """Start with a count of 0."""
        super().__init__()
        self.found: Counter[str] = Counter()
        self._copies: list[Tensor] = []

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: object,
        args: tuple[Any, ...] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Call the function, and count it if it is a read or a copy."""
        result = func(*args, **(kwargs or {}))
        name = getattr(func, "__name__", "")
        masks = name in ("__getitem__", "__setitem__") and _is_mask(args[1])
        if _is_sent(name, args, kwargs or {}) and not _is_of_torch(sys._getframe(1).f_code.co_filename):
            self.found[_calling_file()] += 1
        elif (name in _READING or masks) and not self._is_copy(args[0]):
            self.found[_calling_file()] += 1
            if name == "cpu":
                self._copies.append(result)
        return result

    def _is_copy(self, value: Tensor) -> bool:
        return any(value is copy or value._base is copy for copy in self._copies)


def _is_mask(index: object) -> bool:
    parts = index if isinstance(index, tuple) else (index,)
    return any(isinstance(part, Tensor) and part.dtype == torch.bool for part in parts)


def _is_sent(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Return whether a call copies data from the host to a device and waits for it."""
    if name in _MAKING:
        return not isinstance(args[-1], Tensor)
    if name == "to":
        named = any(isinstance(value, str | torch.device | Tensor) for value in (*args[1:], *kwargs.values()))
        return named and not kwargs.get("non_blocking", False)
    if name in ("__getitem__", "__setitem__"):
        parts = args[1] if isinstance(args[1], tuple) else (args[1],)
        return any(isinstance(part, list | tuple) for part in parts)
    return name == "cuda"


def _is_of_torch(file: str) -> bool:
    """Return whether a file belongs to torch, whose functions send tensors that are already on the device."""
    return Path(file).is_relative_to(Path(torch.__file__).parent)


def _calling_file() -> str:
    """Return folder and file of the innermost caller in mtrack."""
    files = [Path(frame.filename) for frame in traceback.extract_stack()]
    return next(name for name in map(_within_package, reversed(files)) if name)


@cache
def _is_package(folder: Path) -> bool:
    return (folder / "__init__.py").is_file()


def _within_package(file: Path) -> str:
    """Return the path of a file from its package on, `mtrack/loop/env.py`; "" if it belongs to something else."""
    folders = list(reversed(file.parents))  # a checkout is often named mtrack too, but is not a package
    packages = [i for i, folder in enumerate(folders) if folder.name.startswith("mtrack") and _is_package(folder)]
    return "/".join(file.parts[packages[-1] :]) if packages else ""
