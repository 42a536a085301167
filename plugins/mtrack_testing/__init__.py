"""The conformance kit: whether a component keeps the promises of its kind, and what tests of components need.

`check_component(MyReward, sigma=0.2)` tries a component of any kind as the loop would, and raises BrokenPromise, an
AssertionError that names the promise, the component and the fix. Fixtures: see `mtrack_dev.pytest_plugin`.
"""

from mtrack_dev.testing.agents import check_agent
from mtrack_dev.testing.agreement import check_agreement
from mtrack_dev.testing.backends import check_backend
from mtrack_dev.testing.clips import Walks
from mtrack_dev.testing.component import check_component
from mtrack_dev.testing.distributions import install
from mtrack_dev.testing.loggers import check_logger
from mtrack_dev.testing.motions import check_importer, check_motion, same_motion
from mtrack_dev.testing.order import OrderTracker
from mtrack_dev.testing.phases import check_phase
from mtrack_dev.testing.promises import BrokenPromise, Report
from mtrack_dev.testing.robots import check_robot
from mtrack_dev.testing.scenes import DT, PHYSICS_DT, g1_model, mirror_scene, random_scene
from mtrack_dev.testing.still_backend import StillBackend, compiled_g1
from mtrack_dev.testing.tasks import check_task, small_recipe, small_task
from mtrack_dev.testing.worlds import TOY, WORLD_OF_G1

__all__ = [
    "DT",
    "PHYSICS_DT",
    "TOY",
    "WORLD_OF_G1",
    "BrokenPromise",
    "OrderTracker",
    "Report",
    "StillBackend",
    "Walks",
    "check_agent",
    "check_agreement",
    "check_backend",
    "check_component",
    "check_importer",
    "check_logger",
    "check_motion",
    "check_phase",
    "check_robot",
    "check_task",
    "compiled_g1",
    "g1_model",
    "install",
    "mirror_scene",
    "random_scene",
    "same_motion",
    "small_recipe",
    "small_task",
]
