"""An instant task with a known optimum, in torch alone: for trying mtrack out, for tests and for plugin authors."""
