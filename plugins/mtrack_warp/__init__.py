"""mtrack plugin: warp."""
