"""mtrack: train humanoid robots to track whole-body motion.

Plugins import from here: `from mtrack import component, param, Scene`. Scripts use `load_recipe`, `make_env`, `train`
and `load_policy`. Functions for rotations are in `mtrack.math`.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from mtrack.api.deployment import ReferenceClip as ReferenceClip
    from mtrack.api.deployment import RobotAction as RobotAction
    from mtrack.api.deployment import RobotTerm as RobotTerm
    from mtrack.api.distributed import num_ranks as num_ranks
    from mtrack.api.distributed import rank as rank
    from mtrack.api.distributed import sum_over_ranks as sum_over_ranks
    from mtrack.api.fields import between as between
    from mtrack.api.fields import component as component
    from mtrack.api.fields import non_negative as non_negative
    from mtrack.api.fields import one_of as one_of
    from mtrack.api.fields import param as param
    from mtrack.api.fields import positive as positive
    from mtrack.api.fields import scratch as scratch
    from mtrack.api.fields import state as state
    from mtrack.api.hookspecs import hookimpl as hookimpl
    from mtrack.api.lifecycle import require_order as require_order
    from mtrack.api.metrics import Metrics as Metrics
    from mtrack.api.mirror import Mirror as Mirror
    from mtrack.api.protocols import Action as Action
    from mtrack.api.protocols import Agent as Agent
    from mtrack.api.protocols import Backend as Backend
    from mtrack.api.protocols import Command as Command
    from mtrack.api.protocols import Importer as Importer
    from mtrack.api.protocols import Logger as Logger
    from mtrack.api.protocols import Metric as Metric
    from mtrack.api.protocols import Motion as Motion
    from mtrack.api.protocols import Observation as Observation
    from mtrack.api.protocols import Phase as Phase
    from mtrack.api.protocols import Randomization as Randomization
    from mtrack.api.protocols import Reward as Reward
    from mtrack.api.protocols import Robot as Robot
    from mtrack.api.protocols import SkeletonSource as SkeletonSource
    from mtrack.api.protocols import Termination as Termination
    from mtrack.api.recorded_step import RecordedStep as RecordedStep
    from mtrack.api.recorded_step import Replay as Replay
    from mtrack.api.robot import RobotModel as RobotModel
    from mtrack.api.rollout import Rollout as Rollout
    from mtrack.api.scene import Contacts as Contacts
    from mtrack.api.scene import Kinematics as Kinematics
    from mtrack.api.scene import Reference as Reference
    from mtrack.api.scene import RobotState as RobotState
    from mtrack.api.scene import Scene as Scene
    from mtrack.api.schedule import Schedule as Schedule
    from mtrack.api.trial import is_trial as is_trial
    from mtrack.api.types import Clip as Clip
    from mtrack.api.types import ContactSensor as ContactSensor
    from mtrack.api.types import Layout as Layout
    from mtrack.api.types import Noise as Noise
    from mtrack.api.types import PhysicsPlan as PhysicsPlan
    from mtrack.api.types import Requirements as Requirements
    from mtrack.api.types import SkeletonMotion as SkeletonMotion
    from mtrack.api.types import StartState as StartState
    from mtrack.errors import CheckpointError as CheckpointError
    from mtrack.errors import ComponentError as ComponentError
    from mtrack.errors import MotionError as MotionError
    from mtrack.errors import MtrackError as MtrackError
    from mtrack.errors import NameProblem as NameProblem
    from mtrack.errors import RecipeError as RecipeError
    from mtrack.errors import SlotError as SlotError
    from mtrack.loop.assemble import make_env as make_env
    from mtrack.loop.env import Env as Env
    from mtrack.loop.env import Step as Step
    from mtrack.recipe.checked import Recipe as Recipe
    from mtrack.recipe.checked import load_recipe as load_recipe
    from mtrack.run.policy import Policy as Policy
    from mtrack.run.policy import load_policy as load_policy
    from mtrack.run.train import TrainResult as TrainResult
    from mtrack.run.train import train as train

_NAMES = {
    "mtrack.api.deployment": (
        "ReferenceClip",
        "RobotAction",
        "RobotTerm",
    ),
    "mtrack.api.distributed": (
        "num_ranks",
        "rank",
        "sum_over_ranks",
    ),
    "mtrack.api.fields": (
        "between",
        "component",
        "non_negative",
        "one_of",
        "param",
        "positive",
        "scratch",
        "state",
    ),
    "mtrack.api.hookspecs": ("hookimpl",),
    "mtrack.api.lifecycle": ("require_order",),
    "mtrack.api.metrics": ("Metrics",),
    "mtrack.api.mirror": ("Mirror",),
    "mtrack.api.protocols": (
        "Action",
        "Agent",
        "Backend",
        "Command",
        "Importer",
        "Logger",
        "Metric",
        "Motion",
        "Observation",
        "Phase",
        "Randomization",
        "Reward",
        "Robot",
        "SkeletonSource",
        "Termination",
    ),
    "mtrack.api.recorded_step": (
        "RecordedStep",
        "Replay",
    ),
    "mtrack.api.robot": ("RobotModel",),
    "mtrack.api.rollout": ("Rollout",),
    "mtrack.api.scene": (
        "Contacts",
        "Kinematics",
        "Reference",
        "RobotState",
        "Scene",
    ),
    "mtrack.api.schedule": ("Schedule",),
    "mtrack.api.trial": ("is_trial",),
    "mtrack.api.types": (
        "Clip",
        "ContactSensor",
        "Layout",
        "Noise",
        "PhysicsPlan",
        "Requirements",
        "SkeletonMotion",
        "StartState",
    ),
    "mtrack.errors": (
        "CheckpointError",
        "ComponentError",
        "MotionError",
        "MtrackError",
        "NameProblem",
        "RecipeError",
        "SlotError",
    ),
    "mtrack.loop.assemble": ("make_env",),
    "mtrack.loop.env": (
        "Env",
        "Step",
    ),
    "mtrack.recipe.checked": (
        "Recipe",
        "load_recipe",
    ),
    "mtrack.run.policy": (
        "Policy",
        "load_policy",
    ),
    "mtrack.run.train": (
        "TrainResult",
        "train",
    ),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that commands that do not need torch start fast."""
    if name not in _HOMES:
        raise AttributeError(f"module 'mtrack' has no attribute '{name}'")
    found = globals()[name] = getattr(importlib.import_module(_HOMES[name]), name)
    return found


def __dir__() -> list[str]:
    """Return all public names, including those that are not imported yet, for completion."""
    return sorted({*globals(), *_HOMES})
