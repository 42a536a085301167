"""Lists what the speed of a compiled MuJoCo model depends on, with the same keys for every project compared."""

from __future__ import annotations

from collections import Counter
from typing import Any

import mujoco


def model_facts(model: mujoco.MjModel) -> dict[str, Any]:
    """Return time step, solver, and the shapes that can collide; meshes are counted even if they do not collide."""
    option = model.opt
    colliding = [i for i in range(model.ngeom) if model.geom_contype[i] or model.geom_conaffinity[i]]
    shapes = Counter(mujoco.mjtGeom(model.geom_type[i]).name.removeprefix("mjGEOM_").lower() for i in colliding)
    return {
        "timestep_s": option.timestep,
        "integrator": mujoco.mjtIntegrator(option.integrator).name,
        "solver": mujoco.mjtSolver(option.solver).name,
        "cone": mujoco.mjtCone(option.cone).name,
        "iterations": option.iterations,
        "line_search_iterations": option.ls_iterations,
        "tolerance": option.tolerance,
        "bodies": model.nbody - 1,
        "degrees_of_freedom": model.nv,
        "sensors": model.nsensor,
        "meshes": model.nmesh,
        "colliding_shapes": dict(sorted(shapes.items())),
        "pairs_that_may_touch": sum(_may_touch(model, a, b) for a in colliding for b in colliding if a < b),
    }


def _may_touch(model: mujoco.MjModel, first: int, second: int) -> bool:
    """Return whether two geoms pass the filter of masks, bodies and parents of the engine; ignores excludes."""
    if not (
        model.geom_contype[first] & model.geom_conaffinity[second]
        or model.geom_contype[second] & model.geom_conaffinity[first]
    ):
        return False
    # welded bodies count as one; children of the world still collide with the world
    one, other = (int(model.body_weldid[model.geom_bodyid[geom]]) for geom in (first, second))
    parents = [int(model.body_weldid[model.body_parentid[body]]) for body in (one, other)]
    return one != other and (0 in (one, other) or (parents[0] != other and parents[1] != one))
