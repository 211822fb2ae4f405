"""Results of an evaluation: one row per subject and method, the summary over patients, and their files."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import math
import statistics
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path

from gantk.errors import EvaluationError
from gantk.evaluation.subjects import Subjects
from gantk.files import atomic_write, checksum, sealed, unsealed
from gantk.recipe.evaluation import FITTED_BASELINES

__all__ = ["NO_TARGET", "REAL_TARGET", "Column", "Evaluation", "Row", "Statistic", "is_baseline", "is_evaluated"]

FILES = ("summary.json", "patients.csv")
#: The segmentation results with the real target and without any target: bounds for the methods.
REAL_TARGET, NO_TARGET = "target:real", "target:none"


@dataclass(frozen=True)
class Column:
    """A metric inside a region, as a column of the tables.

    Args:
        title: the metric's title.
        region: the region's name; `image` for the whole image.
        higher_is_better: whether larger values are better.
        unseen: a source of randomness that a test over patients does not cover; empty for none.
    """

    title: str
    region: str
    higher_is_better: bool
    unseen: str = ""

    def to_dict(self) -> dict[str, object]:
        """As in summary.json."""
        return {name: value for name, value in vars(self).items() if value != ""}


@dataclass(frozen=True)
class Row:
    """One subject translated by one method: means over slices, NaN if no slice has the region.

    Args:
        patient: the patient's id.
        method: the method.
        slices: number of slices.
        values: values by column.
        subject: the subject's id; default: the patient's id.
    """

    patient: str
    method: str
    slices: int
    values: dict[str, float]
    subject: str = ""

    def __post_init__(self) -> None:
        if not self.subject:
            object.__setattr__(self, "subject", self.patient)


@dataclass(frozen=True)
class Statistic:
    """Mean and sample standard deviation over `n` patients (or seeds); NaN if there are too few."""

    mean: float
    std: float
    n: int

    @classmethod
    def of(cls, values: Iterable[float]) -> Statistic:
        """The statistic of the values, without NaN."""
        known = [v for v in values if not math.isnan(v)]
        spread = len(known) > 1 and all(map(math.isfinite, known))  # the PSNR of identical images is infinite
        return cls(
            mean=statistics.fmean(known) if known else math.nan,
            std=statistics.stdev(known) if spread else math.nan,
            n=len(known),
        )

    def to_dict(self) -> dict[str, float | int | None]:
        """As in summary.json; NaN becomes null."""
        return {"mean": _number(self.mean), "std": _number(self.std), "n": self.n}

    @classmethod
    def from_dict(cls, found: Mapping[str, float | None]) -> Statistic:
        """The inverse of `to_dict`; null becomes NaN."""
        mean, std = (math.nan if found[key] is None else float(found[key] or 0) for key in ("mean", "std"))
        return cls(mean, std, int(found["n"] or 0))


@dataclass(frozen=True)
class Evaluation:
    """The rows of all subjects and methods, and the settings that decide whether two evaluations are comparable.

    Args:
        split: the split's hash.
        settings: hash of metrics, regions, their parameters and the slices' geometry.
        columns: columns by name, such as `ssim` for the whole image and `ssim_brain` for a region.
        rows: the rows in the order of their computation.
        overall: by method, the columns with one number for all patients together; rows do not contain them.
        images: by subject, numbers that identify its images, such as `t1ce`'s scale in scanner units.
        subjects: a description of the measured subjects.
        checkpoint: a description of the measured weights; empty if it was not recorded.
    """

    split: str
    settings: str
    columns: dict[str, Column]
    rows: list[Row] = field(default_factory=list)
    overall: dict[str, dict[str, Statistic]] = field(default_factory=dict)
    images: dict[str, dict[str, float]] = field(default_factory=dict)
    subjects: Subjects = field(default_factory=Subjects)
    checkpoint: str = ""

    @property
    def methods(self) -> list[str]:
        """The methods in the order of their first row."""
        return list(dict.fromkeys(row.method for row in self.rows))

    @property
    def summary(self) -> dict[str, dict[str, Statistic]]:
        """The statistic over patients, or the single value for all patients, by method and column."""
        return {
            method: {name: Statistic.of(values.values()) for name, values in self.values(method).items()}
            | self.overall.get(method, {})
            for method in self.methods
        }

    def values(self, method: str) -> dict[str, dict[str, float]]:
        """The values of one method by column and patient: the mean over the patient's subjects that have a value."""
        rows: dict[str, list[Row]] = {}
        for row in self.rows:
            if row.method == method:
                rows.setdefault(row.patient, []).append(row)
        return {
            name: {patient: Statistic.of(row.values[name] for row in own).mean for patient, own in rows.items()}
            for name in self.columns
        }

    def to_dict(self) -> dict[str, object]:
        """The content of summary.json; NaN becomes null."""
        overall = sorted({name for found in self.overall.values() for name in found})
        return {
            "split": self.split,
            "settings": self.settings,
            "subjects": asdict(self.subjects)
            | {"size": list(self.subjects.size), "left_out": list(self.subjects.left_out)},
            "metrics": {name: column.to_dict() for name, column in self.columns.items()},
            "methods": {
                method: {name: statistic.to_dict() for name, statistic in found.items()}
                for method, found in self.summary.items()
            },
            "rows": hashlib.sha256(self._table().encode()).hexdigest(),
            **({"overall": overall} if overall else {}),
            **({"images": self.images} if self.images else {}),
            **({"checkpoint": self.checkpoint} if self.checkpoint else {}),
        }

    def _table(self) -> str:
        """The content of patients.csv."""
        text = io.StringIO(newline="")
        writer = csv.writer(text)
        several = any(row.subject != row.patient for row in self.rows)
        writer.writerow(["patient", *(["subject"] if several else []), "method", "slices", *self.columns])
        for row in self.rows:
            whose = [row.patient, row.subject] if several else [row.patient]
            writer.writerow([*whose, row.method, row.slices, *(_cell(row.values[name]) for name in self.columns)])
        return text.getvalue()

    def write(self, folder: Path) -> None:
        """Write patients.csv and summary.json into `folder`, each atomically."""
        folder.mkdir(parents=True, exist_ok=True)
        with atomic_write(folder / "patients.csv") as path:
            path.write_text(self._table(), encoding="utf-8", newline="")
        with atomic_write(folder / "summary.json") as path:
            path.write_text(json.dumps(sealed(self.to_dict()), indent=2) + "\n", encoding="utf-8")

    @classmethod
    def read(cls, folder: Path) -> Evaluation:
        """Read the files that `write` wrote.

        Raises:
            EvaluationError: a file is missing or invalid.
        """
        summary, table = (folder / name for name in FILES)
        with _reading(summary):
            head = unsealed(json.loads(summary.read_text(encoding="utf-8")))
            columns = {
                name: Column(entry["title"], entry["region"], entry["higher_is_better"], entry.get("unseen", ""))
                for name, entry in head["metrics"].items()
            }
            overall = {
                method: {name: Statistic.from_dict(found[name]) for name in head["overall"]}
                for method, found in (head["methods"] if "overall" in head else {}).items()
            }
            images = {subject: dict(found) for subject, found in head.get("images", {}).items()}
            said = {m: {n: Statistic.from_dict(s) for n, s in found.items()} for m, found in head["methods"].items()}
            told = head.get("subjects", {})
            subjects = Subjects(**told | {key: tuple(told.get(key, ())) for key in ("size", "left_out")})
            split, settings = str(head["split"]), str(head["settings"])
            checkpoint = str(head.get("checkpoint", ""))
        with _reading(table):
            with table.open(newline="", encoding="utf-8") as file:
                rows = [
                    Row(
                        patient=line["patient"],
                        method=line["method"],
                        slices=int(line["slices"]),
                        values={name: float(line[name] or "nan") for name in columns},
                        subject=line.get("subject", ""),
                    )
                    for line in csv.DictReader(file)
                ]
            evaluation = cls(split, settings, columns, rows, overall, images, subjects, checkpoint)
            if not _agree(evaluation.summary, said):  # detects a truncated table, which is still a valid table
                raise ValueError(
                    "its means differ from those in summary.json: one of the files is truncated or was changed"
                )
            if head.get("rows", digest := checksum(table)) != digest:  # detects changes too small for the means
                raise ValueError("it differs from its checksum in summary.json")
        return evaluation


