"""Motions: the motion file, the library a command draws from, the source `motion_files`, and `mtrack motions`."""
