"""TensorBoard receives every metric, and no point twice after a resume."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from feed_of_metrics import RUN, iteration

from mtrack import MtrackError
from mtrack_log.tensorboard import TensorBoard

pytest.importorskip("tensorboard", reason="needs the extra mtrack[tensorboard]")


def logged(directory: Path, *numbers: int, phases: Sequence[str] = ("train",)) -> None:
    logger = TensorBoard()
    logger.start(directory, RUN | {"values": {"num_envs": 64, "rewards": {"loco": {"survival": {"weight": 3.0}}}}})
    for phase in phases:
        for k in numbers:
            logger.log(iteration(k, phase=phase))
    logger.finish("finished")


def events(directory: Path, phase: str = "train") -> Any:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    return EventAccumulator(str(directory / "tensorboard" / phase)).Reload()


def points(directory: Path, name: str, phase: str = "train") -> list[tuple[int, float]]:
    return [(event.step, pytest.approx(event.value)) for event in events(directory, phase).Scalars(name)]


def test_values_and_timings_become_curves_over_frames(tmp_path: Path) -> None:
    logged(tmp_path, 1, 2)
    assert points(tmp_path, "episode/length") == [(8192, 412.0), (16384, 412.0)]
    assert points(tmp_path, "time/collect") == [(8192, 1.7), (16384, 1.7)]


def test_each_phase_has_its_own_curves(tmp_path: Path) -> None:
    logged(tmp_path, 1, 2, phases=("train", "adapt"))
    assert sorted(path.name for path in (tmp_path / "tensorboard").iterdir()) == ["adapt", "train"]
    for phase in ("train", "adapt"):
        assert [step for step, _ in points(tmp_path, "loss/policy", phase)] == [8192, 16384]


def test_the_recipe_is_shown_as_text(tmp_path: Path) -> None:
    logged(tmp_path, 1)
    (event,) = events(tmp_path).Tensors("recipe/text_summary")
    (text,) = event.tensor_proto.string_val
    for line in ("num_envs = 64", "[rewards.loco.survival]", "weight = 3.0"):
        assert f"    {line}\n" in text.decode()


def test_iterations_that_a_resumed_run_repeats_appear_once(tmp_path: Path) -> None:
    logged(tmp_path, 1, 2, 3)
    logged(tmp_path, 2, 3, 4)
    assert [step for step, _ in points(tmp_path, "loss/policy")] == [8192, 16384, 24576, 32768]


def test_iterations_that_a_rollback_repeats_appear_once(tmp_path: Path) -> None:
    logged(tmp_path, 1, 2, 3, 2, 3, 4)
    assert [step for step, _ in points(tmp_path, "loss/policy")] == [8192, 16384, 24576, 32768]


def test_a_film_of_the_run_becomes_an_animated_picture(tmp_path: Path) -> None:
    from PIL import Image

    films = tmp_path / "films"
    films.mkdir()
    (films / "train-0000001.gif").write_bytes(b"of an earlier process")
    logger = TensorBoard()
    logger.start(tmp_path, RUN)
    logger.log(iteration(1))
    images = [Image.new("RGB", (8, 6), colour) for colour in ("red", "blue")]
    images[0].save(films / "train-0000002.gif", save_all=True, append_images=images[1:])
    (films / ".train-0000003.gif.part").touch()
    (films / "recorded-20261127-045500.gif").touch()
    logger.log(iteration(2))
    logger.log(iteration(3))
    (films / "train-0000004.gif").write_bytes((films / "train-0000002.gif").read_bytes())
    logger.finish("finished")
    first, second = events(tmp_path).Images("film")
    assert (first.step, first.width, first.height, second.step) == (16384, 8, 6, 24576)
    assert first.encoded_image_string == (films / "train-0000002.gif").read_bytes()


def test_no_file_name_has_the_name_of_the_machine(tmp_path: Path) -> None:
    logged(tmp_path, 1)
    (file,) = (tmp_path / "tensorboard" / "train").iterdir()
    assert re.fullmatch(rf"events\.out\.tfevents\.\d+\.\d+\.{os.getpid()}", file.name)
    assert socket.gethostname().encode() not in file.read_bytes()


def test_the_missing_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    with pytest.raises(MtrackError, match=r'pip install "mtrack\[tensorboard\]"'):
        TensorBoard().start(tmp_path, RUN)


def test_importing_the_loggers_imports_neither_tensorboard_nor_wandb() -> None:
    code = "import sys, mtrack_log.tensorboard, mtrack_log.wandb; print({'tensorboard', 'wandb'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
