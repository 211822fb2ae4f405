"""The phantom: a synthetic glioma cohort on real anatomy, written as NIfTI in the BraTS 2020 layout.

Modules: `grid` (voxel positions), `fields` (smooth random fields), `anatomy` (the ICBM 152 atlas and a subject's
deformation of it), `tumour` (growth along white matter), `signal` and `sequences` (relaxation times, signal
equations), `protocol` and `scanner` (acquisition), `subject` (one complete subject) and `write` (a cohort on disk).
See docs/phantom.md.
"""

from gantk.phantom.write import write_phantom

__all__ = ["write_phantom"]
