"""Prediction of a whole cohort: subjects are read ahead, translated one by one, and written in the background; a
failure stops no other subject."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from gantk import __version__
from gantk.api.ensemble import Ensemble
from gantk.api.measuring import Measure
from gantk.api.model import Model
from gantk.api.outputs import Outputs, check_file, check_folder, check_writes, takes_the_place, write_image
from gantk.api.predictions import TABLE, Prediction, Predictions, read_predictions
from gantk.api.preparing import Prepared, Request
from gantk.data.dataset import noun_of
from gantk.data.slices import tell
from gantk.data.volumes import Subject
from gantk.errors import DataError, GantkError, UsageError
from gantk.files import sweep_partial, write_text
from gantk.progress import Progress, QuietProgress, default_progress

__all__ = ["Prediction", "Predictions", "predict_cohort"]

_AHEAD = 2  # number of subjects that are read or written while another one is translated


def predict_cohort(
    models: Model | Sequence[Model],
    cohort: str | Path,
    out: str | Path,
    *,
    role: str | None = None,
    target: str | None = None,
    suffix: str | None = None,
    size: tuple[int, int] | None = None,
    flips: bool = False,
    given: Mapping[str, object] | None = None,
    also: Sequence[str] = (),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Predictions:
    """Predict all subjects of a table or folder into a folder, with the results of all in `predictions.csv`.

    Existing files are kept; repeat an interrupted call to continue it. A subject that cannot be read is
    reported and noted in the table, and the others are predicted.

    Args:
        models: as `gantk.load` gives them; of several, the mean is written, and the standard deviation beside it.
        cohort: a CSV or TSV file, a folder of patients, a BIDS data set, or a folder of pictures.
        out: the folder; files in it are named after subjects.
        role: the translator; default: the recipe's `predict`.
        target: the image to write, of those that the role gives; default: the first that the recipe measures.
        suffix: the text after a subject's name in file names; default: `_TARGET` for patients, nothing for pictures,
            and the name of a derivative for BIDS.
        size: height and width that pictures are translated at.
        flips: whether the mean over each slice and its left-right mirror image is made.
        given: values beside the images for all subjects (`[data.extra]`), by name; default: the dataset's values of
            each subject.
        also: what generators make besides their output that is written beside it, by name (`gantk.Translation`).
        overwrite: whether files that exist are made again; inputs are never replaced.
        progress: shows a bar over subjects, and what failed.

    Raises:
        UsageError: there is no such role or target, or the folder cannot be written to.
        DataError: no subject is found.
    """
    ensemble = Ensemble([models] if isinstance(models, Model) else models)
    cohort, out, progress = Path(cohort).expanduser(), Path(out), progress or default_progress()
    cases = ensemble.first.members(cohort)
    if cases is None:
        noun = noun_of(ensemble.first.dataset)
        raise DataError(f"this is a single {noun}, or not a cohort", where=cohort, mend="predict it into a file")
    request = Request(role, target, size, flips, given or {}, also)
    outputs = Outputs(out, ensemble.first.dataset, ensemble.target(request), suffix)
    check_writes(ensemble.first.dataset, ensemble.first.recipe.data.dataset)
    _check_folder(out, cohort, cases, outputs.dataset.writes)
    _check_apart(cases, outputs)
    sweep_partial(out)
    _describe(outputs, cases)
    return _Course(ensemble, request, outputs, overwrite, progress).go(cases)


@dataclass
class _Course:
    """The running prediction of a cohort."""

    ensemble: Ensemble
    request: Request
    outputs: Outputs
    overwrite: bool
    progress: Progress

    def go(self, cases: Sequence[Path | Subject]) -> Predictions:
        """Make the missing predictions."""
        before = read_predictions(self.outputs.folder / TABLE)
        rows = {name: Prediction(name, "pending") for name in map(_name, cases)}
        others = [
            row for name, row in before.items() if name not in rows and (self.outputs.folder / row.file).is_file()
        ]
        left = []
        for case in cases:
            name, there = _name(case), None if self.overwrite else self.outputs.there(case)
            if there is None:
                left.append(case)
            else:
                file = there.relative_to(self.outputs.folder).as_posix()
                known = before.get(name)
                same = known is not None and known.file == file
                rows[name] = replace(known, status="kept") if known and same else Prediction(name, "kept", file)
        self._tell_kept([row for row in rows.values() if row.status == "kept"])
        remarks: list[Mapping[str, str]] = []
        with self.progress.task("Synthesizing", len(left)) as bar:
            for row, more in self._made(left):
                rows[row.subject] = row
                remarks.append(more)
                if row.status == "failed":
                    self.progress.note(f"{row.subject} is left out: {row.note}")
                self._write([*rows.values(), *others])  # after each, so that an interruption loses no number
                bar.advance()
        tell(self.progress, remarks)
        if not left:
            self._write([*rows.values(), *others])
        return Predictions(self.outputs.folder, [*rows.values()])

    def _write(self, rows: Sequence[Prediction]) -> None:
        table = Predictions(self.outputs.folder, rows)
        try:
            table.write()
        except OSError as error:
            raise UsageError(
                "this table cannot be written",
                where=table.table,
                why=error,
                mend="free disk space, or name another folder",
            ) from error

    def _made(self, cases: Sequence[Path | Subject]) -> Iterator[tuple[Prediction, Mapping[str, str]]]:
        """Every case, in order of completion: read in one thread, translated in this one, written in another."""
        measure = Measure(self.ensemble.models, self.outputs.target)
        with ThreadPoolExecutor(_AHEAD) as readers, ThreadPoolExecutor(_AHEAD) as writers:
            waiting = deque(cases)
            read: deque[tuple[Path | Subject, Future[list[Prepared]]]] = deque()
            written: deque[Future[tuple[Prediction, Mapping[str, str]]]] = deque()
            try:
                while waiting or read:
                    while waiting and len(read) < _AHEAD:
                        case = waiting.popleft()
                        read.append((case, readers.submit(self._prepare, case)))
                    case, future = read.popleft()
                    try:
                        prepared = future.result()
                        translated = self.ensemble.translate(prepared, self.request, QuietProgress())
                    except GantkError as error:
                        yield Prediction(_name(case), "failed", note=str(error)), {}
                        continue
                    written.append(writers.submit(self._finish, case, prepared, translated, measure))
                    while len(written) > _AHEAD:
                        yield written.popleft().result()
                while written:
                    yield written.popleft().result()
            finally:
                for _, future in read:
                    future.cancel()

    def _prepare(self, case: Path | Subject) -> list[Prepared]:
        with _one_subject():
            return self.ensemble.prepare(case, self.request)

    def _finish(
        self, case: Path | Subject, prepared: Sequence[Prepared], translated: Sequence[np.ndarray], measure: Measure
    ) -> tuple[Prediction, Mapping[str, str]]:
        """Write a case's files, its own last, and measure it."""
        name, dataset = _name(case), self.ensemble.first.dataset
        try:
            with _one_subject():
                made = self.ensemble.restore(prepared, translated)
                file = self.outputs.file(case, made.image)
                files = [(self.outputs.file(case, image, name), image) for name, image in made.beside.items()]
                for path, image in (*files, (file, made.image)):
                    check_file(path, prepared[0].subject, dataset, overwrite=True)
                    write_image(dataset, path, image, prepared[0].like)
        except GantkError as error:
            return Prediction(name, "failed", note=str(error)), prepared[0].remarks
        metrics, note = {}, ""
        try:
            with _one_subject():
                metrics = dict(measure(prepared, translated))
        except GantkError as error:
            note = f"not measured: {error}"
        row = Prediction(name, "made", file.relative_to(self.outputs.folder).as_posix(), self._made_by, note, metrics)
        return row, prepared[0].remarks

    @property
    def _made_by(self) -> str:
        roles = [f"{model.run}:{model.preparation.asked(self.request)[0]}" for model in self.ensemble.models]
        return " + ".join(roles) + (" with flips" if self.request.flips else "")

    def _tell_kept(self, kept: Sequence[Prediction]) -> None:
        others = [row for row in kept if row.made_by and row.made_by != self._made_by]
        if kept:
            self.progress.note(f"{len(kept)} of the files exist and are kept; --overwrite replaces them")
        if others:
            self.progress.note(
                f"{len(others)} of these were made by another run or with other settings, such as {others[0].file} by "
                f"{others[0].made_by}"
            )


