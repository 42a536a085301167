"""mtrack: train humanoid robots to track whole-body motion."""
