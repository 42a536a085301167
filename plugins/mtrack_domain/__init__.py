"""Domain randomization of masses, soles, motors, joints and gravity, pushes, and an observation of the drawn values."""
