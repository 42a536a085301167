"""mtrack's environments for other learners: a Gymnasium vector environment made from any recipe.

Importing this package registers its env_ids with Gymnasium (which has had no entry points for that since 1.0):

    gymnasium.make_vec("mtrack_gym:mtrack/G1Tracking-v0", num_envs=64)
"""

from __future__ import annotations

try:
    import gymnasium
except ModuleNotFoundError as error:
    raise ModuleNotFoundError('mtrack_gym needs the package: pip install "mtrack[gym]"') from error

from mtrack_gym.make import make
from mtrack_gym.vector_env import VectorEnv

__all__ = ["VectorEnv", "make"]

for _name, _recipe in {
    "G1Tracking": "g1_tracking_teacher",
    "G1TrackingQuick": "g1_tracking_quick",
    "Toy": "toy",
}.items():
    gymnasium.register(f"mtrack/{_name}-v0", vector_entry_point="mtrack_gym:make", kwargs={"recipe": _recipe})
