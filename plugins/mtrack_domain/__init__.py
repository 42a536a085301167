"""mtrack plugin: domain."""
