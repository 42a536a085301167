"""Whether a motion is any good: what is measured of a clip, what is wrong with it, tables, pictures and repairs."""
