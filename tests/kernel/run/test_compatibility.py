"""The manifest of a run is compared with the present recipe and packages by `--resume`, `--from` and `eval`."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import attrs
import pytest

from mtrack import CheckpointError, Recipe
from mtrack.loop.assemble import assemble
from mtrack.recipe.changes import describe
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack.run.compatibility import differences, require_compatible, resumed_threads
from mtrack.run.manifest import manifest
from mtrack.run.manifests import read_manifest
from mtrack.run.transfer import Contract
from mtrack_testing import install, small_recipe
from mtrack_toy.robot import ToyRobot

Check = Callable[..., Recipe]
Facts = dict[str, Any]


def facts_of(recipe: Recipe) -> Facts:
    """Return the manifest of a checkpoint of a recipe's first phase, as read from its file."""
    phase = next(iter(recipe.phases))
    contract = Contract.of(recipe.for_phase(phase), assemble(recipe.for_phase(phase), phase))
    return dict(json.loads(json.dumps({**manifest(recipe), "contract": attrs.asdict(contract)})))


def toy(*overrides: str, name: str | Path = "toy") -> Facts:
    return facts_of(check_recipe(read_recipe(name, ["num_envs=2", *overrides]), Registry.scan()))


@pytest.fixture(scope="module")
def before() -> Facts:
    """Return the manifest of the shipped toy recipe."""
    return toy()


def lines(before: Mapping[str, Any], now: Mapping[str, Any], *parts: str) -> list[str]:
    return describe(change for change in differences(before, now) if change.part in parts)


# ---------------------------------------------------------------- what a policy depends on


def test_a_recipe_does_not_differ_from_itself(before: Facts) -> None:
    assert differences(before, toy()) == []


def test_a_damaged_manifest_differs_and_raises_nothing(before: Facts) -> None:
    damaged = {**before, "values": {**before["values"], "rewards": 3}}
    assert any("rewards" in line for line in lines(damaged, before, "values"))


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("control_dt=0.04", "control_dt: 0.02 -> 0.04"),
        ("observations.policy.joint_pos.history=[0, 1]", "observations.policy.joint_pos.history: [] -> [0, 1]"),
        ("observations.policy.joint_pos.measured=false", "observations.policy.joint_pos.measured: true -> false"),
        ("observations.policy.error.enabled=false", "observations.policy.error: mtrack:toy_error -> absent"),
        ("observations.policy.again.use=toy_error", "observations.policy.again: absent -> mtrack:toy_error"),
        ("action.scale=0.5", "action.scale: [1.0, 1.0] -> [0.5, 0.5]"),
        ("action.around=reference", 'action.around: "default" -> "reference"'),
        ("action.clip=2", "action.clip: 10.0 -> 2.0"),
        ("action.filter_alpha=0.5", "action.filter_alpha: 1.0 -> 0.5"),
        ("agent.obs_clip=5", "agent.obs_clip: 10.0 -> 5.0"),
    ],
)
def test_observations_action_and_networks_belong_to_the_contract_of_a_policy(
    before: Facts, override: str, line: str
) -> None:
    assert line in lines(before, toy(override), "policy")


@pytest.mark.parametrize(
    "override", ["action.max_delay=2", "command.span=0.5", "observations.policy.error.noise=0.1", "physics_dt=0.005"]
)
def test_changes_that_do_not_concern_the_policy_are_listed_separately(before: Facts, override: str) -> None:
    now = toy(override)
    assert lines(before, now, "policy", "widths") == []
    assert lines(before, now, "values")[0].startswith(override.partition("=")[0])


def test_a_new_parameter_of_a_component_counts_once_it_differs_from_its_default(before: Facts) -> None:
    older = copy.deepcopy(before)
    for table in (older["contract"]["policy"]["action"], older["values"]["action"]):
        del table["clip"]
    for terms in (older["contract"]["policy"]["observations"], older["values"]["observations"]):
        del terms["policy"]["joint_pos"]["measured"]
    assert differences(older, before) == []
    now = toy("action.clip=2", "observations.policy.joint_pos.measured=false")
    assert lines(older, now, "policy", "values") == [
        "action.clip: absent -> 2.0",
        "observations.policy.joint_pos.measured: absent -> false",
    ]


