"""Motion tracking: the command that plays clips, observations of the reference, tracking rewards and terminations."""
