"""The viewer of replays in three dimensions, if the extra `view` is installed."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec

from mtrack.recipe.checked import check_recipe
from mtrack.recipe.load import read_recipe
from mtrack.registry.registry import Registry
from mtrack_report.replay_file import ClipReplay
from mtrack_report.replay_section import ViewerPage
from mtrack_report.run_facts import RunFacts
from mtrack_view.posed_robot import PosedRobot
from mtrack_view.replay import ReplayedMotion, client_html, replay_data


def viewer_of(run: RunFacts, files: tuple[str, ...] = ()) -> ViewerPage | None:
    """Return the viewer for the replays of a run; None without replays or without the extra `view`.

    `files` are the components of `-p FILE.py`. Raises MtrackError if the robot of the run cannot be built.
    """
    if not run.replays or find_spec("viser") is None:
        return None
    recipe = check_recipe(read_recipe(run.directory / "recipe.toml"), Registry.scan(files=files))
    robot = PosedRobot(recipe.robot.build())

    def recording(replay: ClipReplay) -> str:
        return replay_data(robot, list(_motions(replay)), 1.0 / replay.dt)

    return ViewerPage(client_html(), recording)


def _motions(replay: ClipReplay) -> Iterator[ReplayedMotion]:
    yield ReplayedMotion(replay.poses.astype(float))
    if len(replay.ghost):
        yield ReplayedMotion(replay.ghost.astype(float), is_ghost=True)
