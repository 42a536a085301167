"""A run and its directory: phases, checkpoints, manifest, resuming, loggers and hooks."""
