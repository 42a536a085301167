"""The command `mtrack bench`: how fast a recipe steps and trains on this machine.

It times whole iterations, the environment loop and the bare physics (`measure`, `bare_physics`), splits the time into
parts (`breakdown`, `stopwatch`), repeats this at several sizes (`sweep`), prints and stores the result (`report`) and
compares it with an earlier one (`compare`).
"""