def is_baseline(method: str) -> bool:
    """Whether a method's name is a baseline's: of a fitted one, or of the form `input:t1`; no role has such a name."""
    return method in FITTED_BASELINES or ":" in method


def is_evaluated(folder: Path) -> bool:
    """Whether a folder contains an evaluation, complete or damaged."""
    return any((folder / name).exists() for name in FILES)


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise EvaluationError(
            "there is no such file",
            where=path,
            mend="wait until the run finishes, or resume it",
        ) from None
    except OSError as error:
        raise EvaluationError(
            "the evaluation cannot be read", where=path, why=error, mend="correct its permissions"
        ) from error
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError, csv.Error) as error:
        raise EvaluationError(
            "the evaluation cannot be read",
            where=path,
            why="it is truncated or not JSON"
            if isinstance(error, json.JSONDecodeError)
            else f"{type(error).__name__}: {error}",
            mend="evaluate the run again",
        ) from error


def _agree(found: Mapping[str, Mapping[str, Statistic]], said: Mapping[str, Mapping[str, Statistic]]) -> bool:
    """Whether two summaries describe the same rows."""
    if found.keys() != said.keys():
        return False
    for method, of_method in found.items():
        for name, one in of_method.items():
            other = said[method].get(name)
            if other is None or one.n != other.n:
                return False
            mean = one.mean if math.isfinite(one.mean) else math.nan  # as in the file
            if not (math.isclose(mean, other.mean, rel_tol=1e-6) or (math.isnan(mean) and math.isnan(other.mean))):
                return False
    return True


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _cell(value: float) -> str:
    return "" if math.isnan(value) else repr(float(value))  # the repr of NumPy numbers contains their type
