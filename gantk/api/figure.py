"""Figures of one slice, translated by several methods."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from gantk.errors import DataError, UsageError, nearest
from gantk.progress import Progress, default_progress
from gantk.report.comparison import Comparison, Shown, combine
from gantk.report.selection import Method, SliceName, select
from gantk.runs.files import RunFiles
from gantk.tables.model import Table
from gantk.tables.paper import result_table

if TYPE_CHECKING:
    from gantk.api.model import Model
    from gantk.data.loader import Loader

__all__ = ["compare_slices"]


def compare_slices(
    folders: Sequence[Path],
    *,
    patient: str | None = None,
    place: int | None = None,
    roles: Sequence[str] = (),
    seed: int | None = None,
    device: str = "auto",
    progress: Progress | None = None,
) -> Comparison:
    """One test slice with the outputs of the runs, from their examples or from their newest checkpoints.

    Args:
        folders: of runs and sweeps.
        patient: a test patient of all runs; default: the one with the largest tumor among the shared examples.
        place: the slice's index in the LPS volume; default: the largest tumor among the shared examples of the
            patient, else in the whole patient.
        roles: rows of every run; empty: the roles that its sweep reports, else the predicting role.
        seed: the seed of sweeps; default: the first.
        device: where a slice is translated.
        progress: shows the preparation of a patient.

    Raises:
        UsageError: there is no such patient, slice, role or seed.
        EvaluationError: the runs' slices are not one image, or a run holds no evaluation.
        DataError: the patient's images cannot be read.
        CheckpointError: a run has no usable checkpoint.
    """
    if place is not None and patient is None:
        raise UsageError("a slice needs a patient", where="slice", mend="name the patient, too")
    # other metrics do not matter here; other geometry is refused
    table = result_table(folders, roles=roles, force=True)
    chosen = select(table, folders, seed, patient)
    progress = progress or default_progress()
    if patient is not None:
        _check_held_out(table, chosen.methods, patient)
    shared = [name for name in chosen.ranked() if patient in (None, name.patient) and place in (None, name.place)]
    source = _Translation(device, progress)
    if shared:
        name = shared[0]
    elif patient is None:
        raise UsageError(
            "the runs share no example slice with a target",
            where="patient",
            mend="name a test patient, whose slice is then translated",
        )
    else:
        name = source.locate(chosen.methods[0], patient, place)
    found = {method.label: chosen.find(method, name) or source.translate(method, name) for method in chosen.methods}
    return combine(str(name), found)


def _check_held_out(table: Table, methods: Sequence[Method], patient: str) -> None:
    """Refuse a patient on whom a run was trained: such a patient says nothing about the run."""
    for row in table.rows:
        if row.baseline:
            continue
        if patient not in row.subjects:
            use = _use(row.folders, patient)
            raise UsageError(
                f"{patient!r} is not a test patient of {row.name}",
                where="patient",
                why=use and f"it was {use}",
                mend=(not use and nearest(patient, row.subjects)) or "name a patient that all runs were tested on",
            )


def _use(runs: Sequence[Path], patient: str) -> str | None:
    """How runs used a patient who is not one of their test patients; None if it is not in their splits."""
    for run in runs:
        split = RunFiles(run).split()
        if split is not None:
            if patient in split.validation:
                return "used for validation"
            if patient in (*split.paired, *split.unpaired, *split.target):
                return "trained on"
    return None


class _Translation:
    """Translates single slices of a run's patients, prepared as its evaluation prepared them."""

    def __init__(self, device: str, progress: Progress) -> None:
        self.device, self.progress = device, progress
        self._models: dict[Path, Model] = {}
        self._loaders: dict[str, Loader] = {}

    def locate(self, method: Method, patient: str, place: int | None) -> SliceName:
        """The requested slice, by default the patient's slice with the largest tumor.

        Raises:
            UsageError: the patient has no such slice, or none with as much brain as a slice needs.
        """
        loader = self._loader(method, patient)
        places = loader.store[patient].z.tolist()
        if place is None:
            ((_, row),) = loader.panel_rows([patient], 1)
            place = places[row]
        elif place not in places:
            raise UsageError(
                f"patient {patient!r} has no slice {place} with brain",
                where="slice",
                mend=f"choose one from {places[0]} to {places[-1]}",
            )
        return SliceName(patient, place)

    def translate(self, method: Method, name: SliceName) -> Shown:
        """The slice as `evaluation/examples.npz` would show it."""
        from gantk.api.inference import picture, translation

        model, loader = self._model(method), self._loader(method, name.patient)
        places = loader.store[name.patient].z.tolist()
        if name.place is not None and name.place not in places:
            raise UsageError(f"{method.label} knows no {name}", where="slice")
        group = loader.rows([(name.patient, 0 if name.place is None else places.index(name.place))])
        group = group.to(model.device)
        chain = model.chains[method.role]
        if group.source is None or group.target is None or group.image(chain.takes) is None:
            raise DataError(f"patient {name.patient!r} lacks an image that {method.label} needs")
        predict = translation(chain, model.layout, model.recipe, model.device, loader)
        return Shown.of(picture(group, {method.role: predict}, model.layout, model.recipe), 0, method.role)

    def _model(self, method: Method) -> Model:
        from gantk.api.model import load

        if method.folder not in self._models:
            self._models[method.folder] = load(method.folder, device=self.device)
        return self._models[method.folder]

    def _loader(self, method: Method, patient: str) -> Loader:
        """The data of one patient; the others need not be prepared."""
        from gantk.api.cohort import slice_settings
        from gantk.data.cache import gantk_cache_dir
        from gantk.data.dataset import make_data
        from gantk.data.loader import Loader
        from gantk.data.split import Split
        from gantk.data.store import prepare

        model = self._model(method)
        data, missing = model.recipe.data, model.recipe.evaluation.missing
        key = json.dumps([patient, missing, data.model_dump(mode="json", exclude={"paired_fraction", "batch"})])
        if key not in self._loaders:
            make_data(model.dataset, self.progress)
            subjects = [one for one in model.dataset.subjects(self.progress) if one.id == patient]
            if not subjects:
                raise DataError(f"patient {patient!r} is no longer in the data of {method.label}", where=method.folder)
            store = prepare(
                model.dataset,
                subjects,
                slice_settings(model.recipe),
                [name for name in data.inputs if name not in data.targets] or data.inputs,
                cache=gantk_cache_dir(),
                progress=self.progress,
            )
            split = Split((), (), (), (patient,))
            self._loaders[key] = Loader(
                store.meant(model.meaning), split, layout=model.layout, sizes={}, missing=missing
            )
        return self._loaders[key]
