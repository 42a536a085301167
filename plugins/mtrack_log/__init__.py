"""Loggers: the console, a file of JSON lines, TensorBoard, Weights & Biases."""
