"""Picture strips and videos of a robot, rendered by ray casting on the CPU: no display or graphics driver needed."""
