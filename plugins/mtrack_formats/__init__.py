"""Importers of other projects' motion files, and the checks that find wrong orders, units and frame rates in them."""
