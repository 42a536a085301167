"""mtrack plugin: g1."""
