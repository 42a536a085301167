"""Scores what a run has learnt: metrics, rollouts of every clip, baselines, tables and figures."""
