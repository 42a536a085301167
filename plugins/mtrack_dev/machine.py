"""Doctor checks of CPUs, GPU, OpenGL and disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib import util
from pathlib import Path

from mtrack.api.device import available_cpus, has_gpu
from mtrack.cli.opengl import failures
from mtrack_dev.check_result import CheckResult

_LEAST_FREE, _SCARCE = 200e6, 2e9  # bytes: for a few checkpoints, and for a long run
_BINDING = ("OMP_PROC_BIND", "OMP_PLACES", "GOMP_CPU_AFFINITY")  # libgomp binds the first thread when it is loaded
_BUSY = 4  # CPUs that one process can keep busy


def processors() -> Iterator[CheckResult]:
    """Compare the CPUs that this process may use with the threads that it will use."""
    allowed = available_cpus()
    yield CheckResult("ok", "processors", f"{allowed}")
    if allowed > _BUSY and not has_gpu():
        message = f"one process steps physics on {allowed} CPUs, but computes observations and rewards on one"
        yield CheckResult("note", "processors", message, f"torchrun --nproc-per-node {allowed // 2} -m mtrack run ...")
    quota = cpu_quota(Path("/sys/fs/cgroup/cpu.max"))
    if quota is not None and quota < allowed:
        message = f"this container gets the time of {quota:g} CPUs; more threads wait for each other"
        yield CheckResult("note", "processors", message, f"taskset -c 0-{max(1, round(quota)) - 1} mtrack run ...")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    if load > allowed + 1:
        message = f"{load:.1f} programs want these {allowed} CPUs at the moment, so a run is slower than alone"
        yield CheckResult("note", "processors", message, "end the others, or expect other frames/s (top shows them)")


def threads() -> Iterator[CheckResult]:
    """Compare the environment variables of OpenMP with the CPUs that this process may use."""
    allowed = available_cpus()
    for name in _BINDING:
        value = os.environ.get(name, "")
        if value and value.lower() != "false":
            message = f"{name}={value} binds a process to one CPU once torch is imported: a run then uses one thread"
            yield CheckResult("problem", "threads", message, f"unset {name}")
    limit = os.environ.get("OMP_THREAD_LIMIT", "")
    if limit.isdigit() and int(limit) < allowed:
        message = f"OMP_THREAD_LIMIT={limit}: torch uses no more threads than that, on {allowed} CPUs"
        yield CheckResult("note", "threads", message, "unset OMP_THREAD_LIMIT")
    if os.environ.get("OMP_DYNAMIC", "").lower() in ("true", "1"):
        message = "OMP_DYNAMIC lets the number of threads change, and with it the last bits of results"
        yield CheckResult("note", "threads", message, "unset OMP_DYNAMIC")
    count = os.environ.get("OMP_NUM_THREADS", "")
    if count.isdigit() and int(count) != allowed:
        message = f"OMP_NUM_THREADS={count} has no effect on a run, which uses a thread for each of {allowed} CPUs"
        yield CheckResult("note", "threads", message, "unset it; to use fewer CPUs: taskset -c 0 mtrack run ...")
    if os.environ.get("OMP_WAIT_POLICY", "PASSIVE").upper() != "PASSIVE":
        message = "OMP_WAIT_POLICY lets idle torch threads spin and slow down the physics"
        yield CheckResult(
            "note", "threads", message, "unset OMP_WAIT_POLICY: mtrack lets them wait briefly, then sleep"
        )


def cpu_quota(file: Path) -> float | None:
    """Return how many CPUs' time a cgroup may use, or None if it has no limit."""
    try:
        quota, period = file.read_text().split()[:2]
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def gpu() -> Iterator[CheckResult]:
    """Check whether torch and the physics can use a GPU."""
    import torch  # noqa: PLC0415  another check reports if it is missing

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count()))
        yield CheckResult("ok", "gpu", f"{names} (CUDA {torch.version.cuda})")
        if not util.find_spec("mujoco_warp"):
            yield CheckResult(
                "note",
                "gpu",
                "the physics cannot use it: mujoco_warp is missing",
                "python -m pip install 'mtrack[gpu]'",
            )
    elif shutil.which("nvidia-smi"):
        remedy = "install the build that fits the driver, see https://pytorch.org/get-started/locally"
        yield CheckResult(
            "note", "gpu", f"nvidia-smi is installed, but torch {torch.__version__} cannot use a GPU", remedy
        )
    else:
        yield CheckResult("ok", "gpu", "none; physics and learning run on the CPU")
    if util.find_spec("mujoco_warp"):
        yield CheckResult("ok", "mujoco_warp", "installed")


def opengl() -> Iterator[CheckResult]:
    """Check whether mujoco can be imported with the OpenGL library that MUJOCO_GL names."""
    import mujoco  # noqa: F401, PLC0415  another check reports if it is missing

    for failure in failures:
        message = f"{failure}. mujoco was imported without OpenGL, which only plugins that draw with OpenGL need"
        yield CheckResult("note", "opengl", message, "unset MUJOCO_GL, or set it to a library that is installed")
    if not failures:
        chosen = os.environ.get("MUJOCO_GL", "")
        yield CheckResult(
            "ok", "opengl", f"MUJOCO_GL={chosen} works" if chosen else "not needed: mtrack draws without it"
        )


def run_directory(directory: Path) -> Iterator[CheckResult]:
    """Check that the folder for runs is writable and has free space."""
    place = directory.resolve()
    while not place.exists():
        place = place.parent
    reason = cannot_write(place)
    if reason:
        yield CheckResult("problem", "run directory", f"cannot write to {place}: {reason}", "give another --run-dir")
        return
    free = shutil.disk_usage(place).free
    message, remedy = f"{place} is writable, {free / 1e9:.1f} GB free", "free some space, or give another --run-dir"
    if free >= _SCARCE:
        yield CheckResult("ok", "run directory", message)
    else:
        yield CheckResult("problem" if free < _LEAST_FREE else "note", "run directory", message, remedy)


def cannot_write(folder: Path) -> str:
    """Return why no file can be written to a folder; empty if one can, which is tried."""
    try:
        with tempfile.NamedTemporaryFile(dir=folder) as probe:
            probe.write(b"probe")
            probe.flush()
    except OSError as error:
        return error.strerror or str(error)
    return ""
