"""Feeds the process that talks to wandb, logs what it reports, and ends it and wandb's own service."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mtrack import Metrics
from mtrack_log.flat import flat
from mtrack_log.wandb_process import SERVICE

METRICS = "metrics.jsonl"
_SERVICE_PATIENCE_S = 3.0  # it writes its files and ends by itself if the process that started it is gone
_FULL = 2**16  # free bytes of a disk; wandb writes blocks of half of that, and says nothing if one is lost
_log = logging.getLogger(__name__)


def process_settings(directory: Path, run: Mapping[str, Any], mode: str, project: str, entity: str) -> dict[str, Any]:
    """Return the first message for the process: what it needs to open the wandb run of a run."""
    return {
        "mode": mode,
        "directory": str(directory),
        "project": project,
        "entity": entity,
        "id": str(run.get("run_id") or directory.name),
        "name": directory.name,
        # from the manifest, because recipe.toml contains paths of this machine
        "config": {"recipe": run.get("values", {}), "versions": run.get("distributions", {})},
    }


def message(metrics: Metrics) -> dict[str, object]:
    """Return the message of an iteration; each phase is a section."""
    named = {f"{metrics.phase}/{name}": value for name, value in flat(metrics).items()}
    return {"log": named, "step": metrics.frames}


class Sender:
    """The process, a bounded queue of messages for it, and threads that feed it and log its reports."""

    def __init__(self, settings: Mapping[str, object], directory: Path, capacity: int) -> None:
        """Start the process for a run; the output of wandb itself goes to `wandb/process.log` in its directory."""
        folder = directory / "wandb"
        folder.mkdir(parents=True, exist_ok=True)
        self.dropped = self._messages = 0
        self._queue: queue.Queue[Mapping[str, object]] = queue.Queue(maxsize=capacity)
        self._directory, self._log_file = directory, folder / "process.log"
        self._service: int | None = None
        with self._log_file.open("ab") as log_file:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", "mtrack_log.wandb_process"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log_file,
                start_new_session=True,  # Ctrl-C is for the run only
            )
        self._is_open, self._is_killed = True, False
        self._queue.put_nowait(settings)
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._feed, self._listen)]
        for thread in self._threads:
            thread.start()

    def put(self, message: Mapping[str, object]) -> None:
        """Queue a message; drop and count it if the queue is full."""
        self._messages += 1
        try:
            if not self._is_open:
                raise queue.Full
            self._queue.put_nowait(message)
        except queue.Full:
            self.dropped += 1

    def close(self, last: Mapping[str, object], timeout_s: float) -> bool:
        """Send a last message and wait for the process; kill it after `timeout_s`.

        Log what wandb may lack, and return whether it lacks nothing.
        """
        deadline = time.monotonic() + timeout_s
        with contextlib.suppress(queue.Full):
            self._queue.put(last, timeout=timeout_s if self._is_open else 0)
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._kill()
            with contextlib.suppress(queue.Full):
                self._queue.put_nowait(last)  # `_feed` may wait for a message, and then finds the pipe broken
        for thread in self._threads:
            thread.join(1.0)
        self._end_service()
        return self._has_all(timeout_s)

    def _has_all(self, timeout_s: float) -> bool:
        """Return whether wandb has every message, else log what it may lack: it confirms none before it finishes."""
        missing = self._messages
        if self._is_killed:
            reason = f"did not finish within {timeout_s:g} s and was killed"
        elif self._process.returncode != 0:
            reason = f"has failed (see {self._log_file})"
        elif shutil.disk_usage(self._log_file.parent).free < _FULL:
            reason = "has probably lost the end of its record, because the disk is full"
        elif self.dropped:
            reason, missing = "was too slow", self.dropped
        else:
            return True
        text = f"wandb {reason}: it may lack {missing} of {self._messages} messages"
        if (self._directory / METRICS).is_file():
            command = f"mtrack wandb-upload {self._directory}"
            text += f". {METRICS} has every iteration, and `{command}` makes another wandb run from it"
        _log.warning("%s", text)
        return False

    def _feed(self) -> None:
        pipe = self._process.stdin
        assert pipe is not None
        try:
            while self._is_open:
                message = self._queue.get()
                pipe.write(json.dumps(message, default=str).encode() + b"\n")
                pipe.flush()
                self._is_open = "finish" not in message
        except OSError:  # the process has ended; `_listen` reports why
            self._is_open = False
        with contextlib.suppress(OSError):  # what is left in its buffer cannot be written
            pipe.close()

    def _listen(self) -> None:
        reports = self._process.stdout
        assert reports is not None
        with reports:
            for line in reports:
                text = line.decode(errors="replace").rstrip()
                if text.startswith(SERVICE) and text.removeprefix(SERVICE).isdecimal():
                    self._service = int(text.removeprefix(SERVICE))
                else:
                    _log.warning("wandb: %s", text)
        if self._process.wait() != 0 and not self._is_killed:
            _log.warning("the wandb process failed; the run continues without it, see %s", self._log_file)

    def _kill(self) -> None:
        self._is_killed = True
        self._process.kill()
        self._process.wait()

    def _end_service(self) -> None:
        """Kill wandb's own service if it does not end: it is in a session of its own."""
        deadline = time.monotonic() + _SERVICE_PATIENCE_S
        while self._service is not None and is_service(self._service):
            if time.monotonic() >= deadline:
                with contextlib.suppress(OSError):
                    os.kill(self._service, signal.SIGKILL)
                return
            time.sleep(0.05)


def is_service(pid: int) -> bool:
    """Return whether a process is a service of wandb that has not ended; its number may be another one's by now."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
        return "wandb" in Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace") and ") Z " not in stat
    except OSError:  # it has ended, or this system has no such files
        return False
