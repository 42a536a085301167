"""mtrack plugin: formats."""
