"""Reads recipes: TOML files and `--set` options become one checked recipe, which can be written as one TOML text."""
