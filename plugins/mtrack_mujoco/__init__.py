"""mtrack plugin: mujoco."""
