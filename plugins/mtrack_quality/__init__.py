"""`mtrack motions check`: measures motion clips, reports their problems in tables and plots, and repairs them."""
