"""Forecast of a run's cost on the user's data: slices, steps, time, memory and disk; no image is read."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch
from nibabel.orientations import io_orientation

from gantk.api.listing import Listing
from gantk.api.preflight import size_words
from gantk.data.loader import members
from gantk.data.nifti import located
from gantk.data.volumes import Subject
from gantk.progress import duration
from gantk.recipe import Recipe
from gantk.recipe.data import DataSettings
from gantk.training.forecast import Cost, step_cost
from gantk.training.scheduler import Scheduler, Stage
from gantk.translation import Assembly

__all__ = ["Costs", "Forecast", "forecast", "together"]

_LOOKED_AT = 20  # number of patients whose headers represent all patients
_CODE = 2  # bytes of a stored pixel
_FREE = {"name", "description", "predict", "evaluation", "tracking", "parent"}  # unknown to a step


class Costs:
    """The cost of steps, each measured once: runs of a sweep that differ only in seed, fold or weights share a
    measurement.

    Args:
        device: where steps are measured.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._known: dict[str, Cost] = {}

    def of(self, recipe: Recipe, assembly: Assembly, stage: Stage) -> Cost:
        """The cost of a step of a stage.

        Raises:
            GantkError: a step fails.
        """
        table = recipe.model_dump(mode="json", exclude={*_FREE})
        table["run"].pop("seed", None)
        table["data"].pop("split", None)
        key = json.dumps([table, stage.name, stage.roles], sort_keys=True, default=str)
        if key not in self._known:
            self._known[key] = step_cost(recipe, assembly, stage, self.device)
        return self._known[key]


@dataclass(frozen=True)
class StageForecast:
    """The cost of a stage.

    Attributes:
        seconds: time of a step.
        drawn: the largest number of slices or patches by batch group; None if no file exists yet.
        noun: the word for them, slices or patches.
        steps: steps of an epoch; 0 if unknown.
        epochs: epochs of the stage.
    """

    seconds: float
    drawn: Mapping[str, int] | None
    noun: str
    steps: int
    epochs: int


@dataclass(frozen=True)
class Forecast:
    """The cost of a run.

    Attributes:
        stages: by name.
        exact: whether the recipe says how many steps an epoch has; otherwise the numbers are upper bounds.
        memory: bytes, at the peak.
        cache: bytes of stored slices, at most; None if no file exists yet.
        stored: the settings that identify stored slices.
    """

    stages: Mapping[str, StageForecast]
    exact: bool
    memory: int
    cache: int | None
    stored: str

    @property
    def seconds(self) -> float:
        """The time of the training; 0 if unknown."""
        return sum(stage.seconds * stage.steps * stage.epochs for stage in self.stages.values())

    def told(self) -> dict[str, Any]:
        """The forecast as plain values for JSON."""
        most = "" if self.exact else " at most"
        stages: dict[str, dict[str, Any]] = {}
        for name, stage in self.stages.items():
            stages[name] = {"seconds per step": round(stage.seconds, 3)}
            if stage.drawn is not None:
                stages[name][f"{stage.noun} at most"] = dict(stage.drawn)
            if stage.steps:
                stages[name][f"steps per epoch{most}"] = stage.steps
        cache = {} if self.cache is None else {"slice cache at most": size_words(self.cache)}
        return {"stages": stages, "memory": size_words(self.memory), **cache, **_time(self.seconds, self.exact)}


def together(runs: Sequence[Forecast]) -> dict[str, Any]:
    """The cost of a sweep's runs one after the other, in words; slices that several runs read are stored once."""
    caches = {run.stored: run.cache for run in runs if run.cache is not None}
    known = all(run.seconds for run in runs)
    return {
        "memory of a run": size_words(max((run.memory for run in runs), default=0)),
        **({"slice cache at most": size_words(sum(caches.values()))} if caches else {}),
        **_time(sum(run.seconds for run in runs) if known else 0.0, all(run.exact for run in runs)),
    }


def _time(seconds: float, exact: bool) -> dict[str, str]:
    if not seconds:
        return {}
    ends = datetime.now() + timedelta(seconds=seconds)
    return {
        "training" if exact else "training at most": f"{duration(seconds)}, without validation and evaluation",
        "done by": f"{ends:%Y-%m-%d %H:%M}",
    }


def forecast(recipe: Recipe, assembly: Assembly, scheduler: Scheduler, listing: Listing, costs: Costs) -> Forecast:
    """Measure two steps of each stage, and extrapolate to the patients.

    Slices are counted from headers, including those without brain, so steps and times are upper bounds. If no file
    exists yet, as with the phantom, only the cost of a step is known.

    Raises:
        GantkError: a step fails.
    """
    data = recipe.data
    known = _depths(listing.subjects, data)
    mean = float(np.mean([*known.values()])) if known else 0.0
    deep = {subject.id: known.get(subject.id, mean) for subject in listing.subjects}
    volumes = data.dimensions == 3
    stages, memory = {}, 0
    for stage in scheduler.stages(recipe.learning):
        cost = costs.of(recipe, assembly, stage)
        groups = assembly.plan(stage.name, stage.roles).groups
        having = {group: members(listing.split, group) for group in groups}
        drawn = {
            group: _drawn(data, len(names)) if volumes else round(sum(deep[name] for name in names))
            for group, names in having.items()
        }
        batches = max((ceil(count / data.batch[group]) for group, count in drawn.items()), default=0)
        steps = recipe.steps_of(batches)
        noun = "patches" if volumes else "slices"
        stages[stage.name] = StageForecast(cost.seconds, drawn if known or volumes else None, noun, steps, stage.epochs)
        memory = max(memory, cost.memory)
    names = set(data.modalities)
    images = sum(deep[subject.id] * len(names & subject.files.keys()) for subject in listing.subjects)
    pixels = data.crop[0] * data.crop[1] * int(getattr(listing.dataset, "channels", 1))
    stored = json.dumps(
        [data.dataset, data.parameters, data.modalities, data.spacing, data.crop, data.plane, volumes], default=str
    )
    cache = round(images * pixels * _CODE) if known else None
    return Forecast(stages, data.steps_per_epoch is not None, memory, cache, stored)


def _drawn(data: DataSettings, patients: int) -> int:
    """The largest number of patches per epoch for this many patients: all of the rarer class, more of the other."""
    rarer = 1.0 if data.core_fraction in (None, 0, 1) else min(data.core_fraction, 1 - data.core_fraction)
    return ceil(data.patches * patients / rarer)


def _depths(subjects: Sequence[Subject], data: DataSettings) -> Mapping[str, float]:
    """The number of slices of some patients, from the header of their first file; 1 for a picture."""
    every = max(1, len(subjects) // _LOOKED_AT)
    found = {}
    for subject in subjects[::every]:
        file = next(iter(subject.files.values()), None)
        if file is not None and (depth := _depth(file, data)) is not None:
            found[subject.id] = depth
    return found


def _depth(file: Path, data: DataSettings) -> float | None:
    path = located(file)[0]
    if not path.name.lower().endswith((".nii", ".nii.gz")):
        return 1.0
    try:
        image: Any = nib.load(path)
        axes = io_orientation(image.affine)[:, 0]  # the world axis of each of the file's axes
        along = ("sagittal", "coronal", "axial").index(data.plane)
        own = int(np.flatnonzero(axes == along)[0])
        finer = image.header.get_zooms()[own] / data.voxel[2 - along] if isinstance(data.voxel, tuple) else 1.0
        return float(image.shape[own] * finer)
    except Exception:  # damaged headers raise many types; training reports them with the file
        return None
