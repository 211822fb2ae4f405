"""What a run will take with the user's data: slices, steps, time, memory and disk; no image is read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from nibabel.orientations import io_orientation

from gantk.api.cohort import Listing
from gantk.api.preflight import size_words
from gantk.data.loader import members
from gantk.data.nifti import located
from gantk.data.volumes import Subject
from gantk.progress import duration
from gantk.recipe import Recipe
from gantk.training.forecast import step_cost
from gantk.training.scheduler import Scheduler
from gantk.translation import Assembly

__all__ = ["forecast"]

_LOOKED_AT = 20  # patients whose headers stand for all
_CODE = 2  # bytes of a stored pixel


def forecast(
    recipe: Recipe, assembly: Assembly, scheduler: Scheduler, listing: Listing, device: torch.device
) -> dict[str, Any]:
    """Measure two steps of each stage, and extend them over the patients; JSON-like.

    Slices are counted from headers, brain or not, so steps and times are at most these. Where no file is there yet,
    as of the phantom, there is only what a step takes.

    Raises:
        GantkError: what a step raises.
    """
    known = _depths(listing.subjects)
    mean = float(np.mean([*known.values()])) if known else 0.0
    deep = {subject.id: known.get(subject.id, mean) for subject in listing.subjects}
    exact = recipe.data.steps_per_epoch
    seconds, memory = 0.0, 0
    told: dict[str, dict[str, Any]] = {}
    for stage in scheduler.stages(recipe.learning):
        cost = step_cost(recipe, assembly, stage, device)
        groups = assembly.plan(stage.name, stage.roles).groups
        slices = {group: round(sum(deep[name] for name in members(listing.split, group))) for group in groups}
        batches = max((ceil(count / recipe.data.batch[group]) for group, count in slices.items()), default=0)
        steps = exact or ceil(batches / recipe.training.accumulate)
        told[stage.name] = {"seconds per step": round(cost.seconds, 3)}
        if known:
            told[stage.name] |= {"slices at most": slices}
        if steps:
            told[stage.name] |= {"steps per epoch" if exact else "steps per epoch at most": steps}
        seconds += cost.seconds * steps * stage.epochs
        memory = max(memory, cost.memory)
    found: dict[str, Any] = {"stages": told, "memory": size_words(memory)}
    if known:
        names = set(recipe.data.modalities)
        images = sum(deep[subject.id] * len(names & subject.files.keys()) for subject in listing.subjects)
        pixels = recipe.data.crop[0] * recipe.data.crop[1] * int(getattr(listing.dataset, "channels", 1))
        found["slice cache at most"] = size_words(round(images * pixels * _CODE))
    if seconds:
        ends = datetime.now() + timedelta(seconds=seconds)
        found |= {
            "training" if exact else "training at most": f"{duration(seconds)}, without validation and evaluation",
            "done by": f"{ends:%Y-%m-%d %H:%M}",
        }
    return found


def _depths(subjects: Sequence[Subject]) -> Mapping[str, float]:
    """The axial slices of some patients, by their first file's header; 1 for a picture."""
    every = max(1, len(subjects) // _LOOKED_AT)
    found = {}
    for subject in subjects[::every]:
        file = next(iter(subject.files.values()), None)
        if file is not None and (depth := _depth(file)) is not None:
            found[subject.id] = float(depth)
    return found


def _depth(file: Path) -> int | None:
    path = located(file)[0]
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        return 1
    try:
        image: Any = nib.load(path)
        axes = io_orientation(image.affine)[:, 0]  # which world axis each of the file's axes is
        return int(image.shape[int(np.flatnonzero(axes == 2)[0])])
    except Exception:  # whatever a damaged header raises; training says it with its place
        return None
