"""Finds components by their entry points, or in files given with `-p`, and checks them against their contracts."""
