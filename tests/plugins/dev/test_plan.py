"""`mtrack plan` extrapolates times, memory and a number of environments from short samples."""

from __future__ import annotations

import attrs
import pytest
from rich.console import Console

from mtrack import MtrackError
from mtrack_dev.plan import RecipePlan, SpeedSample, installed_memory, make_plan, memory_of, recommended, tables
from mtrack_ppo.compile import can_compile

SAMPLES = [
    SpeedSample(64, 1000.0, 500.0, True),
    SpeedSample(256, 2950.0, 700.0, True),
    SpeedSample(1024, 3000.0, 900.0, False),
]


@pytest.fixture(scope="module")
def plan() -> RecipePlan:
    """Return the plan of the toy recipe from the samples that fit into a second."""
    return make_plan("toy", ["num_envs=128"], seconds=1.0)


def test_the_fewest_environments_that_are_nearly_fastest_are_recommended() -> None:
    assert recommended(SAMPLES, memory_mb=10_000) == 256


def test_what_does_not_fit_into_memory_is_not_recommended() -> None:
    assert recommended(SAMPLES, memory_mb=700) == 64


def test_memory_lies_on_a_line_through_whole_rollouts() -> None:
    assert memory_of(SAMPLES, 64) == 500.0
    assert memory_of(SAMPLES, 1024) == pytest.approx(500 + 200 / 192 * 960)
    assert memory_of(SAMPLES[:1], 1024) is None


def test_the_machine_has_memory() -> None:
    assert 100 < installed_memory() < 1e8


def test_a_phase_takes_its_frames_at_its_rate(plan: RecipePlan) -> None:
    (phase,) = plan.phases
    assert phase.frames_per_s == plan.samples[-1].frames_per_s
    assert phase.seconds == phase.frames / phase.frames_per_s
    assert plan.recommended in [sample.num_envs for sample in plan.samples]
    assert [sample.num_envs for sample in plan.samples] == [64, 128], "two at least, however long they take"


def test_every_phase_of_a_recipe_is_measured() -> None:
    tiny = [f"phases.{phase}.train_every=4" for phase in ("train", "adapt", "finetune")]
    minibatches = [f"phases.{phase}.minibatches=2" for phase in ("train", "adapt", "finetune")]
    plan = make_plan("g1_tracking_quick", ["num_envs=8", *tiny, *minibatches], seconds=1.0)
    assert [phase.name for phase in plan.phases] == ["train", "adapt", "finetune"]
    console = Console(width=100)
    with console.capture() as shown:
        console.print(*tables(plan))
    assert "finetune" in shown.get()
    assert "torch.compile" not in shown.get()
    assert "all" in shown.get()


def test_samples_compile_nothing_and_the_table_says_so(plan: RecipePlan) -> None:
    can_compile.cache_clear()
    assert not plan.is_plain
    compiling = make_plan("toy", ["num_envs=64", "phases.train.compile=true"], seconds=1.0)
    assert compiling.is_plain
    assert can_compile.cache_info().currsize == 0
    console = Console(width=100)
    with console.capture() as shown:
        console.print(*tables(compiling))
    assert "without torch.compile" in shown.get()


def test_what_was_not_measured_is_called_extrapolated(plan: RecipePlan) -> None:
    larger = attrs.evolve(plan, num_envs=4096)
    console = Console(width=100)
    with console.capture() as shown:
        console.print(*tables(larger))
    assert "4,096" in shown.get()
    assert "extrapolated" in shown.get()


def test_a_phase_that_cannot_be_the_first_is_rejected_with_a_fix() -> None:
    with pytest.raises(MtrackError, match="phase 'adapt' cannot be the first: plan a recipe that also has"):
        make_plan("g1_tracking_adapt", ["num_envs=4"], seconds=1.0)
