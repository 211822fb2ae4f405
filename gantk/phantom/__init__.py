"""The phantom: a synthetic glioma cohort on real anatomy, written as NIfTI in the BraTS 2020 layout.

One idea per module: `grid` (where voxels lie) and `fields` (smooth randomness), `anatomy` (the ICBM 152 atlas
and a subject's deformation of it), `tumour` (growth along white matter), `signal` (relaxation times, signal
equations), `subject` (one subject put together), `write` (a cohort on disk) and `picture` (a look at it).
See docs/phantom.md.
"""

from gantk.phantom.write import write_phantom

__all__ = ["write_phantom"]
