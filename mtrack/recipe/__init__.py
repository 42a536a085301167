"""Turns TOML files and command-line settings into one checked recipe, and writes it out again."""
