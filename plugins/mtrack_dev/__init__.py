"""mtrack plugin: dev."""
