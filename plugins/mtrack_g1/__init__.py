"""The Unitree G1 with 29 joints: constants, MuJoCo description, named sets of joints and bodies, and appearance."""