def _name(case: Path | Subject) -> str:
    """The name of a case in the table."""
    return case.id if isinstance(case, Subject) else case.name


@contextmanager
def _one_subject() -> Iterator[None]:
    """A context that turns a library's exception at a subject's files into an error of this subject."""
    try:
        yield
    except (OSError, MemoryError) as error:
        raise DataError("this one cannot be read or written", why=f"{type(error).__name__}: {error}") from error


def _check_folder(out: Path, cohort: Path, cases: Sequence[Path | Subject], writes: Sequence[str]) -> None:
    """Check that predictions of these cases can be written to a folder, and that it is not among the patients."""
    if not out.is_dir() and (out.exists() or out.name.lower().endswith(tuple(writes))):
        raise UsageError(
            "a cohort is translated into a folder, but this is the name of a file",
            where=out,
            mend="name a folder with -o",
        )
    check_folder(out)
    inside = cohort.is_dir() and (
        out.resolve() == cohort.resolve()
        or (cohort.resolve() in out.resolve().parents and any(isinstance(c, Path) and c.is_dir() for c in cases))
    )
    if inside:
        raise takes_the_place(out)


def _check_apart(cases: Sequence[Path | Subject], outputs: Outputs) -> None:
    """Check that all predictions have different names."""
    seen: dict[str, Path | Subject] = {}
    for case in cases:
        other = seen.setdefault(outputs.stem(case).casefold(), case)
        if other is not case:
            places = [str(c.folder if isinstance(c, Subject) else c) for c in (other, case)]
            raise DataError(
                f"the predictions of two subjects would be called {outputs.stem(case)!r}",
                where=places[1],
                why=f"the other one is {places[0]}",
                mend="predict them into two folders, or name them in the column `subject` of a table",
            )


def _describe(outputs: Outputs, cases: Sequence[Path | Subject]) -> None:
    """Write the description that BIDS requires in a folder of derivatives."""
    path = outputs.folder / "dataset_description.json"
    if path.exists() or not any(outputs.in_bids(case) for case in cases):
        return
    told = {
        "Name": "Synthesized images",
        "BIDSVersion": "1.9.0",
        "DatasetType": "derivative",
        "GeneratedBy": [{"Name": "gantk", "Version": __version__}],
    }
    write_text(path, json.dumps(told, indent=2) + "\n")
