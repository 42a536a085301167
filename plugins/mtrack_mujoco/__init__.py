"""MuJoCo on the CPU: the backend `mujoco`, the base of all MuJoCo backends, and the kinematics of robots."""
