"""The data room: volumes, cohort and split, slice store, loader, datasets.

Only `gantk.data.batch` and `gantk.data.loader` import torch: the processes that prepare slices start fast.
"""