def test_the_order_of_terms_matters_and_their_names_do_not(before: Facts, tmp_path: Path) -> None:
    text = "extends = 'toy.toml'\nnum_envs = 2\n"
    renamed = tmp_path / "renamed.toml"
    renamed.write_text(
        text + "[observations.priv]\nerror = { enabled = false }\nother = { use = 'toy_error' }\n", "utf-8"
    )
    assert lines(before, toy(name=renamed), "policy", "widths") == []
    swapped = copy.deepcopy(before)
    terms = swapped["contract"]["policy"]["observations"]["policy"]
    swapped["contract"]["policy"]["observations"]["policy"] = dict(reversed(terms.items()))
    assert lines(before, swapped, "policy") == [
        "observations.policy: another order, error, joint_pos -> joint_pos, error"
    ]


def test_another_joint_order_changes_the_policy(before: Facts, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ToyRobot.model
    monkeypatch.setattr(
        ToyRobot,
        "model",
        lambda self: attrs.evolve(model(self), joint_names=tuple(reversed(model(self).joint_names))),
    )
    (change,) = (line for line in lines(before, toy(), "policy") if line.startswith("robot.joint_names"))
    assert " -> " in change


def test_keys_that_a_phase_sets_are_not_compared(before: Facts) -> None:
    now = toy('phases.train.set={"action.scale" = 0.5, "observations.policy.joint_pos.measured" = false}')
    assert lines(before, now, "policy", "widths") == []


def test_the_contract_contains_the_future_frames_and_the_clips() -> None:
    before, now = (
        facts_of(small_recipe("g1_tracking_quick", "num_envs=2", "motions.builtin.motions=['squat']", *more))
        for more in ((), ("command.future_frames=[0, 3, 4, 8, 16]", "motions.builtin.squat_depth=0.1"))
    )
    assert "command.future_frames: [0, 2, 4, 8, 16] -> [0, 3, 4, 8, 16]" in lines(before, now, "policy")
    assert lines(before, now, "data") == ["clips of command changed: squat"]
    assert lines(before, now, "widths") == []


def test_no_path_of_this_machine_is_in_a_manifest(tmp_path: Path) -> None:
    (tmp_path / "hard.json").write_text("{}", "utf-8")
    (tmp_path / "mine.toml").write_text("extends = 'g1_tracking_quick.toml'\n", "utf-8")
    motions = ["motions.builtin.use='motion_files'", f"motions.builtin.path='{tmp_path}/clips'"]
    phase = f"""phases.adapt.set={{"motions.builtin.weights" = '{tmp_path}/hard.json'}}"""
    source = read_recipe(tmp_path / "mine.toml", [*motions, f"robot.mjcf='{tmp_path}/hard.json'", phase])
    text = json.dumps(manifest(check_recipe(source, Registry.scan())))
    assert str(tmp_path) not in text
    assert str(Path.home()) not in text
    assert "clips" in text and "hard.json" in text


def test_the_content_of_a_file_that_a_parameter_names_is_compared(tmp_path: Path) -> None:
    def now(content: str) -> Facts:
        (tmp_path / "robot.xml").write_text(content, "utf-8")
        override = f"robot.mjcf='{tmp_path}/robot.xml'"
        return manifest(check_recipe(read_recipe("g1_tracking_quick", [override]), Registry.scan()))

    (change,) = lines(now("<a/>"), now("<b/>"), "values")
    assert change.startswith("robot.mjcf: ")


# ---------------------------------------------------------------- what each way of loading does about a difference

CHANGES = {
    "policy": ["contract", "policy", "control_dt"],
    "data": ["contract", "data", "command", "walk"],
    "values": ["values", "rewards", "toy", "closeness", "sigma"],
    "code": ["code", "mtrack_toy", "sha256"],
    "versions": ["distributions", "mtrack"],
}


@pytest.mark.parametrize("part", CHANGES)
@pytest.mark.parametrize("purpose", ["resume", "start", "evaluate"])
def test_each_difference_is_rejected_listed_or_recorded(
    before: Facts, purpose: Any, part: str, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    old = copy.deepcopy(before)
    old["contract"]["data"] = {"command": {"walk": "00"}}
    now = copy.deepcopy(old)
    *path, last = CHANGES[part]
    table = now
    for key in path:
        table = table[key]
    table[last] = 3 if part == "policy" else "other"
    rejected = {"resume": set(CHANGES), "start": {"policy"}, "evaluate": {"policy", "data"}}[purpose]
    if part in rejected:
        with pytest.raises(CheckpointError, match=r"cannot .*\n(?s:.*)--allow-change"):
            require_compatible(tmp_path, old, now, purpose)
        require_compatible(tmp_path, old, now, purpose, allow_change=True)
    else:
        require_compatible(tmp_path, old, now, purpose)
    assert bool(caplog.records) == ((part, purpose) != ("data", "start"))


def test_allow_change_does_not_accept_other_widths(before: Facts, tmp_path: Path) -> None:
    now = toy("observations.policy.joint_pos.history=[0, 1]")
    with pytest.raises(CheckpointError, match=r"observations\.policy: 4 columns -> 6 columns") as error:
        require_compatible(tmp_path, before, now, "start", allow_change=True)
    assert "--allow-change" not in str(error.value)


def test_evaluation_accepts_new_clips_and_rejects_missing_ones(before: Facts, tmp_path: Path) -> None:
    old, now = copy.deepcopy(before), copy.deepcopy(before)
    now["contract"]["data"] = {"command": {"walk": "00"}}
    require_compatible(tmp_path, old, now, "evaluate")
    with pytest.raises(CheckpointError, match="clips of command missing: walk"):
        require_compatible(tmp_path, now, old, "evaluate")


def test_loggers_and_metrics_may_change_when_a_run_is_resumed(before: Facts, tmp_path: Path) -> None:
    now = toy("loggers.console.enabled=false", "run.keep=9", "metrics.reached.use=progress")
    require_compatible(tmp_path, before, now, "resume")


def test_a_run_is_resumed_with_as_many_threads_as_before(before: Facts, caplog: pytest.LogCaptureFixture) -> None:
    eight = {**before, "processes": {"ranks": 1, "threads": 8}}
    assert resumed_threads(eight, 8, allow_change=False) == 8
    assert not caplog.records
    assert resumed_threads(eight, 2, allow_change=False) == 8
    assert "resuming with 8 torch threads, as before, on 2 processors" in caplog.text
    assert resumed_threads(eight, 2, allow_change=True) == 2
    assert "numbers will differ" in caplog.text


# ---------------------------------------------------------------- manifests


def test_components_that_only_one_phase_uses_are_recorded(check: Check, site: Path) -> None:
    install(site, "other-parts", {"mtrack.terminations": {"other": "fake_parts:FakeFall"}}, version="2.0")
    sets = "'rewards.task.far.enabled' = true, 'terminations.fall.use' = 'other', 'rewards.task.near.sigma' = 2"
    far = "[rewards.task.far]\nuse = 'fake_reward'\nenabled = false\n"
    facts = manifest(check(f"set = {{ {sets} }}\n{far}"))["components"]
    assert {path: filled for path, filled in facts.items() if path.startswith("phases.train.set")} == {
        "phases.train.set.rewards.task.far": "fake-parts:fake_reward==1.0",
        "phases.train.set.terminations.fall": "other-parts:other==2.0",
    }


def test_library_versions_are_recorded_if_the_backend_uses_them() -> None:
    with_warp, without = (
        manifest(check_recipe(read_recipe("toy", [f"backend.use={name}"]), Registry.scan()))["distributions"]
        for name in ("mujoco_warp", "toy_physics")
    )
    assert with_warp.keys() - without.keys() == {"mujoco", "mujoco-warp", "warp-lang"}


def test_a_checkpoint_without_a_manifest_of_its_own_uses_that_of_its_run(tmp_path: Path, before: Facts) -> None:
    inside = tmp_path / "checkpoints" / "train-1"
    inside.mkdir(parents=True)
    (tmp_path / "manifest.json").write_text(json.dumps(before), "utf-8")
    (inside / "manifest.json").write_text('{"format": 1}', "utf-8")
    assert read_manifest(inside) == read_manifest(tmp_path) == before
    (inside / "manifest.json").write_text(json.dumps(before | {"format": 1}), "utf-8")
    assert read_manifest(inside)["format"] == 1


@pytest.mark.parametrize("text", ["", "[1]", "3", "{"])
def test_a_damaged_manifest_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "manifest.json").write_text(text, "utf-8")
    with pytest.raises(CheckpointError, match=r"manifest\.json is damaged"):
        read_manifest(tmp_path)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("components", 3),
        ("distributions.torch", None),
        ("processes.threads", True),
        ("code.mtrack.supplies", "x"),
        ("contract.policy.observations.policy.error", 1),
        ("contract.widths.action", "4"),
        ("contract.data", []),
    ],
)
def test_a_manifest_with_a_wrong_value_names_the_key(tmp_path: Path, before: Facts, path: str, value: object) -> None:
    facts = copy.deepcopy(before)
    *tables, last = path.split(".")
    table = facts
    for key in tables:
        table = table[key]
    table[last] = value
    (tmp_path / "manifest.json").write_text(json.dumps(facts), "utf-8")
    with pytest.raises(CheckpointError, match=rf"manifest\.json is damaged: '{re.escape(path)}"):
        read_manifest(tmp_path)
