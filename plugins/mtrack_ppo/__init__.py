"""mtrack plugin: ppo."""
