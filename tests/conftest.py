"""Makes `tests/support` importable, runs the whole suite in two processes, makes distributions for one test."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

_PROCESSES = 2  # each has torch and MuJoCo in memory

sys.path.insert(0, str(Path(__file__).parent))
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: the processes share the processors


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Give the whole suite two processes if pytest-xdist is installed; `-n 0`, or naming tests, keeps it in one."""
    options, plugins = config.option, config.pluginmanager
    is_worker = "PYTEST_XDIST_WORKER" in os.environ  # or each worker would start workers of its own, without end
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not options.collectonly and not is_worker
    if is_whole and plugins.hasplugin("xdist") and options.numprocesses is None and not options.usepdb:
        options.numprocesses, options.dist = _PROCESSES, "loadfile"  # fixtures of a module are made once
        options.loadscopereorder = False  # or the files of few, long tests would come last, in one process


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder on the path; what a test imports from it is forgotten afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    known = set(sys.modules)
    yield folder
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]
