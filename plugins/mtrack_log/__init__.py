"""Loggers (console, JSON lines, TensorBoard, Weights & Biases) and hooks (a status file, a command at the end)."""
