"""Evaluation: metrics per region, baselines, and one row per patient and method.

Import from the modules; this package imports none of them, so that tables of runs do not need torch.
"""
