"""Unitree's low-level messages of the G1 over DDS: a robot that policies can drive, and a simulated one that answers.

Importing the modules needs cyclonedds: `python -m pip install "./deploy[unitree]"` in a checkout of mtrack.
"""
