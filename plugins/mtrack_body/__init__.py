"""mtrack plugin: body."""
