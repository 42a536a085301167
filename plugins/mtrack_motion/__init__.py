"""mtrack plugin: motion."""
