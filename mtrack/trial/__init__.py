"""The careful first step: tries every component of a recipe before a run begins."""
