"""The meaning of segmentation labels: decided for a whole cohort and translated into one set of labels."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from gantk.errors import DataError
from gantk.labels import CORE, EDEMA, ENHANCING, REGIONS

if TYPE_CHECKING:
    from gantk.recipe.data import LabelSettings

__all__ = ["Labels", "decide_labels"]


@dataclass(frozen=True)
class Labels:
    """The labels in the files that form each region; the defaults are those of BraTS 2017 to 2021.

    Attributes:
        tumour: all tumor labels.
        core: the labels of the tumor core, including the enhancing tumor.
        enhancing: the labels of the enhancing tumor.
    """

    tumour: tuple[int, ...] = REGIONS["tumour"]
    core: tuple[int, ...] = REGIONS["tc"]
    enhancing: tuple[int, ...] = REGIONS["et"]

    def canonical(self, labels: np.ndarray) -> np.ndarray:
        """Labels of files, uint8 of any shape, translated to the labels of batches: 0, 1, 2 and 4."""
        lookup = np.zeros(256, np.uint8)
        for told, label in ((self.tumour, EDEMA), (self.core, CORE), (self.enhancing, ENHANCING)):
            lookup[list(told)] = label
        return lookup[labels]

    def to_dict(self) -> dict[str, list[int]]:
        """Plain JSON types, as in the recipe's table `[data.labels]`."""
        return {"tumour": list(self.tumour), "core": list(self.core), "enhancing": list(self.enhancing)}

    @classmethod
    def from_dict(cls, record: Mapping[str, Any]) -> Labels:
        """The labels that `to_dict` recorded."""
        return cls(*(tuple(map(int, record[name])) for name in ("tumour", "core", "enhancing")))


def decide_labels(
    found: Mapping[str, Collection[int]],
    settings: LabelSettings | None = None,
    files: Mapping[str, Path | None] | None = None,
) -> Labels:
    """The meaning of a cohort's labels: from the recipe, else the BraTS convention that fits all patients.

    Args:
        found: the labels above 0 in each patient's segmentation.
        settings: the recipe's table `[data.labels]`.
        files: the patients' segmentation files, which errors name.

    Raises:
        DataError: no convention fits, or several fit.
    """
    if settings is not None:
        return Labels.from_dict(settings.model_dump())
    files = files or {}
    having = {label: sorted(name for name, labels in found.items() if label in labels) for label in range(1, 256)}
    having = {label: patients for label, patients in having.items() if patients}
    mend = "define the labels in [data.labels] of the recipe, with the keys tumour, core and enhancing"
    if {3, 4} <= having.keys():
        raise DataError(
            "the segmentations of this cohort hold label 3 and label 4, whose meanings depend on the year of BraTS",
            where=files.get(having[4][0]),
            why=f"label 3 is in {_some(having[3])}, label 4 in {_some(having[4])}. "
            "Enhancing tumor is 4 up to BraTS 2021 and 3 since BraTS 2023. Before 2017, 3 is non-enhancing core; in "
            "BraTS 2024, 4 is the resection cavity",
            mend=f"{mend}; for BraTS 2024: tumour = [1, 2, 3], core = [1, 3], enhancing = [3]",
        )
    unknown = sorted(having.keys() - {1, 2, 3, 4})
    if unknown:
        raise DataError(
            f"the segmentations of this cohort hold unknown labels: {', '.join(map(str, unknown[:5]))}",
            where=files.get(having[unknown[0]][0]),
            why=f"label {unknown[0]} is in {_some(having[unknown[0]])}; the labels of BraTS are "
            "1 (necrosis or non-enhancing core), 2 (edema) and 4 (enhancing tumor; 3 since 2023)",
            mend=mend,
        )
    return Labels((1, 2, 3), (1, 3), (3,)) if 3 in having else Labels()


def _some(patients: list[str]) -> str:
    return patients[0] if len(patients) == 1 else f"{patients[0]} and {len(patients) - 1} more"
