"""The doctor's look at processors, GPU and disk."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from importlib import util
from pathlib import Path

from mtrack.api.device import available_cpus, has_gpu
from mtrack.cli.opengl import failures
from mtrack_dev.finding import Finding

_LEAST_FREE, _SCARCE = 200e6, 2e9  # bytes: a few checkpoints, and a long run's
_BUSY = 4  # processors that one process keeps busy


def processors() -> Iterator[Finding]:
    """Compare the processors this process may use with the threads it will use."""
    allowed = available_cpus()
    yield Finding("ok", "processors", f"{allowed}")
    if allowed > _BUSY and not has_gpu():
        message = f"one process steps physics on {allowed}, but computes observations and rewards on one"
        yield Finding("note", "processors", message, f"torchrun --nproc-per-node {allowed // 2} -m mtrack run ...")
    quota = cpu_quota(Path("/sys/fs/cgroup/cpu.max"))
    if quota is not None and quota < allowed:
        message = f"this container gets the time of {quota:g} of them: more threads wait for each other"
        yield Finding("note", "processors", message, f"taskset -c 0-{max(1, round(quota)) - 1} mtrack run ...")
    threads = os.environ.get("OMP_NUM_THREADS", "")
    if threads.isdigit() and int(threads) > allowed:
        message = f"OMP_NUM_THREADS={threads} on {allowed} processors"
        yield Finding("note", "processors", message, "unset OMP_NUM_THREADS")
    if os.environ.get("OMP_WAIT_POLICY", "PASSIVE").upper() != "PASSIVE":
        message = "OMP_WAIT_POLICY lets idle torch threads spin beside the physics"
        yield Finding("note", "processors", message, "unset OMP_WAIT_POLICY: mtrack lets them wait briefly, then sleep")


def cpu_quota(file: Path) -> float | None:
    """Return the processors' worth of time a cgroup may use, or None without a limit."""
    try:
        quota, period = file.read_text().split()[:2]
    except (OSError, ValueError):
        return None
    return None if quota == "max" else int(quota) / int(period)


def gpu() -> Iterator[Finding]:
    """See what torch can use."""
    import torch  # noqa: PLC0415  its absence is a finding of another check

    if torch.cuda.is_available():
        names = ", ".join(torch.cuda.get_device_name(k) for k in range(torch.cuda.device_count()))
        yield Finding("ok", "gpu", f"{names} (CUDA {torch.version.cuda})")
        if not util.find_spec("mujoco_warp"):
            yield Finding("note", "gpu", "physics cannot use it yet", "python -m pip install 'mtrack[gpu]'")
    elif shutil.which("nvidia-smi"):
        remedy = "see https://pytorch.org/get-started/locally for the build that fits the driver"
        yield Finding("note", "gpu", f"there seems to be one, but torch {torch.__version__} cannot use it", remedy)
    else:
        yield Finding("ok", "gpu", "none; physics and learning run on the processors")
    if util.find_spec("mujoco_warp"):
        yield Finding("ok", "mujoco_warp", "installed")


def opengl() -> Iterator[Finding]:
    """See whether mujoco can be imported with the OpenGL library that MUJOCO_GL names."""
    import mujoco  # noqa: F401, PLC0415  its absence is a finding of another check

    for failure in failures:
        message = f"{failure}. mujoco was imported without OpenGL; only plugins that draw with OpenGL need it"
        yield Finding("note", "opengl", message, "unset MUJOCO_GL, or set it to a library that is installed")


def run_directory(directory: Path) -> Iterator[Finding]:
    """Write a probe where runs will be kept, and look at the free space."""
    place = directory.resolve()
    while not place.exists():
        place = place.parent
    try:
        with tempfile.NamedTemporaryFile(dir=place) as probe:
            probe.write(b"probe")
            probe.flush()
    except OSError as error:
        yield Finding("broken", "run directory", f"cannot write to {place}: {error.strerror}", "give another --run-dir")
        return
    free = shutil.disk_usage(place).free
    message, remedy = f"{place} can be written, {free / 1e9:.1f} GB free", "make room, or give another --run-dir"
    if free >= _SCARCE:
        yield Finding("ok", "run directory", message)
    else:
        yield Finding("broken" if free < _LEAST_FREE else "note", "run directory", message, remedy)
