"""Developers' tools: doctor and bench."""
