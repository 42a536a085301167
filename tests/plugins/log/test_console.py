"""The console shows a live display on a terminal and plain lines elsewhere."""

from __future__ import annotations

import contextlib
import io
import logging
import os
import sys
import threading
from pathlib import Path

import attrs
import pytest
from feed_of_metrics import RUN, iteration

from mtrack import Metrics
from mtrack.api.metrics import LEFT_OUT, RAW_REWARD, ROLLBACKS
from mtrack.api.until import HELD, Until
from mtrack.loop.assemble import assemble
from mtrack.loop.learner import Learner
from mtrack.loop.wiring import give_generators
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack_log.console import Console
from mtrack_log.display import _ORDER, Display
from mtrack_log.text import FAULTS, count, duration, number, plain_line


def shown(width: int, height: int, **values: float) -> list[str]:
    return [line.plain for line in Display(Path("runs/a"), iteration(12, **values)).lines(width, height)]


def toy_metrics() -> Metrics:
    """Return the metrics of the first iteration of a small toy run."""
    recipe = check_recipe(read_recipe("toy", ["num_envs=4", "phases.train.train_every=4"]), Registry.scan())
    recipe = recipe.for_phase("train")
    assembly, agent, phase = assemble(recipe, "train"), recipe.agent.build(), recipe.phases["train"].build()
    agent.build(assembly.layout)
    give_generators(phase, "phases.train", recipe.seed, 0, "cpu")
    phase.enter(agent, assembly.layout, None)
    assembly.env.start()
    seen: list[Metrics] = []
    Learner(
        env=assembly.env,
        phase=phase,
        name="train",
        train_every=4,
        total_frames=16,
        report=seen.append,
        save=lambda learner: None,
        should_stop=lambda: False,
    ).learn()
    return seen[0]


@pytest.mark.parametrize(("width", "height"), [(200, 60), (100, 30), (80, 24), (40, 24), (20, 8)])
def test_the_display_fits_the_window(width: int, height: int) -> None:
    lines = shown(width, height)
    assert max(len(line) for line in lines) <= width
    assert len(lines) <= height - 2


def test_a_window_of_80_by_24_shows_every_metric() -> None:
    text = "\n".join(shown(80, 24))
    for expected in ("train", "12 of 100", "3,120 frames/s", "2 h 14 min", "root_pos", "412", "13.2", "63 %", "21 %"):
        assert expected in text
    assert "too small" not in text
    assert "raw" not in text


def test_a_small_window_says_that_it_is_too_small() -> None:
    assert "too small" in shown(60, 9)[-1]


def test_metrics_of_an_unknown_family_are_shown() -> None:
    assert any("my_plugin" in line and "thing 7.00" in line for line in shown(80, 40, **{"my_plugin/thing": 7.0}))


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [("env/diverged", 2.0, "diverged 2"), ("update/skipped", 0.25, "skipped 25 %"), (ROLLBACKS, 1.0, "rollbacks 1")],
)
def test_diverged_environments_and_skipped_updates_are_shown_only_if_they_are_not_0(
    name: str, value: float, text: str
) -> None:
    label = text.partition(" ")[0]
    assert not any(label in line for line in [*shown(80, 40), plain_line(iteration(1))])
    assert any(text in line for line in shown(80, 40, **{name: value}))
    assert text in plain_line(iteration(1, **{name: value}))


def test_a_line_names_the_warnings_of_the_physics_engine_and_how_often_they_came() -> None:
    line = plain_line(iteration(1, **{"physics/contact_overflow": 0.0, "physics/bad_velocity": 0.0025}))
    assert "bad_velocity 0.250 %" in line
    assert "contact_overflow" not in line


def test_the_kernel_emits_what_the_console_shows() -> None:
    """Check the names with the metrics of a real rollout and update."""
    metrics = toy_metrics()
    assert {*FAULTS} - {LEFT_OUT, ROLLBACKS} <= {*metrics.values}, "those two are only reported if they are not 0"
    assert {name.partition("/")[0] for name in metrics.values} <= {*_ORDER, "value", "mirror", RAW_REWARD}


