"""mtrack plugin: procedural."""
