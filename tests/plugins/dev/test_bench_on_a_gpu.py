"""What `mtrack bench` owes a GPU: waiting for the one that works, and saying that kernels are being compiled."""

from __future__ import annotations

import logging

import pytest
import torch

from mtrack import MtrackError, Recipe
from mtrack_dev import sweep
from mtrack_dev.bench import Training


def test_a_measurement_waits_for_the_gpu_of_the_run_not_for_the_first(monkeypatch: pytest.MonkeyPatch) -> None:
    waited = []
    monkeypatch.setattr(torch.cuda, "synchronize", lambda device=None: waited.append(device))
    training = Training.__new__(Training)
    training._device = torch.device("cuda:1")
    training.finish()
    training._device = torch.device("cpu")
    training.finish()
    assert waited == [torch.device("cuda:1")]


def test_bench_shows_what_the_backend_has_to_say(
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
