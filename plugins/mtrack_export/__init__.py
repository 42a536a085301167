"""Exports trained policies for robots: `mtrack export` and `mtrack deploy-check`."""
