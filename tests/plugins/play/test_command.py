"""`mtrack play` on a run: its window plays the newest checkpoint, and its errors are clear."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from support.bare_browser import BareBrowser
from support.foreign_page import page_status
from support.untrained_run import make_run, save_checkpoint

from mtrack import load_recipe
from mtrack.cli import main


def test_a_run_is_played_pushed_followed_and_stopped(tmp_path: Path) -> None:
    run = make_run(tmp_path / "run", clips=(60, 70))
    command = [sys.executable, "-m", "mtrack", "play", str(run), "--port", "0", "--follow", "--clip", "sway70"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    try:
        lines = []
        while not lines or "Ctrl-C" not in lines[-1]:
            lines.append(process.stderr.readline())
            assert lines[-1], f"the command has ended: {lines}"
        port = re.search(r"http://127\.0\.0\.1:(\d+)", "".join(lines))
        assert port, lines
        assert f"ssh -L {port[1]}:127.0.0.1:{port[1]}" in "".join(lines)
        assert page_status(int(port[1]), "https://evil.example") == 403
        with BareBrowser(int(port[1])) as browser:
            browser.wait(lambda: "<b>sway70</b>" in browser.texts())
            browser.wait(lambda: len(browser.plots()) >= 20)
            frame = browser.find("frame")["value"]
            browser.wait(lambda: browser.find("frame")["value"] != frame)
            browser.set("forward", "25 N s")
            browser.set("clip", "sway60")
            browser.wait(lambda: "<b>sway60</b>" in browser.texts())
            browser.press("Copy state")
            browser.wait(lambda: "mtrack doctor --replay" in browser.texts())
            save_checkpoint(run, load_recipe(run / "recipe.toml"), iteration=2)
            browser.wait(lambda: "train-0000002 at" in browser.texts())
            process.send_signal(signal.SIGINT)
            _, rest = process.communicate(timeout=30)
        assert process.returncode == 0
        assert rest.splitlines() == ["playing train-0000002", "stopped"]
        assert len(list((run / "states").iterdir())) == 1
    finally:
        process.kill()
        process.wait()


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """Return what the command says when it refuses to play."""
    with pytest.raises(SystemExit) as end:
        main(["play", *arguments])
    assert end.value.code == 2
    return capsys.readouterr().err


def test_without_viser_the_command_says_how_to_install_it(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setitem(sys.modules, "viser", None)
    assert 'python -m pip install "mtrack[view]"' in refused(capsys, str(tmp_path))


def test_the_native_viewer_needs_a_display(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    assert "needs a display" in refused(capsys, str(tmp_path), "--native")


def test_a_folder_without_checkpoints_is_no_run(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert str(tmp_path) in refused(capsys, str(tmp_path))
