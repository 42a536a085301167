"""Reports: one self-contained page for a run, and the table of all runs."""
