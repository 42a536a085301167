"""Importers of foreign motion formats: ASAP pickles and Unitree csv files, read strictly, nothing of them run."""
