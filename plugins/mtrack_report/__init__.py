"""Reports: one HTML file that shows a run or compares several, its hook and its command, and the table of runs."""
