"""Restores settings of the whole process after a hook or a logger has changed them."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_log = logging.getLogger("mtrack")


@contextmanager
def process_state_kept(who: str = "") -> Iterator[None]:
    """While entered, run code of a plugin; afterwards restore what it changed, and report it if `who` is given.

    This covers the working directory, torch's generator, number of threads, default dtype and device, precision of
    matrix products and whether gradients are computed: results must not depend on which hooks and loggers there are.
    """
    settings = _settings()
    before = {name: read() for name, (read, _) in settings.items()}
    generator = _generator_state()
    try:
        yield
    finally:
        changed = [name for name, (read, _) in settings.items() if read() != before[name]]
        for name in changed:
            settings[name][1](before[name])
        _restore_generator(generator)
        if changed and who:
            _log.warning("%s changed %s; they were restored", who, ", ".join(changed))


def _settings() -> dict[str, tuple[Callable[[], Any], Callable[[Any], object]]]:
    """Return how to read and how to restore each setting, by the name that a message gives it."""
    import torch  # noqa: PLC0415  not needed to list or to load hooks

    return {
        "the working directory": (_working_directory, _change_directory),
        # first: a default device makes every later call slower, and it may be one that has no data
        "torch's default device": (torch.get_default_device, _restore_device),
        "torch's default dtype": (torch.get_default_dtype, torch.set_default_dtype),
        "torch's gradient mode": (torch.is_grad_enabled, torch.set_grad_enabled),
        "torch's number of threads": (torch.get_num_threads, torch.set_num_threads),
        "torch's matmul precision": (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision),
        "torch's deterministic mode": (
            torch.are_deterministic_algorithms_enabled,
            torch.use_deterministic_algorithms,
        ),
    }


def _generator_state() -> Any:
    import torch  # noqa: PLC0415

    return torch.default_generator.get_state()


def _restore_generator(state: Any) -> None:
    """Restore torch's own generator without a report: drawing from it is allowed, since components have their own."""
    import torch  # noqa: PLC0415

    torch.default_generator.set_state(state)


def _restore_device(device: Any) -> None:
    """Restore the default device; the CPU as if none had been set, which is faster."""
    import torch  # noqa: PLC0415

    torch.set_default_device(None if device.type == "cpu" else device)


def _working_directory() -> str:
    """Return the working directory; "" if it no longer exists."""
    try:
        return str(Path.cwd())
    except OSError:
        return ""


def _change_directory(directory: str) -> None:
    with suppress(OSError):  # it may have been deleted; run directories are absolute paths
        os.chdir(directory)
