"""The header of a report says what every randomization does, when, and with which parameters."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from mtrack import Recipe
from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack_eval.conditions import conditions, header
from mtrack_eval.evaluated_run import EvalOptions, open_run
from mtrack_testing import install

WIND = '''
from pathlib import Path
from mtrack import component, param

@component
class Wind:
    """Blows against the root.

    More details.
    """

    strength: float = param(default=2.0)
    map: Path = param(default=Path("/home/somebody/wind.csv"))

    def bind(self, scene): ...

    def {method}: ...
'''
METHODS = {
    "startup(self)": "at startup",
    "reset(self, ids)": "on reset",
    "before_step(self)": "every step",
    "before_substep(self, substep)": "before every substep",
    "after_substep(self, substep)": "after every substep",
    "set_progress(self, progress)": "with training progress",
}


def checked(*overrides: str) -> Recipe:
    return check_recipe(read_recipe("g1_tracking_quick", overrides), Registry.scan())


@pytest.mark.parametrize(("method", "when"), METHODS.items())
def test_the_header_describes_what_a_randomization_does_and_when(site: Path, method: str, when: str) -> None:
    install(
        site,
        "acme",
        {"mtrack.randomizations": {"wind": "acme_wind:Wind"}},
        {"acme_wind.py": WIND.format(method=method)},
    )
    recipe = checked("randomizations.breeze.use=wind", "randomizations.breeze.strength=3.5")
    lines = list(header(conditions(recipe, recipe)))
    index = lines.index(f"  breeze (acme:wind), {when}: Blows against the root.")
    assert lines[index + 1] == '      strength = 3.5, map = "wind.csv"'
    assert lines.index("active randomizations:") < index


def test_the_header_describes_what_the_evaluation_switches_off(run: Path, tmp_path: Path) -> None:
    trained = tmp_path / "run"
    shutil.copytree(run, trained)
    with (trained / "recipe.toml").open("a") as file:
        file.write("\n[randomizations.nudge]\nuse = 'push'\ninterval = [2.0, 4.0]\n")
    lines = list(header(open_run(trained, EvalOptions(), Registry.scan()).conditions()))
    index = lines.index("switched off for the evaluation:")
    assert lines[index + 1].startswith("  nudge (mtrack:push), on reset and every step: Pushes the root")
    assert lines[index + 2].startswith("      interval = [2.0, 4.0], lin_vel = [0.5, 0.5, 0.2]")
    assert not [line for line in lines[:index] if "nudge" in line]
    again = open_run(
        trained, EvalOptions(overrides=("randomizations.nudge.enabled=true",)), Registry.scan()
    ).conditions()
    assert ("nudge" in [one["slot"] for one in again["randomizations"]], again["switched_off"]) == (True, [])


def test_changes_by_the_set_of_a_phase_are_off_in_an_evaluation_unless_the_user_names_them(
    run: Path, tmp_path: Path
) -> None:
    trained = tmp_path / "run"
    shutil.copytree(run, trained)
    text = (trained / "recipe.toml").read_text("utf-8")
    change = 'set = { "randomizations.nudge.interval" = [2.0, 4.0], "observations.priv.joint_vel.noise" = 0.1 }'
    slots = "\n[randomizations.nudge]\nuse = 'push'\nenabled = false\n[observations.priv.joint_vel]\nenabled = false\n"
    (trained / "recipe.toml").write_text(text.replace("set = {}", change, 1) + slots, "utf-8")
    opened = open_run(trained, EvalOptions(), Registry.scan())
    assert "nudge" in opened.trained_with.for_phase("train").randomizations
    assert "nudge" not in opened.recipe.randomizations
    assert opened.recipe.observations["priv"]["joint_vel"].noise == 0.0
    named = EvalOptions(overrides=("randomizations.nudge.interval=[1.0, 2.0]",))
    assert "nudge" in open_run(trained, named, Registry.scan()).recipe.randomizations


def test_the_header_says_that_rollouts_without_randomizations_are_equal() -> None:
    off = [f"randomizations.{name}.enabled=false" for name in checked().randomizations]
    recipe = checked(*off, "action.max_delay=0")
    assert next(header(conditions(recipe, recipe))) == "active randomizations: none, all rollouts of a clip are equal"
