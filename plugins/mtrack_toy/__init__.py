"""mtrack plugin: toy."""
