"""`mtrack motions view --browser`, as a user sees it: a real command, and a real browser."""

from __future__ import annotations

import re
import signal
import subprocess
import sys

import numpy as np
import pytest
from support.clips import swaying_clip

from mtrack_motion.file import write_clip


@pytest.fixture
def viewer(tmp_path):
    """Return a running command that shows two clips, and its address."""
    for name, frames in (("first", 40), ("second", 200)):
        write_clip(tmp_path / f"{name}.npz", swaying_clip(frames, fps=50.0, name=name))
    words = ["-m", "mtrack", "motions", "view", "first.npz", "second.npz", "--browser", "--port", "0"]
    process = subprocess.Popen(
        [sys.executable, *words], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    address = ""
    for line in process.stderr:
        address = (re.findall(r"http://\S+", line) or [address])[0]
        if "Ctrl-C" in line:
            break
    yield process, address
    process.kill()
    process.communicate()


def test_clips_play_pause_step_and_scrub_and_ctrl_c_ends(viewer, browser):
    process, address = viewer
    tab = browser.open_scene(f"{address}/")
    table = tab.page.locator("table")
    tab.wait_for(lambda: "first" in table.inner_text() and "second" in table.inner_text(), "both clips are listed")
    frame = lambda: int(re.search(r"second\D+(\d+) / 199", table.inner_text())[1])  # noqa: E731
    shown = frame()
    tab.wait_for(lambda: frame() != shown, "the clips play")
    tab.page.get_by_role("button", name="Pause").click()
    tab.page.get_by_role("button", name="Play").wait_for()
    tab.page.get_by_role("button", name="restart").click()
    tab.wait_for(lambda: frame() == 0, "they are at the start")
    tab.page.get_by_role("button", name="forward").click()
    tab.wait_for(lambda: frame() == 1, "one frame later")
    assert "0.02 s" in table.inner_text()
    before = tab.wait_until_still("canvas")
    tab.page.locator("input[type=text], input[inputmode]").first.fill("3.98")
    tab.page.keyboard.press("Enter")
    tab.wait_for(lambda: frame() == 199, "the last frame is shown")
    assert "39 / 39" in table.inner_text(), "the shorter clip has ended"
    assert re.search(r"[+-]\d+ mm", table.inner_text())
    after = tab.wait_until_still("canvas")
    assert (np.abs(after - before).max(2) > 30).sum() > 50
    tab.assert_clean()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err) == (0, "", "")