def test_without_a_terminal_plain_lines_are_written_to_stderr_only(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(every_s=0)
    console.start(Path("runs/a"), RUN)
    for k in (1, 2):
        console.log(iteration(k))
    console.finish("finished")
    out, err = capsys.readouterr()
    assert out == ""
    assert "\x1b" not in err
    assert [line.split("  ")[0] for line in err.splitlines()] == [
        "train 1/100",
        "train 2/100",
        "finished after 0 s and 16.4 k frames",
    ]


def test_a_line_that_cannot_be_written_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stderr", full)
        console = Console(every_s=0.0)
        console.start(Path("run"), RUN)
        console.log(iteration(1))
        monkeypatch.setattr(sys, "stderr", written := io.StringIO())
        console.log(iteration(2))
        with contextlib.suppress(OSError):  # what is left in its buffer
            full.close()
    assert written.getvalue().startswith("train 2/")


def test_lines_are_limited_in_time_but_first_and_last_of_a_phase_are_written(
    capsys: pytest.CaptureFixture[str],
) -> None:
    console = Console(every_s=3600)
    console.start(Path("runs/a"), RUN)
    for phase in ("train", "adapt"):
        for k in range(1, 6):
            console.log(iteration(k, phase=phase, iterations=5))
    heads = [line.split("  ")[0] for line in capsys.readouterr().err.splitlines()]
    assert heads == ["train 1/5", "train 5/5", "adapt 1/5", "adapt 5/5"]


def test_forced_colours_do_not_open_the_display_on_a_pipe(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    console = Console()
    console.start(Path("runs/a"), RUN)
    console.log(iteration(1))
    console.finish("finished")
    assert "\x1b" not in capsys.readouterr().err


def read_all(terminal: int, into: bytearray) -> None:
    """Read a pseudo-terminal until its other end is closed; one read may return only a part."""
    with contextlib.suppress(OSError):
        while chunk := os.read(terminal, 4096):
            into += chunk


@pytest.mark.skipif(not hasattr(os, "openpty"), reason="needs a pseudo-terminal")
def test_log_records_appear_above_the_display_and_the_stream_is_restored(monkeypatch: pytest.MonkeyPatch) -> None:
    master, slave = os.openpty()
    drawn = bytearray()
    reader = threading.Thread(target=read_all, args=(master, drawn))
    reader.start()
    monkeypatch.setenv("TERM", "xterm")
    with os.fdopen(slave, "w") as terminal:
        monkeypatch.setattr(sys, "stderr", terminal)
        handler = logging.StreamHandler(terminal)
        logger = logging.getLogger("mtrack.test_console")
        logger.addHandler(handler)
        try:
            console = Console()
            console.start(Path("runs/a"), RUN)
            console.log(iteration(1))
            assert handler.stream is not terminal
            logger.warning("something happened")
            console.finish("interrupted")
        finally:
            logger.removeHandler(handler)
        assert handler.stream is terminal
        assert sys.stderr is terminal
    reader.join(timeout=30)
    os.close(master)
    text = drawn.decode()
    before, _, after = text.partition("something happened")
    assert "iteration 1 of 100" in before
    assert "iteration 1 of 100" in after, "the display is drawn again below the message"
    assert "interrupted after" in after
    assert text.count("\x1b[?25l") == text.count("\x1b[?25h"), "the cursor is restored"


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0, "0"), (0.31, "0.310"), (12.34, "12.3"), (12345.6, "12,346"), (-2e-7, "-2.0e-07"), (float("nan"), "nan")],
)
def test_numbers_have_three_significant_digits(value: float, text: str) -> None:
    assert number(value) == text


def test_durations_and_counts_have_readable_units() -> None:
    assert [duration(s) for s in (12, 200, 8040, 273600)] == ["12 s", "3 min 20 s", "2 h 14 min", "3 d 4 h"]
    assert duration(float("inf")) == "unknown"
    assert [count(n) for n in (812, 45_200, 1_230_000, 2_100_000_000)] == ["812", "45.2 k", "1.23 M", "2.10 G"]


def held(number: int, frames: int, **values: float) -> Metrics:
    """Return an iteration of a phase that ends after 20,000 frames in a row with a small error."""
    until = Until(below={"tracking/root_pos": 0.5}, above={"coverage/learnt": 0.9}, patience=20_000)
    return attrs.evolve(iteration(number, **{HELD: float(frames)}, **values), until=until)


def test_a_phase_that_may_end_early_shows_how_close_it_is_in_both_forms() -> None:
    text = "until 8,192 of 20.0 k frames with coverage/learnt - (above 0.9), tracking/root_pos 0.310 (below 0.5)"
    assert text in plain_line(held(1, 8192))
    lines = [line.plain for line in Display(Path("runs/a"), held(1, 8192)).lines(120, 40)]
    assert lines[2] == text
    assert not [line for line in lines if "held_frames" in line], "it is shown once"
    assert "coverage/learnt 0.950 (above 0.9)" in plain_line(held(1, 8192, **{"coverage/learnt": 0.95}))
    assert "until" not in plain_line(iteration(1))


def test_the_iteration_with_which_a_phase_ends_early_is_written(capsys: pytest.CaptureFixture[str]) -> None:
    console = Console(every_s=3600)
    console.start(Path("runs/a"), RUN)
    for k in range(1, 4):
        console.log(held(k, 8192 * k))
    heads = [line.split("  ")[0] for line in capsys.readouterr().err.splitlines()]
    assert heads == ["train 1/100", "train 3/100"]
