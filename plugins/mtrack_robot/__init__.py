"""Any robot from its MJCF or URDF: reads and derives its description, checks it, and builds it for the simulation."""
