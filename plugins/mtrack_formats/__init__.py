"""Importers of foreign motion formats, read strictly, and held against the robot's kinematics where they allow it."""
