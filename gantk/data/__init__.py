"""Data: volumes, cohort and split, slice store, loader, datasets.

Few modules import torch, among them `batch` and `loader`, so that the processes that prepare slices start fast.
"""
