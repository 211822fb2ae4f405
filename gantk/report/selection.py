"""The methods of runs and sweeps that a figure can show, and the example slices that all of them have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from gantk.errors import EvaluationError, UsageError
from gantk.evaluation.examples import Examples
from gantk.recipe.dotted import value_at
from gantk.report.comparison import Shown
from gantk.runs.files import RunFiles
from gantk.runs.names import EVALUATION
from gantk.tables.members import SEED
from gantk.tables.model import Table

__all__ = ["Method", "Selection", "SliceName", "select"]

#: Settings that must agree for slices of two runs to be comparable; targets are compared when they are drawn.
GEOMETRY = (
    "data.plane",
    "data.spacing",
    "data.crop",
    "data.normalisation",
    "data.intensities",
    "data.mask",
    "evaluation.mask",
)


@dataclass(frozen=True)
class SliceName:
    """A patient and the index of one slice in the volume; a single picture has no index."""

    patient: str
    place: int | None = None

    @classmethod
    def parse(cls, title: str) -> SliceName:
        """Parse the title of an example, such as `BraTS20_Training_012, slice 34`."""
        patient, comma, place = title.rpartition(", slice ")
        return cls(patient, int(place)) if comma and place.isdigit() else cls(title)

    def __str__(self) -> str:
        return self.patient if self.place is None else f"{self.patient}, slice {self.place}"


@dataclass(frozen=True)
class Method:
    """A row of a figure: a role of one run."""

    label: str
    folder: Path
    role: str

    @cached_property
    def recipe(self) -> dict[str, Any]:
        return RunFiles(self.folder).recipe()


@dataclass(frozen=True)
class Selection:
    """Methods with the example slices of their runs.

    Args:
        methods: the rows.
        examples: the example slices by run folder; runs without examples are omitted.
    """

    methods: tuple[Method, ...]
    examples: dict[Path, Examples] = field(repr=False)

    def ranked(self) -> list[SliceName]:
        """The slices with a target that every method shows, the largest tumors first."""
        areas: dict[SliceName, int] = {}
        for number, method in enumerate(self.methods):
            here = {
                SliceName.parse(title): int((examples.segmentation[index] > 0).sum())
                for examples in [self.examples.get(method.folder)]
                if examples is not None and examples.target is not None and method.role in examples.outputs
                for index, title in enumerate(examples.titles)
            }
            areas = here if number == 0 else {name: area for name, area in areas.items() if name in here}
        return sorted(areas, key=lambda name: -areas[name])

    def find(self, method: Method, name: SliceName) -> Shown | None:
        """A slice among the examples of a method's run; None if it is missing."""
        examples = self.examples.get(method.folder)
        if examples is None or examples.target is None or method.role not in examples.outputs:
            return None
        places = [index for index, title in enumerate(examples.titles) if SliceName.parse(title) == name]
        return Shown.of(examples, places[0], method.role) if places else None


def select(table: Table, named: Sequence[Path] = (), seed: int | None = None, patient: str | None = None) -> Selection:
    """The methods to draw: all named runs, and one seed of each variant of a sweep.

    Args:
        table: its rows are used, except baselines.
        named: the folders that the user named.
        seed: the seed of each variant; default: the first.
        patient: with several folds, the fold that tests this patient is shown; default: the first fold.

    Raises:
        UsageError: a variant has no such seed.
        EvaluationError: the slices of the runs differ in geometry.
    """
    own = {folder.resolve() for folder in named}
    methods = []
    for row in table.rows:
        if row.baseline:
            continue
        runs = {number: _testing(folders, patient) for number, folders in row.runs.items()}
        single = {number: folder for number, folder in runs.items() if folder.resolve() in own}
        for number, folder in single.items():
            label = row.name
            methods.append(Method(f"{label}, seed {number}" if len(single) > 1 else label, folder, row.method))
        if single:
            continue
        if seed is not None and seed not in runs:
            known = ", ".join(map(str, runs))
            raise UsageError(f"{row.name} has no seed {seed}", where=SEED, mend=f"choose one of {known}")
        methods.append(Method(row.name, runs[row.seeds[0] if seed is None else seed], row.method))
    if not methods:
        raise EvaluationError("no run has a method to show")
    _check_geometry(methods)
    files = {m.folder: m.folder / EVALUATION / "examples.npz" for m in methods}
    return Selection(tuple(methods), {f: Examples.load(path) for f, path in files.items() if path.is_file()})


def _check_geometry(methods: Sequence[Method]) -> None:
    """Reject runs whose slices cannot be the same images."""
    said = []
    for key in GEOMETRY:
        values: dict[str, list[str]] = {}
        for method in methods:
            values.setdefault(_told(value_at(method.recipe, key)), []).append(method.label)
        if len(values) > 1:
            said.append(f"{key} is {', '.join(f'{value} in {labels[0]}' for value, labels in values.items())}")
    if said:
        raise EvaluationError(
            "the runs cannot be put into one figure: " + "; ".join(said),
            mend="draw runs with the same data, spacing, crop and normalization",
        )


def _told(value: object) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_told(inner)}" for name, inner in sorted(value.items())) + "}"
    if isinstance(value, list | np.ndarray):
        return " × ".join(map(str, value))
    return "the default" if value is None else str(value)


def _testing(folders: Sequence[Path], patient: str | None) -> Path:
    """The run, among those of several folds, that tests a patient."""
    if len(folders) > 1 and patient is not None:
        splits = {folder: RunFiles(folder).split() for folder in folders}
        return next((folder for folder, split in splits.items() if split and patient in split.test), folders[0])
    return folders[0]
