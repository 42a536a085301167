"""On a GPU `mtrack bench` waits for the device of the run, and shows that kernels are being compiled."""

from __future__ import annotations

import logging

import pytest
import torch

from mtrack import MtrackError, Recipe
from mtrack_bench import sweep
from mtrack_bench.measure import TimedTraining


def test_a_measurement_waits_for_the_gpu_of_the_run_not_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: waited.append(device))
    training = TimedTraining.__new__(TimedTraining)
    training._device = torch.device("cuda:1")
    training.finish()
    training._device = torch.device("cpu")
    training.finish()
    assert waited == [torch.device("cuda:1")]


def test_bench_shows_the_log_of_the_backend(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def measure(recipe: Recipe) -> None:
        logging.getLogger("mtrack").info("compiling the kernels")
        raise MtrackError("enough")

    monkeypatch.setattr(sweep, "measure", measure)
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    monkeypatch.setattr(logging.getLogger(), "level", logging.WARNING)
    logging.getLogger("mtrack").manager._clear_cache()
    with pytest.raises(MtrackError, match="enough"):
        sweep.run_bench("toy", [], [8], [], None, None, as_json=True)
    assert capsys.readouterr().err == "compiling the kernels\n"
