"""Chooses the backend and the device that `auto` means on this machine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib import metadata

from mtrack.api.device import has_gpu
from mtrack.errors import ComponentError, NameProblem
from mtrack.registry.registry import Entry, Registry, is_own


def choose_backend(registry: Registry, device: str) -> Entry:
    """Return the backend that `backend.use = "auto"` means for the `device` of a recipe. Raises NameProblem.

    It is the one with the highest priority for that device, or for any other device if the device or its backend is
    missing; the run then reports why it cannot use the device.
    """
    here = _available_devices()
    wanted = [kind for kind in here if device in ("auto", kind) or device.startswith(f"{kind}:")]
    broken: list[str] = []
    candidates = list(_candidates(registry, broken))
    for devices in (wanted, here):
        ranked = [
            (priorities[kind], entry) for entry, priorities in candidates for kind in devices if kind in priorities
        ]
        if ranked:  # if two have the same priority, take that of mtrack, from which the other may inherit it
            return max(ranked, key=lambda pair: (pair[0], is_own(pair[1].distribution)))[1]
    reasons = "".join(f"\n{reason}" for reason in broken)
    raise NameProblem(f"no installed backend can be chosen automatically: set backend.use{reasons}")


def choose_device(cls: type) -> str:
    """Return the device that `device = "auto"` means for a backend: `cpu` unless its class prefers another one."""
    priorities = {"cpu": 0, **_priorities(cls)}
    return max((kind for kind in _available_devices() if kind in priorities), key=priorities.__getitem__)


def unused_gpu(cls: type, *, is_named: bool) -> str:
    """Return how a run could use the GPU of this machine if its backend does not; empty if there is no GPU.

    `is_named` says whether the recipe names the backend, rather than `auto`.
    """
    if choose_device(cls) != "cpu" or not has_gpu():
        return ""
    remedy = "set backend.use=auto" if is_named else "python -m pip install 'mtrack[gpu]'"
    return f"this machine has a GPU: to use it, {remedy}"


def _candidates(registry: Registry, broken: list[str]) -> Iterator[tuple[Entry, Mapping[str, int]]]:
    """Yield every backend that declares priorities and whose libraries are installed; add errors to `broken`."""
    for entry in registry.of("backend"):
        try:
            cls = registry.load(entry)
        except ComponentError as error:  # a broken backend must not keep the others from being chosen
            broken.append(str(error))
            continue
        priorities = _priorities(cls)
        if priorities and all(map(is_installed, getattr(cls, "libraries", ()))):
            yield entry, priorities


def is_installed(distribution: str) -> bool:
    """Return whether a distribution is installed."""
    try:
        metadata.distribution(distribution)  # its version would be parsed, which takes 35 ms for a long description
    except metadata.PackageNotFoundError:
        return False
    return True


def _priorities(cls: type) -> Mapping[str, int]:
    from mtrack.api.abilities import ChosenByAuto  # noqa: PLC0415  imports torch

    return cls.auto_priority if isinstance(cls, ChosenByAuto) else {}


def _available_devices() -> list[str]:
    return ["cpu", "cuda"] if has_gpu() else ["cpu"]
