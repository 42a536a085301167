"""CPU time of `mtrack play RUN` with a window that draws nothing: paused and following, and playing in real time."""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from support.bare_browser import BareBrowser


def cpu_seconds(process: int) -> float:
    """Return the CPU time of a process and its threads [s]."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def share(process: int, seconds: float) -> float:
    """Return the share of one core that a process uses during some seconds."""
    before, start = cpu_seconds(process), time.monotonic()
    time.sleep(seconds)
    return (cpu_seconds(process) - before) / (time.monotonic() - start)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--seconds", type=float, default=60.0)
    arguments = parser.parse_args()
    command = [sys.executable, "-m", "mtrack", "play", arguments.run, "--port", "0", "--follow", "--allow-change"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    assert process.stderr
    lines = [process.stderr.readline()]
    while lines[-1] and "Ctrl-C" not in lines[-1]:
        lines.append(process.stderr.readline())
    found = re.search(r"http://127\.0\.0\.1:(\d+)", "".join(lines))
    assert found, lines
    with BareBrowser(int(found[1])) as browser:
        browser.find("Pause")
        time.sleep(5.0)
        playing = share(process.pid, arguments.seconds)
        factor = re.search(r"([\d.]+)x real time", browser.texts())
        browser.press("Pause")
        browser.find("Play")
        time.sleep(3.0)
        paused = share(process.pid, arguments.seconds)
        received = sum(browser.received.values())
    process.send_signal(signal.SIGINT)
    process.wait()
    sys.stdout.write(f"playing: {playing:.1%} of one core, real-time factor {factor[1] if factor else 'unknown'}\n")
    sys.stdout.write(f"paused and following: {paused:.2%} of one core\n{received} messages\n")


if __name__ == "__main__":
    main()
