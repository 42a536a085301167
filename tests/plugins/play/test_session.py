"""A session plays a run: every actor from the same state, one step at a time, with what a person does to it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.untrained_run import make_run, save_checkpoint

from mtrack import CheckpointError, MtrackError, load_recipe
from mtrack.run.reproduction import read
from mtrack_play.forces import PUSH_S
from mtrack_play.session import Session


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "run", phase="adapt", clips=(60, 70))


@pytest.fixture(scope="module")
def shared(run):
    """Return a session of both actors; tests restart it."""
    session = Session.open(run, actor="both", allow_change=True)
    yield session
    session.close()


@pytest.fixture
def session(shared):
    shared.release()
    shared.restart(clip=0)
    return shared


def steps(session, count):
    for _ in range(count):
        session.step()


def test_both_actors_start_from_the_same_state_and_part(session):
    steps(session, 10)
    teacher, student = (session.moments[actor] for actor in ("teacher", "student"))
    assert np.array_equal(teacher[0].robot, student[0].robot)
    assert not np.array_equal(teacher[10].robot, student[10].robot)
    assert np.array_equal(teacher[10].reference, student[10].reference)


def test_every_reward_and_error_of_the_recipe_is_shown(session, run):
    session.step()
    recipe, moment = load_recipe(run / "recipe.toml"), session.moments["teacher"][-1]
    rewards = {slot.path.removeprefix("rewards.").replace(".", "/") for slot in recipe.slots("reward")}
    assert moment.rewards.keys() == rewards == session.reward_weights.keys()
    assert moment.errors["mpkpe_local"] > 0.0
    assert session.units["mpkpe_local"] == "mm"


def test_the_reference_moves_on_by_one_frame_a_step_and_the_clip_starts_again_after_its_end(session):
    session.restart(frame=55)
    steps(session, 4)
    assert [moment.frame for moment in session.moments["teacher"]] == [55, 56, 57, 58, 59]
    assert session.at_end
    session.step()
    assert session.frame == 0


def test_the_robot_starts_on_the_reference_at_any_frame_of_any_clip(session):
    session.restart(clip=1, frame=30)
    start = session.moments["teacher"][0]
    assert session.clips[session.clip] == "sway70"
    assert start.robot == pytest.approx(start.reference, abs=1e-5)


def test_rewinding_continues_from_the_same_state(session):
    session.restart(clip=1)
    steps(session, 65)
    before = [moment.robot for moment in session.moments["student"]]
    session.rewind(60)
    index = len(session.moments["student"]) - 1
    assert 0 < index <= 60
    steps(session, 65 - index)
    assert np.array_equal([moment.robot for moment in session.moments["student"]], before)


def test_a_push_changes_the_momentum_by_its_impulse(session):
    session.restart()
    scene = session.worlds[0].env.scene
    mass = float(session.robot.model.body_subtreemass[0])
    steps(session, 1)
    undisturbed = [m.robot[:3] for m in session.moments["teacher"]]
    session.restart()
    session.push((60.0, 0.0, 0.0))
    steps(session, 1)
    applied = session.moments["teacher"][-1].applied
    assert [force.body for force in applied] == [session.push_body]
    assert np.linalg.norm(applied[0].force) == pytest.approx(60.0 / PUSH_S, rel=1e-5)
    steps(session, round(PUSH_S / scene.dt) - 1)
    assert session.moments["teacher"][-1].applied
    session.step()
    assert not session.moments["teacher"][-1].applied
    assert session.moments["teacher"][-1].robot[0] - undisturbed[-1][0] > 0.2 * 60.0 / mass * PUSH_S


def test_a_pull_draws_the_grabbed_point_to_the_pointer(session):
    hand = next(name for name in session.body_names if "left_wrist" in name)
    body = session.body_names.index(hand)
    start = session.worlds[0].env.scene.robot.body_pos[0, body].double().numpy().copy()
    target = start + np.array([0.0, 0.3, 0.3])
    session.pull("teacher", hand, np.zeros(3), target)
    steps(session, 15)
    applied = session.moments["teacher"][-1].applied
    assert [force.body for force in applied] == [hand]
    assert not session.moments["student"][-1].applied
    assert np.linalg.norm(applied[0].point - target) < np.linalg.norm(start - target)
    session.release()
    session.step()
    assert not session.moments["teacher"][-1].applied


def test_a_saved_state_starts_another_session_where_it_was_saved(session, run, tmp_path):
    session.restart(clip=1)
    steps(session, 20)
    path = session.save_state(tmp_path / "state.safetensors")
    made = read(path)
    assert (made.facts.circumstances.clip, made.facts.circumstances.clip_frame) == ("sway70", 19)
    assert set(made.facts.reward_terms) == {f"rewards.{name.replace('/', '.')}" for name in session.reward_weights}
    other = Session.open(run, actor="teacher", state=path, allow_change=True)
    assert other.clips[other.clip] == "sway70"
    assert other.moments["teacher"][0].robot == pytest.approx(session.moments["teacher"][19].robot, abs=1e-6)
    other.step()
    other.close()


def test_a_saved_state_brings_the_model_fields_of_its_environment(run, tmp_path):
    drawn = Session.open(run, actor="teacher", allow_change=True, overrides=("randomizations.body_mass.enabled=true",))
    steps(drawn, 3)
    path = drawn.save_state(tmp_path / "state.safetensors")
    drawn.close()
    mass = read(path).step.fields["body_mass"]
    again = Session.open(
        run, actor="teacher", state=path, allow_change=True, overrides=("randomizations.body_mass.enabled=true",)
    )
    assert torch.equal(again.worlds[0].env.backend.field("body_mass")[0], mass)
    again.close()


def test_a_newer_checkpoint_is_loaded_and_a_damaged_one_leaves_the_old_one(tmp_path):
    run = make_run(tmp_path / "run")
    session = Session.open(run)
    assert session.load_newest() is None
    path = save_checkpoint(run, load_recipe(run / "recipe.toml"), iteration=2)
    before = session.worlds[0].agent
    assert session.load_newest() == path.name == session.checkpoint
    assert session.worlds[0].agent is not before
    path = save_checkpoint(run, load_recipe(run / "recipe.toml"), iteration=3)
    file = path / "agent.safetensors"
    file.write_bytes(file.read_bytes()[:-8])
    with pytest.raises(CheckpointError, match=r"train-0000003.*still playing train-0000002"):
        session.load_newest()
    assert session.load_newest() is None, "it is reported once"
    session.step()
    session.close()


def test_a_missing_clip_is_named_with_the_nearest_one(session):
    with pytest.raises(MtrackError, match=r"no clip 'sway6'.*sway60"):
        session.clip_index("sway6")
