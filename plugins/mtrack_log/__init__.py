"""mtrack plugin: log."""
