"""Each slot has its own stream of random numbers, the same on every machine."""

from __future__ import annotations

import subprocess
import sys

import torch

from mtrack.loop.rng import generator, slot_seed


def test_the_seed_of_a_slot_never_changes() -> None:
    assert slot_seed(0, 0, "randomizations.push") == 3838533126923787607


def test_seed_rank_and_path_each_select_a_different_stream() -> None:
    assert len({slot_seed(0, 0, "a"), slot_seed(1, 0, "a"), slot_seed(0, 1, "a"), slot_seed(0, 0, "b")}) == 4


def test_digits_of_seed_and_rank_do_not_run_together() -> None:
    assert slot_seed(1, 11, "a") != slot_seed(11, 1, "a")


def test_generators_of_a_slot_draw_the_same_numbers() -> None:
    draws = [torch.rand(8, generator=generator(3, 1, "observations.policy.one.noise")) for _ in range(2)]
    assert torch.equal(*draws)


def test_drawing_does_not_change_the_global_generator() -> None:
    before = torch.get_rng_state()
    torch.rand(8, generator=generator(0, 0, "a"))
    assert torch.equal(before, torch.get_rng_state())


def test_the_module_does_not_import_torch() -> None:
    code = "import sys, mtrack.loop.rng; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
