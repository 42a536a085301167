"""`mtrack bench`: measures environment steps, training and bare physics of a recipe, and compares measurements."""
