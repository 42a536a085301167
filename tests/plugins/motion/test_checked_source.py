"""Clips of any motion source are checked like those of files; errors name the source, not the command."""

from __future__ import annotations

import attrs
import numpy as np
import pytest
import torch
from support.clips import swaying_clip

from mtrack import ComponentError, MotionError, MtrackError, SlotError
from mtrack.loop.assemble import assemble
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack_g1.robot import G1
from mtrack_motion.checked_source import usable_clips
from mtrack_motion.collect import collect
from mtrack_motion.derive import ContactRule
from mtrack_testing import g1_model, install

MODEL = g1_model()
GOOD = swaying_clip(40, name="good")


class Source:
    """A source that returns the given clips."""

    def __init__(self, clips, weights=None):
        self.given = clips
        if weights is not None:
            self.clip_weights = lambda names: weights

    def clips(self, robot):
        if isinstance(self.given, BaseException):
            raise self.given
        return self.given


def changed(**values):
    return attrs.evolve(GOOD, **{"name": "bad", **values})


def with_value(name, value):
    array = getattr(GOOD, name).copy()
    array[10, 1] = value
    return changed(**{name: array})


UNUSABLE = {
    "NaN": (with_value("joint_pos", np.nan), "the value is nan"),
    "infinite root": (with_value("root_pos", np.inf), "the value is inf"),
    "degrees": (changed(joint_pos=np.float32(45) + GOOD.joint_pos), "are degrees, not radians"),
    "one joint turned round": (with_value("joint_pos", 6.0), "rad"),
    "other joints": (changed(joint_names=("elbow", *GOOD.joint_names[1:])), "has no joint"),
    "no rate": (changed(fps=0.0), "fps is 0"),
    "quaternions of length 2": (changed(root_quat_wxyz=2 * GOOD.root_quat_wxyz), "norm is 2"),
    "other lengths": (changed(joint_pos=GOOD.joint_pos[:30]), r"shape is \(30, 29\)"),
    "short": (swaying_clip(5, name="bad"), "shorter than 0.2 s"),
    "the same motion": (changed(), "is the same motion as 'good'"),
}


@pytest.mark.parametrize("fault", UNUSABLE)
def test_an_unusable_clip_is_left_out_with_a_reason(fault):
    clip, words = UNUSABLE[fault]
    clips, reasons = usable_clips(Source([GOOD, clip]), MODEL)
    assert [each.name for each in clips] == ["good"]
    assert list(reasons) == ["bad"]
    with pytest.raises(AssertionError if words is None else MtrackError, match=words):
        raise MtrackError(reasons["bad"])


BROKEN = {
    "nothing": ([], "returned no clip"),
    "None": (None, "returned NoneType; return a list"),
    "a generator": ((clip for clip in [GOOD]), "returned generator; return a list"),
    "dictionaries": ([{"name": "walk"}], "returned dict as number 0"),
    "doubles": ([changed(root_pos=GOOD.root_pos.astype(np.float64))], "'bad': root_pos is float64, expected float32"),
    "tensors": ([changed(joint_pos=torch.zeros(40, 29))], "joint_pos is a torch.Tensor; give a numpy array"),
    "lists": ([changed(root_pos=GOOD.root_pos.tolist())], "root_pos is a list"),
    "one name": ([GOOD, attrs.evolve(swaying_clip(30), name="good")], "two different clips are called 'good'"),
    "an exception": (FileNotFoundError("my/dataset"), "FileNotFoundError: my/dataset"),
    "an exit": (SystemExit(3), "SystemExit: 3"),
}


def gather(source):
    return collect(G1(), {"mine": (1.0, source)}, 0.02, ContactRule())


@pytest.mark.parametrize("fault", BROKEN)
def test_a_source_that_breaks_its_contract_is_blamed_by_its_slot(fault):
    given, words = BROKEN[fault]
    with pytest.raises(SlotError, match=words) as caught:
        gather(Source(given))
    assert (caught.value.path, caught.value.is_fault) == ("motions.mine", True)


def test_weights_that_do_not_fit_the_clips_are_blamed_on_the_source():
    for weights in ([1.0, 2.0], [float("nan")], [-1.0]):
        with pytest.raises(SlotError, match=r"motions\.mine: clip_weights\(\) returned"):
            gather(Source([GOOD], weights))


def test_a_source_without_a_usable_clip_is_a_user_error_with_every_reason():
    with pytest.raises(SlotError, match="none of its clips can be used\n  bad: fps is 0") as caught:
        gather(Source([UNUSABLE["no rate"][0]]))
    assert not caught.value.is_fault
    with pytest.raises(SlotError, match="no data set here"):
        gather(Source(MotionError("no data set here")))


def test_left_out_clips_are_logged_with_slot_source_and_reason(caplog):
    collection = gather(Source([GOOD, UNUSABLE["no rate"][0]]))
    collection.report()
    assert "motions.mine (Source): left out 'bad': fps is 0" in caplog.text
    assert collection.library.names == ("good",)


PACKAGE = '''
from mtrack import component

@component
class Dance:
    """Clips from a missing data set."""

    def clips(self, robot):
        return [open("/no/such/dance")]
'''


def test_assembly_names_component_distribution_and_line(site, tmp_path):
    install(site, "acme", {"mtrack.motions": {"dance": "acme_dance:Dance"}}, {"acme_dance.py": PACKAGE}, "2.1")
    path = tmp_path / "mine.toml"
    path.write_text(
        'extends = "g1_tracking_quick.toml"\n\n[motions.own]\nuse = "dance"\n[motions.builtin]\nenabled = false\n'
    )
    recipe = check_recipe(read_recipe(str(path)), Registry.scan())
    with pytest.raises(ComponentError) as caught:
        assemble(recipe.for_phase("train"), num_envs=2)
    assert str(caught.value).startswith(f"motion 'dance' (acme 2.1) at motions.own ({path}:3): FileNotFoundError")
