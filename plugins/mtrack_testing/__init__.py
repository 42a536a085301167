"""The conformance kit for tests of components: checks, random scenes, small tasks and fakes.

`check_component(MyReward, sigma=0.2)` calls a component of any kind as the training loop does. If the component breaks
the contract of its kind, it raises BrokenPromise, an AssertionError that names the promise, the component and the fix.
The pytest fixtures are in `mtrack_testing.pytest_plugin`; pytest loads them wherever mtrack is installed.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mtrack_testing.agreement import check_agreement as check_agreement
    from mtrack_testing.backends import check_backend as check_backend
    from mtrack_testing.clips import Walks as Walks
    from mtrack_testing.component import check_component as check_component
    from mtrack_testing.distributions import install as install
    from mtrack_testing.loggers import check_logger as check_logger
    from mtrack_testing.motions import check_importer as check_importer
    from mtrack_testing.motions import check_motion as check_motion
    from mtrack_testing.motions import same_motion as same_motion
    from mtrack_testing.order import OrderTracker as OrderTracker
    from mtrack_testing.phases import check_phase as check_phase
    from mtrack_testing.promises import BrokenPromise as BrokenPromise
    from mtrack_testing.promises import Report as Report
    from mtrack_testing.robots import check_robot as check_robot
    from mtrack_testing.scenes import DT as DT
    from mtrack_testing.scenes import PHYSICS_DT as PHYSICS_DT
    from mtrack_testing.scenes import g1_model as g1_model
    from mtrack_testing.scenes import mirror_scene as mirror_scene
    from mtrack_testing.scenes import random_scene as random_scene
    from mtrack_testing.skeletons import check_skeleton_source as check_skeleton_source
    from mtrack_testing.still_backend import StillBackend as StillBackend
    from mtrack_testing.still_backend import compiled_g1 as compiled_g1
    from mtrack_testing.tasks import check_task as check_task
    from mtrack_testing.tasks import small_recipe as small_recipe
    from mtrack_testing.tasks import small_task as small_task
    from mtrack_testing.worlds import G1_WORLD as G1_WORLD
    from mtrack_testing.worlds import TOY_WORLD as TOY_WORLD
else:
    _PUBLIC = {
        "agreement": ("check_agreement",),
        "backends": ("check_backend",),
        "clips": ("Walks",),
        "component": ("check_component",),
        "distributions": ("install",),
        "loggers": ("check_logger",),
        "motions": ("check_importer", "check_motion", "same_motion"),
        "order": ("OrderTracker",),
        "phases": ("check_phase",),
        "promises": ("BrokenPromise", "Report"),
        "robots": ("check_robot",),
        "scenes": ("DT", "PHYSICS_DT", "g1_model", "mirror_scene", "random_scene"),
        "skeletons": ("check_skeleton_source",),
        "still_backend": ("StillBackend", "compiled_g1"),
        "tasks": ("check_task", "small_recipe", "small_task"),
        "worlds": ("TOY_WORLD", "G1_WORLD"),
    }
    _MODULE_OF = {name: module for module, names in _PUBLIC.items() for name in names}

    def __getattr__(name):  # noqa: ANN001, ANN202
        """Import a public name on first use: pytest imports this package in every project, so it must load fast."""
        if name not in _MODULE_OF:
            raise AttributeError(f"module '{__name__}' has no attribute '{name}'")
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)

    def __dir__():  # noqa: ANN202
        """Return the public names."""
        return sorted(_MODULE_OF)
