"""mtrack plugin: tracking."""
