"""Compiled losses: each is one graph with the same results, and training continues if a machine cannot compile."""

from __future__ import annotations

import logging
import os
import shutil
import sysconfig
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
import torch
from ppo_bandit import Bandit, layout, make, parameters
from torch._dynamo.utils import counters

from mtrack_ppo import compile as compilation
from mtrack_ppo.adapt import Adapt
from mtrack_ppo.agent import TeacherStudent
from mtrack_ppo.finetune import Finetune

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch raises some while it compiles
LOSSES = 4  # teacher, estimator, critic only, student


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Clear what other tests compiled."""
    torch._dynamo.reset()
    counters.clear()
    compilation.can_compile.cache_clear()
    yield
    torch._dynamo.reset()
    torch._dynamo.config.suppress_errors = False
    compilation.can_compile.cache_clear()


def all_phases(precision: str, *, compile: bool, mirror: bool = True, symmetric: bool = False) -> TeacherStudent:
    """Return an agent after two updates of every phase and kind."""
    agent, phase = make({"symmetric": symmetric}, autocast=precision, compile=compile, mirror=mirror)
    bandit = Bandit()
    for progress in (0.3, 0.6):
        phase.update(bandit.roll(phase), progress)
    adapt = Adapt(minibatches=4, autocast=precision, compile=compile, mirror=mirror)
    adapt.enter(agent, layout(), "train")
    for progress in (0.3, 0.6):
        adapt.update(bandit.roll(adapt), progress)
    finetune = Finetune(epochs=2, minibatches=4, critic_warmup=0.5, autocast=precision, compile=compile, mirror=mirror)
    finetune.enter(agent, layout(), "adapt")
    for progress in (0.2, 0.3, 0.6, 0.7):
        finetune.update(bandit.roll(finetune), progress)
    return agent


@pytest.mark.parametrize(
    ("precision", "mirror", "symmetric"),
    [("none", True, False), ("bfloat16", True, False), ("none", False, False), ("bfloat16", True, True)],
)
def test_every_loss_is_one_graph_with_bitwise_equal_results(
    monkeypatch: pytest.MonkeyPatch, precision: str, mirror: bool, symmetric: bool
):
    plain = parameters(all_phases(precision, compile=False, mirror=mirror, symmetric=symmetric))
    assert not counters["stats"]
    monkeypatch.setattr(compilation, "can_compile", lambda device: True)
    # without inductor's own arithmetic; a graph break, or compiling again for other numbers, raises
    monkeypatch.setattr(torch, "compile", partial(torch.compile, backend="aot_eager", fullgraph=True))
    traced = parameters(all_phases(precision, compile=True, mirror=mirror, symmetric=symmetric))
    assert counters["stats"]["unique_graphs"] == LOSSES
    assert torch.equal(plain, traced)


@pytest.mark.skipif(
    not (shutil.which(os.environ.get("CXX", "g++")) and Path(sysconfig.get_path("include"), "Python.h").is_file()),
    reason="needs a C++ compiler and Python's headers",
)
def test_the_teacher_learns_the_task_compiled(monkeypatch: pytest.MonkeyPatch):
    assert compilation.can_compile("cpu")
    monkeypatch.setattr(torch._dynamo.config, "suppress_errors", False)
    agent, phase = make({"init_std": 0.5}, lr=3e-3, gamma=0.0, compile=True)
    bandit = Bandit()
    for iteration in range(10):
        phase.update(bandit.roll(phase), iteration / 10)
    assert counters["stats"]["unique_graphs"] >= 2
    assert bandit.score(agent) > 0.97


@pytest.mark.parametrize("can_compile", [True, False])
def test_processes_wait_for_each_other_after_the_first_call_only(monkeypatch: pytest.MonkeyPatch, can_compile: bool):
    happened: list[str] = []
    monkeypatch.setattr(compilation, "can_compile", lambda device: can_compile)  # may differ between processes
    monkeypatch.setattr(compilation, "wait_for_all", lambda purpose: happened.append("waited"))
    monkeypatch.setattr(torch, "compile", lambda function: function)

    def loss(value: int) -> int:
        happened.append("computed")
        return 2 * value

    call = compilation.compiled(loss, torch.device("cpu"))
    assert [call(1), call(2)] == [2, 4]
    assert happened == ["computed", "waited", "computed"]


def test_a_machine_that_cannot_compile_warns_once_and_trains_without_compiling(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def broken(function: object) -> object:
        raise RuntimeError("No working C++ compiler found\nin many places")

    monkeypatch.setattr(torch, "compile", broken)
    with caplog.at_level(logging.WARNING):
        compiled = all_phases("none", compile=True)
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    assert "(RuntimeError: No working C++ compiler found)" in messages[0]
    assert "apt install g++" in messages[1]
    assert torch.equal(parameters(compiled), parameters(all_phases("none", compile=False)))


def test_losses_are_not_compiled_if_compiled_gradients_are_wrong(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    def wrong(function: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def call(*inputs: torch.Tensor) -> torch.Tensor:
            loss = function(*inputs)
            return loss.detach() + 0.5 * (loss - loss.detach())  # like torch 2.11: only the gradient is wrong

        return call

    monkeypatch.setattr(torch, "compile", wrong)
    with caplog.at_level(logging.WARNING):
        assert not compilation.can_compile("cpu")
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == 2
    problem = f"with torch {torch.__version__}, compiled gradients differ from plain ones"
    assert f"losses are not compiled: {problem}" in messages[0]
    assert "by 50%)" in messages[0]
    plain = torch.nn.functional.relu
    monkeypatch.setattr(torch, "compile", None)  # must not be called again
    assert compilation.compiled(plain, torch.device("cpu"))(torch.ones(2)).sum() == 2.0
