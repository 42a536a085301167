"""What runs every step: the environment loop, the learner loop, and the assembly of their components."""
