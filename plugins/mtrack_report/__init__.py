"""The report of a run: one HTML file that needs nothing else, and the hook and the command that write it."""
