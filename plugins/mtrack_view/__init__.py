"""Pictures and films of a robot, by casting rays on the CPU: no display, no graphics driver, the same everywhere."""
