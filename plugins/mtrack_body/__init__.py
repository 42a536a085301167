"""Components that need no reference motion: joint position action, observations, rewards and terminations."""
