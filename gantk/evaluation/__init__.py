"""Evaluation: metrics per region, baselines, one row per patient and method, and comparison of runs.

Import from the modules; this package imports none of them, so that comparing runs does not load torch.
"""
