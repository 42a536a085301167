"""Compliant arms: a randomization that pushes arms aside and changes their goal, and the flag that the policy observes.

It uses only contracts that other packages may use too: `ChangesGoal` and `Scene.extras` of the kernel, and
`PlaysLibrary` of `mtrack_motion`.
"""
