"""Makes `tests/support` importable, runs the whole suite in two processes, and has the common fixtures."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from support.browser import Browser

_PROCESSES = 2  # each process loads torch and MuJoCo

sys.path.insert(0, str(Path(__file__).parent))
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported: the processes share the CPUs
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:  # in the background of a shell script; child processes inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run the whole suite in two processes if pytest-xdist is installed, unless `-n 0` or test names are given."""
    options, plugins = config.option, config.pluginmanager
    is_worker = "PYTEST_XDIST_WORKER" in os.environ  # otherwise each worker would start more workers, endlessly
    is_whole = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not options.collectonly and not is_worker
    if is_whole and plugins.hasplugin("xdist") and options.numprocesses is None and not options.usepdb:
        options.numprocesses, options.dist = _PROCESSES, "loadfile"  # creates the fixtures of a module only once
        options.loadscopereorder = False  # otherwise files with few long tests run last, in one process


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Return a folder on `sys.path`; modules that a test imports from it are unloaded afterwards."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    known = set(sys.modules)
    yield folder
    for name in set(sys.modules) - known:
        if str(getattr(sys.modules[name], "__file__", "")).startswith(str(folder)):
            del sys.modules[name]


@pytest.fixture(scope="session")
def _chromium() -> Iterator[Browser]:
    from support.browser import start_browser

    yield from start_browser()


@pytest.fixture
def browser(_chromium: Browser) -> Iterator[Browser]:
    """Return a headless browser, one process for all tests; its pages are closed afterwards."""
    yield _chromium
    _chromium.close_tabs()
