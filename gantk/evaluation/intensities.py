"""Mean intensities of targets and of synthesized images, by subject and region, for figures of agreement."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from gantk.errors import EvaluationError
from gantk.evaluation.regions import region_mask
from gantk.files import write_csv

if TYPE_CHECKING:
    from torch import Tensor

    from gantk.data.batch import Group

__all__ = ["INTENSITIES", "Intensities", "Intensity"]

INTENSITIES = "intensities.csv"
"""In a run's `evaluation/`."""

_Key = tuple[str, str, str, str]  # patient, subject, method, region


@dataclass(frozen=True)
class Intensity:
    """The mean intensity of a subject's region in a method's images.

    Attributes:
        patient: the patient's id.
        subject: the subject's id.
        method: the method that synthesized the images.
        region: a name in `evaluation.regions`.
        pixels: number of pixels of the region in all slices.
        target: mean over these pixels in the target, in [0, 1]; over all targets if there are several.
        made: mean over these pixels in the synthesized images.
    """

    patient: str
    subject: str
    method: str
    region: str
    pixels: int
    target: float
    made: float


class Intensities:
    """Accumulates the sums of an evaluation's images.

    Args:
        regions: the regions to measure.
    """

    def __init__(self, regions: Sequence[str]) -> None:
        self.regions = regions
        self.sums: dict[_Key, tuple[int, float, float]] = {}

    def add(self, group: Group, images: Mapping[str, Tensor]) -> None:
        """Add slices of one subject and the methods' images of them, (B, T, H, W) in [0, 1]."""
        if group.target is None:
            return
        target = ((group.target.double() + 1) / 2).mean(dim=1, keepdim=True)
        for region in self.regions:
            mask = region_mask(region, group)
            pixels, sought = int(mask.sum()), target[mask].sum().item()
            for method, image in images.items():
                made = image.double().mean(dim=1, keepdim=True)[mask].sum().item()
                key = group.patients[0], group.subjects[0], method, region
                before = self.sums.get(key, (0, 0.0, 0.0))
                self.sums[key] = (before[0] + pixels, before[1] + sought, before[2] + made)

    def join(self, parts: Sequence[Mapping[_Key, tuple[int, float, float]]]) -> None:
        """Replace the sums by those of several processes, each for its own subjects."""
        self.sums = {key: sums for part in parts for key, sums in part.items()}

    @property
    def means(self) -> list[Intensity]:
        """The means for each subject, method and region that the subject has."""
        return [
            Intensity(*key, pixels, target / pixels, made / pixels)
            for key, (pixels, target, made) in sorted(self.sums.items())
            if pixels
        ]

    def write(self, path: Path, known: Callable[[Intensity], bool] = lambda one: True) -> None:
        """Write the means for which `known` is true as CSV; atomic."""
        header = [field.name for field in fields(Intensity)]
        write_csv(path, [header, *(astuple(one) for one in self.means if known(one))])

    @staticmethod
    def read(path: Path) -> list[Intensity]:
        """The means that `write` wrote.

        Raises:
            EvaluationError: the file is missing (evaluations by an older gantk) or damaged.
        """
        mend = "evaluate the run again"
        try:
            with path.open(newline="", encoding="utf-8") as handle:
                return [
                    Intensity(
                        **{name: row[name] for name in ("patient", "subject", "method", "region")},
                        pixels=int(row["pixels"]),
                        target=float(row["target"]),
                        made=float(row["made"]),
                    )
                    for row in csv.DictReader(handle)
                ]
        except FileNotFoundError:
            raise EvaluationError(
                "this run's evaluation holds no intensities",
                where=path,
                why="it was made by an older version of gantk",
                mend=mend,
            ) from None
        except (OSError, ValueError, TypeError, KeyError, csv.Error) as error:
            raise EvaluationError("this file is damaged", where=path, why=error, mend=mend) from error
