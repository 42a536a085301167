"""The conformance kit finds every kind of mistake, and names promise, component and fix in two lines."""

from __future__ import annotations

import broken_components as broken
import pytest

from mtrack_testing import BrokenPromise, check_component

FAULTS = [
    (broken.WrongShape, "reward", "shape", r"shape \(11, 2\) for 11 environments, not \(11\)"),
    (broken.ReturnsNothing, "reward", "shape", "value is a NoneType"),
    (broken.WritesWhenBound, "reward", "read-only scene", r"scene\.model\.effort_limit in place"),
    (broken.NotANumber, "reward", "finite", "nan in environment 0 with the robot exactly on its reference"),
    (broken.WritesIntoTheScene, "reward", "read-only scene", r"scene\.robot\.joint_vel in place"),
    (broken.ChangesASharedTensor, "reward", "read-only scene", r"scene\.robot\.projected_gravity in place"),
    (broken.UsesTheGlobalGenerator, "reward", "own randomness", "global generator of torch"),
    (broken.HidesItsState, "reward", "checkpoint", r"something is not saved\n.*\(scratch: before\)"),
    (
        broken.RemembersTheSceneItself,
        "reward",
        "checkpoint",
        r"'before' is scene\.robot\.joint_pos itself",
    ),
    (broken.GivesAnAxisTooMany, "observation", "shape", r"shape \(11, 1, 3\).*\n.*\.flatten\(1\)"),
    (broken.DeclaresNothing, "reward", "call", r"AttributeError.*\n.*declare it: steps"),
    (broken.RemembersInItsClass, "reward", "same seed, same numbers", "gives another value at step 0"),
    (broken.WrongMirror, "observation", "mirror", "value of the mirrored scene is not the mirrored value"),
    (broken.MirrorThatDoesNotComeBack, "observation", "mirror", "mirroring twice is not the identity"),
    (broken.LeaksAcrossEnvironments, "reward", "environments are independent", "depends on another environment"),
    (
        broken.DependsOnTheIndex,
        "reward",
        "environments are independent",
        "with the environments in another order, value differs",
    ),
    (
        broken.ResetsAllEnvironments,
        "reward",
        "reset of one environment",
        "a reset of environment 4 changes state 'age' of others",
    ),
    (broken.WrongDtype, "reward", "dtype", "float64, not float32"),
    (broken.WrongDtype, "termination", "contract", "no attribute 'timeout'"),
    (broken.RaisesWhenBuilt, "reward", "build", "KeyError: 'left_foot'"),
    (broken.RaisesWhenCalled, "reward", "call", "RuntimeError: mat1 and mat2"),
    (broken.Sleeps, "reward", "cost", "of a whole step of toy"),
    (broken.LoopsOverEnvironments, "reward", "no loop over environments", "torch operations, of 22 environments"),
    (broken.ChangesItsParameter, "reward", "fixed parameters", "its own parameter 'limits'"),
    (broken.WritesAnUndeclaredField, "randomization", "declared needs", r"body_mass.*\n.*requires\(\)"),
    (broken.WantsTooMuch, "reward", "build", r"without bodies\n.*check_component\(WantsTooMuch, bodies=\.\.\.\)"),
    (broken.NoComponent, "reward", "contract", "not made with @component"),
    (broken.NoComponent, "", "contract", "not made with @component"),
]


@pytest.mark.parametrize(("cls", "kind", "promise", "words"), FAULTS, ids=lambda case: getattr(case, "__name__", ""))
def test_a_broken_promise_is_named_with_its_component_and_its_fix(cls, kind, promise, words) -> None:
    with pytest.raises(BrokenPromise, match=words) as caught:
        check_component(cls, kind)
    error = caught.value
    assert error.promise == promise
    assert cls.__name__ in str(error)
    assert "\n  fix: " in str(error)
    assert len(str(error).splitlines()) == 2


def test_a_report_names_the_scenes_and_why_another_was_not_used() -> None:
    from mtrack_body.feet import FeetSlip

    report = check_component(FeetSlip)
    assert report.scenes == ("g1",)
    assert "not on the toy scene" in str(report)
    assert "of a whole step of g1_tracking_quick" in str(report)
    assert {"checkpoint", "environments are independent", "shape"} <= set(report.checks)


def test_asymmetry_of_a_reward_is_noted_and_not_a_fault() -> None:
    from mtrack_body.rewards import JointVelL2

    report = check_component(JointVelL2, joints=("left_.*",))
    assert "differs in the mirror image" in str(report)


def test_an_agent_is_checked_for_its_contract_only() -> None:
    from mtrack_ppo.agent import TeacherStudent

    assert check_component(TeacherStudent).checks == ("contract",)


def test_the_kind_of_a_class_follows_from_its_members() -> None:
    from mtrack_testing.component import kind_of

    assert [kind_of(cls) for cls in (broken.WrongShape, broken.WrongMirror)] == ["reward", "observation"]
