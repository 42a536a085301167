"""Plays a trained run: in the browser, in MuJoCo's viewer, or as a film."""
