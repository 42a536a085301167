"""Repairs robot motions, and retargets people's motions to a robot: stance feet on the floor, joints in their range."""
