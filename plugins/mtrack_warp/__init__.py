"""MuJoCo on a GPU: the backend `mujoco_warp`, which steps all environments in one launch."""
