"""Cohorts of NIfTI files, prepared."""

from __future__ import annotations

from gantk.data.brats import Brats
from gantk.data.store import SliceSettings, prepare
from gantk.progress import QuietProgress

INPUTS = ("t1", "t2", "flair")

SETTINGS = SliceSettings(("t1", "t2", "flair", "t1ce"), None, (28, 24))


def prepared_cohort(root, cache, *, settings=SETTINGS, inputs=INPUTS, workers=1, progress=None, dataset=None):
    dataset = dataset or Brats(root)
    subjects = dataset.subjects(QuietProgress())
    return prepare(
        dataset,
        subjects,
        settings,
        inputs,
        cache=cache,
        workers=workers,
        progress=progress or QuietProgress(),
    )
