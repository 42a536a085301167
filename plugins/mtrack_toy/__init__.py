"""A task with a known optimum in torch alone, done in seconds: to try mtrack, for tests and for plugin authors."""
