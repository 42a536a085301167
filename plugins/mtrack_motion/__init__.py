"""Motion files, packed files, the library a command samples from, the source `motion_files`, and `mtrack motions`."""
